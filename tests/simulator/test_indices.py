"""The index and the currency pair: look-up, quotes, bars, and what cannot be done with them."""

from typing import Any

import pytest
from ib_async import Contract, Forex, Index

from tests.simulator.joined import JoinedClient, Table, market

VERSIONS = [157, 163, 170, 176, 178]
SPX = Index("SPX", "CBOE", "USD")
EUR = Forex("EURUSD")


@pytest.fixture
def client() -> JoinedClient:
    return Table().connect(client_id=1)


def quoted(client: JoinedClient, contract: Any) -> dict[int, float]:
    client.api.reqMktData(9, contract, "", True, False, [])
    return {told.arguments[1]: told.arguments[2] for told in client.read() if told.name == "priceSizeTick"}


@pytest.mark.parametrize("version", VERSIONS)
def test_both_are_looked_up(version: int) -> None:
    client = Table().connect(version=version)
    client.api.reqContractDetails(5, SPX)
    client.api.reqContractDetails(6, EUR)
    client.api.reqContractDetails(7, Contract(conId=12087792))

    told = [call.arguments[1] for call in client.read() if call.name == "contractDetails"]

    shown = [(found.contract.conId, found.contract.secType, found.contract.exchange, found.minTick) for found in told]
    assert shown == [
        *(
            (416904, "IND", "CBOE", 0.01),
            (12087792, "CASH", "IDEALPRO", 0.00005),
            (12087792, "CASH", "IDEALPRO", 5e-05),
        ),
    ]
    assert (told[1].contract.symbol, told[1].contract.localSymbol, told[1].marketRuleIds) == ("EUR", "EUR.USD", "239")


def test_the_index_follows_its_fund() -> None:
    table = Table()
    client = table.connect()
    table.control("set_price", symbol="SPY", price="561.20")
    client.api.reqMktData(5, SPX, "", False, False, [])
    client.read()

    table.control("set_price", symbol="SPY", price="562.00")

    prices = {told.arguments[1]: told.arguments[2] for told in client.read() if told.name == "priceSizeTick"}
    assert prices[4] == 5620.0


def test_the_pair_moves_with_the_steps_and_stays_near_its_base() -> None:
    table = Table()
    client = table.connect()
    before = quoted(client, EUR)
    table.control("step", n=50)

    after = quoted(client, EUR)

    assert before[1] < before[2]
    assert before != after
    assert after[4] == pytest.approx(1.08, abs=0.01)


@pytest.mark.parametrize("contract", [SPX, EUR])
def test_both_have_bars_that_end_at_the_quote(client: JoinedClient, contract: Any) -> None:
    client.api.reqHistoricalData(5, contract, "", "1 D", "5 mins", "MIDPOINT", True, 1, False, [])

    assert client.read()[-2].arguments[1].close == quoted(client, contract)[4]


@pytest.mark.parametrize("contract", [Index("SPX", "CME", "USD"), Index("NDX", "NASDAQ", "USD"), Forex("GBPUSD")])
def test_others_are_not_found(client: JoinedClient, contract: Any) -> None:
    client.api.reqContractDetails(5, contract)

    assert client.order_news() == ["error 5 200"]


def test_an_index_cannot_be_bought_but_a_currency_can(client: JoinedClient) -> None:
    client.place(market("BUY", 1), SPX)
    assert client.order_news() == ["error 1 200"]

    client.place(market("BUY", 20000), EUR)
    assert any(line.startswith("deal 2 BOT 20000@1.0") for line in client.order_news())
