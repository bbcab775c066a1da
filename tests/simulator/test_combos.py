"""Combinations: their quotes, their orders, and what a deal does to their legs."""

from pathlib import Path
from typing import Any

import pytest
from ib_async import Bag, ComboLeg, Option

from ib_simulator.journal import Journal
from tests.simulator.joined import AAPL, JoinedClient, Table, limit, market

VERSIONS = [157, 163, 170, 176, 178]


def option_ids(client: JoinedClient, *strikes: int) -> list[int]:
    found = []
    for strike in strikes:
        client.api.reqContractDetails(5, Option("AAPL", "20260220", strike, "C", "SMART", currency="USD"))
        found.append(client.read()[0].arguments[1].contract.conId)
    return found


def spread(client: JoinedClient) -> Bag:
    """Buy the call at 190, sell the one at 195."""
    lower, upper = option_ids(client, 190, 195)
    return Bag(
        symbol="AAPL",
        exchange="SMART",
        currency="USD",
        comboLegs=[
            ComboLeg(conId=lower, ratio=1, action="BUY", exchange="SMART"),
            ComboLeg(conId=upper, ratio=1, action="SELL", exchange="SMART"),
        ],
    )


def covered_call(client: JoinedClient) -> Bag:
    [upper] = option_ids(client, 195)
    return Bag(
        symbol="AAPL",
        exchange="SMART",
        currency="USD",
        comboLegs=[
            ComboLeg(conId=265598, ratio=100, action="BUY", exchange="SMART"),
            ComboLeg(conId=upper, ratio=1, action="SELL", exchange="SMART"),
        ],
    )


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def quoted(client: JoinedClient, contract: Any) -> dict[int, float]:
    client.api.reqMktData(9, contract, "", True, False, [])
    return {told.arguments[1]: told.arguments[2] for told in client.read() if told.name == "priceSizeTick"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_combination_is_quoted_from_the_right_sides_of_its_legs(version: int) -> None:
    client = Table().connect(version=version)
    lower, upper = (
        quoted(client, Option("AAPL", "20260220", strike, "C", "SMART", currency="USD")) for strike in (190, 195)
    )

    whole = quoted(client, spread(client))

    assert whole[1] == pytest.approx(lower[1] - upper[2])
    assert whole[2] == pytest.approx(lower[2] - upper[1])
    assert whole[4] == pytest.approx(lower[4] - upper[4])


def by_name(told: list[Any], name: str) -> list[Any]:
    return [call.arguments for call in told if call.name == name]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_deal_is_told_as_a_whole_and_leg_by_leg(version: int) -> None:
    table = Table()
    client = table.connect(version=version)
    bag = spread(client)
    prices = quoted(client, bag)

    client.place(market("BUY", 2), bag)

    told = client.read()
    deals = [(contract, deal) for _request, contract, deal in by_name(told, "execDetails")]
    assert [(contract.secType, deal.side, deal.shares) for contract, deal in deals] == [
        *(("BAG", "BOT", 2), ("OPT", "BOT", 2), ("OPT", "SLD", 2)),
    ]
    whole, bought, sold = (deal for _contract, deal in deals)
    assert whole.price == pytest.approx(prices[2])
    assert bought.price - sold.price == pytest.approx(whole.price)
    # [DOC] Combinations have five segments; all share order and permanent id, none the execution id.
    assert {deal.execId.count(".") for deal in (whole, bought, sold)} == {4}
    assert len({deal.execId for deal in (whole, bought, sold)}) == 3
    assert {(deal.orderId, deal.permId) for deal in (bought, sold)} == {(whole.orderId, whole.permId)}
    reports = [report.execId for (report,) in by_name(told, "commissionReport")]
    assert reports == [bought.execId, sold.execId]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_open_order_shows_the_legs(version: int) -> None:
    table = Table()
    client = table.connect(version=version)
    bag = spread(client)

    client.place(limit("BUY", 1, 0.05), bag)

    _order_id, contract, order, state = by_name(client.read(), "openOrder")[0]
    assert (contract.conId, contract.symbol, contract.secType) == (28812380, "AAPL", "BAG")
    assert [(leg.conId, leg.ratio, leg.action) for leg in contract.comboLegs] == [
        (leg.conId, leg.ratio, leg.action) for leg in bag.comboLegs
    ]
    assert contract.comboLegsDescrip == f"{bag.comboLegs[0].conId}|1,{bag.comboLegs[1].conId}|-1"
    assert (order.lmtPrice, state.status) == (0.05, "Submitted")


def test_positions_change_by_the_legs(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 2), covered_call(client))

    client.api.reqPositions()
    held = [(contract.secType, quantity) for _account, contract, quantity, _cost in by_name(client.read(), "position")]
    assert held[-2:] == [("STK", 200), ("OPT", -2)]
    client.place(market("SELL", 2), covered_call(client))
    assert {deal.side for _request, _contract, deal in by_name(client.read(), "execDetails")} == {"SLD", "BOT"}
    client.api.reqPositions()
    assert by_name(client.read(), "position") == []


def test_a_credit_is_a_negative_price(table: Table, client: JoinedClient) -> None:
    lower, upper = option_ids(client, 190, 195)
    legs = [ComboLeg(conId=lower, ratio=1, action="SELL"), ComboLeg(conId=upper, ratio=1, action="BUY")]
    credit = Bag(symbol="AAPL", exchange="SMART", currency="USD", comboLegs=legs)
    client.place(limit("BUY", 1, -4.5), credit)
    assert "execDetails" not in [told.name for told in client.read()]

    table.control("set_price", symbol="AAPL", price="230")

    whole = by_name(client.read(), "execDetails")[0][2]
    assert (whole.price, whole.side) == (-4.5, "BOT")


def test_what_legs_there_are_decides_whether_it_exists(client: JoinedClient) -> None:
    [lower] = option_ids(client, 190)
    good = ComboLeg(conId=lower, ratio=1, action="BUY")
    for legs in (
        [],
        [good],
        [good, ComboLeg(conId=1, ratio=1, action="SELL")],
        [good, ComboLeg(conId=265598, ratio=0, action="SELL")],
        [good, ComboLeg(conId=265598, ratio=1, action="HOLD")],
    ):
        client.place(market("BUY", 1), Bag(symbol="AAPL", exchange="SMART", currency="USD", comboLegs=legs))

    assert [line.split()[2] for line in client.order_news()] == ["200"] * 5


def test_a_combination_survives_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    client = table.connect()
    bag = spread(client)
    client.place(market("BUY", 1), bag)
    client.place(limit("BUY", 1, 0.05), bag)
    cash = table.gateway.ledger.cash["DU1234567"]
    table.gateway.commit()
    journal.close()

    journal = Journal(tmp_path)
    table = Table(journal=journal)
    client = table.connect()
    client.api.reqAllOpenOrders()

    _order_id, contract, _order, _state = by_name(client.read(), "openOrder")[0]
    assert len(contract.comboLegs) == 2
    assert table.gateway.ledger.cash["DU1234567"] == cash
    client.api.reqPositions()
    assert [quantity for _account, _contract, quantity, _cost in by_name(client.read(), "position")] == [1, -1]
    journal.close()


def test_a_combination_has_bars_but_neither_ticks_nor_depth(client: JoinedClient) -> None:
    bag = spread(client)
    client.api.reqHistoricalData(5, bag, "", "1 D", "5 mins", "TRADES", True, 1, False, [])
    last = client.read()[-2].arguments[1].close
    assert last == quoted(client, bag)[4]

    client.api.reqTickByTickData(6, Bag(symbol="AAPL", exchange="SMART", currency="USD"), "Last", 0, False)
    client.api.reqContractDetails(7, Bag(symbol="AAPL", exchange="SMART", currency="USD"))

    assert client.order_news() == ["error 6 200", "error 7 200"]


def test_a_stock_deal_has_four_segments_as_before(client: JoinedClient) -> None:
    client.place(market("BUY", 1), AAPL)

    assert by_name(client.read(), "execDetails")[0][2].execId.count(".") == 3
