"""Options: chains, contract look-ups, quotes with greeks, and orders on them."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from ib_async import Contract, Option, Stock

from ib_simulator.journal import Journal
from ib_simulator.market.instruments import STOCKS
from ib_simulator.market.option_pricing import black_scholes, implied_volatility
from ib_simulator.market.options import OptionChains
from tests.simulator.joined import AAPL, JoinedClient, Table, limit, market

VERSIONS = [157, 163, 170, 176, 178]
CALL = Option("AAPL", "20260220", 190, "C", "SMART", currency="USD")


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def details(client: JoinedClient, **described: Any) -> list[Any]:
    wanted = {"secType": "OPT", "exchange": "SMART", "currency": "USD", **described}
    client.api.reqContractDetails(5, Contract(**wanted))
    told = client.read()
    assert told[-1].name == "contractDetailsEnd", told
    return [call.arguments[1] for call in told[:-1]]


def test_a_known_price_and_its_greeks() -> None:
    # The textbook's call: spot 100, strike 100, one year, 20 %, and here a rate of 4 %.
    call = black_scholes(spot=100, strike=100, years=1, volatility=0.2, is_call=True)
    put = black_scholes(spot=100, strike=100, years=1, volatility=0.2, is_call=False)

    assert call.price == pytest.approx(9.9251, abs=1e-4)
    assert call.price - put.price == pytest.approx(100 - 96.0789, abs=1e-3)
    assert call.delta - put.delta == pytest.approx(1)
    assert call.gamma == put.gamma > 0
    nudged = black_scholes(spot=100, strike=100, years=1, volatility=0.21, is_call=True)
    assert nudged.price - call.price == pytest.approx(call.vega, rel=0.01)
    later = black_scholes(spot=100, strike=100, years=1 - 1 / 365, volatility=0.2, is_call=True)
    assert later.price - call.price == pytest.approx(call.theta, rel=0.01)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize("volatility", [0.05, 0.3, 1.5])
def test_the_volatility_behind_a_price_is_found(*, is_call: bool, volatility: float) -> None:
    price = black_scholes(spot=101, strike=100, years=0.2, volatility=volatility, is_call=is_call).price

    found = implied_volatility(price=price, spot=101, strike=100, years=0.2, is_call=is_call)

    assert found == pytest.approx(volatility, abs=1e-4)
    assert implied_volatility(price=500, spot=101, strike=100, years=0.2, is_call=is_call) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_chain_is_told_exchange_by_exchange(version: int) -> None:
    client = Table().connect(version=version)

    client.api.reqSecDefOptParams(5, "AAPL", "", "STK", 265598)

    told = client.read()
    assert [call.name for call in told] == ["securityDefinitionOptionParameter"] * 5 + [
        "securityDefinitionOptionParameterEnd"
    ]
    request_id, exchange, con_id, trading_class, multiplier, expirations, strikes = told[0].arguments
    assert (request_id, exchange, con_id, trading_class, multiplier) == (5, "SMART", "265598", "AAPL", "100")
    # Fridays from 7 January on, the monthlies up to a year ahead; 19 June is a holiday.
    assert expirations[:3] == ["20260109", "20260116", "20260123"]
    assert expirations[-1] == "20261218"
    assert "20260618" in expirations
    assert "20260619" not in expirations
    assert {187.5, 190.0, 192.5} <= set(strikes)


@pytest.mark.parametrize("asked", [("AAPL", "", "STK", 1), ("MSFT", "", "STK", 265598), ("NOSUCH", "", "STK", 265598)])
def test_a_chain_of_something_else_is_refused(client: JoinedClient, asked: tuple[str, str, str, int]) -> None:
    client.api.reqSecDefOptParams(5, *asked)

    assert client.order_news() == ["error 5 321"]


def test_options_on_futures_are_none_on_a_stock(client: JoinedClient) -> None:
    client.api.reqSecDefOptParams(5, "AAPL", "CME", "STK", 265598)

    assert [call.name for call in client.read()] == ["securityDefinitionOptionParameterEnd"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_option_is_found_by_its_full_description(version: int) -> None:
    client = Table().connect(version=version)

    [found] = details(client, symbol="AAPL", lastTradeDateOrContractMonth="20260220", strike=190.0, right="C")

    contract = found.contract
    assert (contract.symbol, contract.secType, contract.exchange, contract.currency) == ("AAPL", "OPT", "SMART", "USD")
    assert (contract.lastTradeDateOrContractMonth, contract.strike, contract.right) == ("20260220", 190.0, "C")
    assert (contract.multiplier, contract.tradingClass) == ("100", "AAPL")
    assert contract.localSymbol == "AAPL  260220C00190000"
    assert (found.underConId, found.underSymbol, found.underSecType) == (265598, "AAPL", "STK")
    assert (found.contractMonth, found.realExpirationDate, found.minTick) == ("202602", "20260220", 0.01)
    assert found.marketRuleIds.split(",")[0] == "109"
    assert found.longName == "APPLE INC"


def test_an_option_is_found_by_its_names(client: JoinedClient) -> None:
    [by_description] = details(client, symbol="AAPL", lastTradeDateOrContractMonth="20260220", strike=190.0, right="P")
    con_id = by_description.contract.conId

    assert details(client, conId=con_id, secType="", exchange="") == details(client, conId=con_id, exchange="")
    assert details(client, conId=con_id) == [by_description]
    assert details(client, localSymbol="AAPL  260220P00190000") == [by_description]


def test_open_fields_give_everything_that_fits(client: JoinedClient) -> None:
    strikes = details(client, symbol="AAPL", lastTradeDateOrContractMonth="20260220", right="C")
    month = details(client, symbol="AAPL", lastTradeDateOrContractMonth="202601", strike=190.0)

    assert len({found.contract.strike for found in strikes}) == len(strikes) > 50
    dates = [(found.contract.lastTradeDateOrContractMonth, found.contract.right) for found in month]
    assert dates == [(f"202601{day}", right) for day in ("09", "16", "23", "30") for right in "CP"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"symbol": "NOSUCH"},
        {"symbol": "AAPL", "strike": 190.25},
        {"symbol": "AAPL", "lastTradeDateOrContractMonth": "20260221"},
        {"symbol": "AAPL", "right": "X"},
        {"symbol": "AAPL", "exchange": "CME"},
        {"symbol": "AAPL", "multiplier": "10"},
        {"localSymbol": "AAPL  260221C00190000"},
        {"localSymbol": "AAPL  261399C00190000"},
        {"conId": 700_000_000},
        {"conId": 2_000_000_000},
    ],
)
def test_an_option_that_is_not_listed_is_not_found(client: JoinedClient, wanted: dict[str, Any]) -> None:
    client.api.reqContractDetails(5, Contract(**{"secType": "OPT", "exchange": "SMART", **wanted}))

    assert client.order_news() == ["error 5 200"]


def test_an_expired_option_is_found_when_asked_for(table: Table, client: JoinedClient) -> None:
    wanted = {"symbol": "AAPL", "lastTradeDateOrContractMonth": "20260109", "strike": 190.0, "right": "C"}
    [before] = details(client, **wanted)
    table.clock.advance(days=5)

    client.api.reqContractDetails(5, Contract(secType="OPT", exchange="SMART", **wanted))
    assert client.order_news() == ["error 5 200"]
    [after] = details(client, includeExpired=True, **wanted)

    assert after.contract.conId == before.contract.conId


def test_every_option_has_an_id_of_its_own() -> None:
    chains = OptionChains(list(STOCKS), now=lambda: datetime(2026, 1, 7, 15, tzinfo=UTC))
    again = OptionChains(list(STOCKS), now=lambda: datetime(2026, 2, 1, tzinfo=UTC))
    seen: dict[int, str] = {}
    for stock in STOCKS:
        for strike in chains.strikes(stock):
            option = chains.by_key(f"{stock.symbol:<6}260220C{int(strike * 1000):08d}")
            assert option is not None
            assert seen.setdefault(option.con_id, option.key) == option.key
            assert again.by_con_id(option.con_id) == option
            assert 0 < option.con_id < 1 << 31
    assert date(2026, 2, 20) in chains.expirations()


# --- quotes --------------------------------------------------------------------------------------------------


def computations(told: list[Any]) -> dict[int, tuple[float, ...]]:
    return {call.arguments[1]: call.arguments[2:] for call in told if call.name == "tickOptionComputation"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_quote_comes_with_greeks(version: int) -> None:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    client = table.connect(version=version)

    client.api.reqMktData(5, CALL, "", False, False, [])

    told = client.read()
    prices = {call.arguments[1]: call.arguments[2] for call in told if call.name == "priceSizeTick"}
    found = computations(told)
    assert set(found) == {10, 11, 12, 13}
    assert 0 < prices[1] < prices[4] < prices[2]
    attribute, volatility, delta, price, dividend, gamma, vega, theta, spot = found[13]
    assert (attribute, dividend, spot) == (0, 0.0, 190.0)
    assert 0.08 <= volatility <= 2
    assert 0.4 < delta < 0.7
    assert gamma > 0
    assert vega > 0 > theta
    assert price == pytest.approx(prices[4], abs=0.05)
    assert found[10][3] == prices[1]
    assert found[10][1] < found[12][1] < found[11][1]


def test_an_option_follows_its_stock(table: Table, client: JoinedClient) -> None:
    client.api.reqMktData(5, CALL, "", False, False, [])
    before = computations(client.read())

    table.control("set_price", symbol="MSFT", price="400")
    assert client.read() == []
    table.control("set_price", symbol="AAPL", price="195")
    after = computations(client.read())

    assert after[13][8] == 195.0
    assert after[13][3] > before[13][3] + 2
    assert after[13][2] > before[13][2]


def test_delayed_computations_have_types_of_their_own(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="market_data", value="delayed_only")
    client.api.reqMarketDataType(3)

    client.api.reqMktData(5, CALL, "", True, False, [])

    assert set(computations(client.read())) == {80, 81, 82, 83}


def test_a_quote_of_a_whole_chain_is_ambiguous(client: JoinedClient) -> None:
    client.api.reqMktData(5, Option("AAPL", "20260220", exchange="SMART"), "", False, False, [])

    [told] = client.read()
    assert told.arguments[:3] == (5, 200, "The contract description specified for AAPL is ambiguous.")


def test_the_price_and_the_volatility_give_each_other(client: JoinedClient) -> None:
    client.api.calculateOptionPrice(5, CALL, 0.3, 191.0, [])
    [priced] = client.read()
    client.api.calculateImpliedVolatility(6, CALL, priced.arguments[5], 191.0, [])
    [explained] = client.read()

    assert priced.arguments[:3] == (5, 53, 0)
    assert (priced.arguments[3], priced.arguments[10]) == (0.3, 191.0)
    assert explained.arguments[:3] == (6, 53, 0)
    assert explained.arguments[3] == pytest.approx(0.3, abs=1e-6)
    client.api.cancelCalculateOptionPrice(5)
    client.api.cancelCalculateImpliedVolatility(6)
    assert client.read() == []


def test_what_cannot_be_computed_is_told_by_ibs_markers(client: JoinedClient) -> None:
    client.api.calculateImpliedVolatility(6, CALL, 500.0, 191.0, [])

    assert client.read()[0].arguments[3:] == (-1.0, -2.0, -1.0, 0.0, -2.0, -2.0, -2.0, -1.0)


def test_calculations_without_sense_are_refused(client: JoinedClient) -> None:
    client.api.calculateOptionPrice(5, CALL, 0.0, 191.0, [])
    client.api.calculateOptionPrice(6, AAPL, 0.3, 191.0, [])
    client.api.calculateImpliedVolatility(7, Option("AAPL", "20260221", 190, "C", "SMART"), 5.0, 191.0, [])

    assert client.order_news() == ["error 5 321", "error 6 200", "error 7 200"]


# --- rules and orders ----------------------------------------------------------------------------------------


def test_the_rule_of_options_changes_at_three_dollars(client: JoinedClient) -> None:
    client.api.reqMarketRule(109)

    [rule] = client.read()
    assert [(step.lowEdge, step.increment) for step in rule.arguments[1]] == [(0.0, 0.01), (3.0, 0.05)]


def test_a_bought_option_is_a_position(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    table = Table(journal=journal)
    client = table.connect()
    client.place(market("BUY", 2), CALL)

    told = {call.name: call.arguments for call in client.read()}

    contract = told["openOrder"][1]
    assert (contract.secType, contract.strike, contract.right, contract.multiplier) == ("OPT", 190.0, "C", "100")
    assert contract.lastTradeDateOrContractMonth == "20260220"
    assert contract.localSymbol == "AAPL  260220C00190000"
    deal = told["execDetails"]
    assert (deal[1].localSymbol, deal[2].shares) == ("AAPL  260220C00190000", 2)
    client.api.reqPositions()
    [held] = [call.arguments for call in client.read() if call.name == "position"]
    assert (held[1].localSymbol, held[1].conId, held[2]) == ("AAPL  260220C00190000", contract.conId, 2)
    table.gateway.commit()
    journal.close()

    journal = Journal(tmp_path)
    again = Table(journal=journal).connect()
    again.api.reqPositions()

    assert [call.arguments[1].localSymbol for call in again.read() if call.name == "position"] == [contract.localSymbol]
    journal.close()


def test_a_limit_on_an_option_fills_when_the_stock_has_moved(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 1, 3), CALL)
    assert not [line for line in client.order_news() if line.startswith("deal")]

    table.control("set_price", symbol="AAPL", price="180")

    assert [line for line in client.order_news() if line.startswith("deal")] == ["deal 1 BOT 1@3"]


def test_stocks_are_looked_up_as_before(client: JoinedClient) -> None:
    client.api.reqContractDetails(5, Stock("AAPL", "SMART", "USD"))

    told = client.read()
    found = told[0].arguments[1]
    assert (found.contract.conId, found.underConId, found.minSize) == (265598, 0, 0.0001)
    # The holiday of Martin Luther King is not within these days, the weekend is.
    assert found.liquidHours.startswith("20260107:0930-20260107:1600;")
    assert "20260110:CLOSED" in found.liquidHours
    assert found.tradingHours.startswith("20260107:0400-20260107:2000;")
