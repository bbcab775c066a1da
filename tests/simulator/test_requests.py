"""Questions and their answers: accounts, positions, executions, quotes, bars."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from ib_async import ExecutionFilter, Stock

from tests.simulator.joined import AAPL, JoinedClient, Table, limit, market


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def names(client: JoinedClient) -> list[str]:
    return [told.name for told in client.read()]


# --- orders and executions -----------------------------------------------------------------------------------


def test_open_orders_are_the_clients_own_all_are_everyones(table: Table, client: JoinedClient) -> None:
    client.place(limit("BUY", 1, 150))
    client.place(market("BUY", 1))
    client.place(limit("BUY", 1, 150, transmit=False))
    other = table.connect(client_id=2)
    other.place(limit("BUY", 2, 150))
    client.read()

    client.api.reqOpenOrders()
    assert names(client) == ["openOrder", "orderStatus", "openOrderEnd"]
    client.api.reqAllOpenOrders()
    assert names(client) == ["openOrder", "orderStatus"] * 2 + ["openOrderEnd"]


def test_the_next_id_is_given_on_request(client: JoinedClient) -> None:
    client.place(limit("BUY", 1, 150, orderId=41))
    client.read()

    client.api.reqIds(1)

    assert client.read()[0].arguments == (42,)


def test_completed_orders_are_todays(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 1))
    client.place(limit("BUY", 1, 150))
    client.read()

    client.api.reqCompletedOrders(False)
    assert names(client) == ["completedOrder", "completedOrdersEnd"]
    table.clock.advance(days=1)
    client.api.reqCompletedOrders(False)
    assert names(client) == ["completedOrdersEnd"]


def test_completed_orders_of_the_api_only_leave_manual_ones_out(table: Table, client: JoinedClient) -> None:
    table.control("place_external", symbol="AAPL", action="BUY", quantity="3")

    client.api.reqCompletedOrders(True)
    assert names(client) == ["completedOrdersEnd"]
    client.api.reqCompletedOrders(False)
    assert names(client) == ["completedOrder", "completedOrdersEnd"]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 3),
        ({"clientId": 1}, 2),
        ({"clientId": 9}, 0),
        ({"acctCode": "DU1234567"}, 3),
        ({"acctCode": "DU7654321"}, 0),
        ({"symbol": "MSFT"}, 1),
        ({"secType": "OPT"}, 0),
        ({"exchange": "SMART"}, 3),
        ({"side": "SELL"}, 1),
        ({"side": "BOT"}, 2),
        ({"time": "20260107 09:00:00"}, 3),
        ({"time": "20260107 11:00:00"}, 1),
        ({"time": "20260107-16:00:00"}, 1),
        ({"time": "20260107 15:30:00 UTC"}, 1),
    ],
)
def test_executions_pass_the_filter(table: Table, client: JoinedClient, wanted: dict[str, Any], count: int) -> None:
    client.place(market("BUY", 2))
    client.place(market("SELL", 1))
    table.clock.advance(hours=1, minutes=30)
    table.connect(client_id=2).place(market("BUY", 1), Stock("MSFT", "SMART", "USD"))
    client.read()

    client.api.reqExecutions(8, ExecutionFilter(**wanted))

    told = names(client)
    assert told.count("execDetails") == told.count("commissionReport") == count
    assert told[-1] == "execDetailsEnd"


@pytest.mark.parametrize("wanted", [{"time": "yesterday"}, {"time": "20261399 10:00:00"}, {"side": "HOLD"}])
def test_a_filter_that_cannot_be_read_is_refused(client: JoinedClient, wanted: dict[str, str]) -> None:
    client.api.reqExecutions(8, ExecutionFilter(**wanted))

    assert client.order_news() == ["error 8 321"]


def test_by_switch_client_zero_in_the_filter_means_own(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="executions_client_filter", value="zero_means_own")
    table.connect(client_id=2).place(market("BUY", 1))

    client.api.reqExecutions(8, ExecutionFilter())

    assert names(client) == ["execDetailsEnd"]


def test_a_closing_deal_tells_its_profit(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    table.control("set_price", symbol="AAPL", price="195")
    client.read()

    client.place(market("SELL", 10))

    [report] = [told.arguments[0] for told in client.read() if told.name == "commissionReport"]
    # Bought at 190.01, sold at 194.99, 1 USD commission each way.
    assert report.realizedPNL == pytest.approx(47.8)


# --- accounts ------------------------------------------------------------------------------------------------


def test_positions_are_sent_and_kept_up_to_date(client: JoinedClient) -> None:
    client.api.reqPositions()
    assert names(client) == ["positionEnd"]

    client.place(market("BUY", 10))
    [told] = [told for told in client.read() if told.name == "position"]
    account, contract, quantity, cost = told.arguments
    assert (account, contract.symbol, quantity) == ("DU1234567", "AAPL", 10)
    assert cost == pytest.approx(190.11)

    client.api.reqPositions()
    assert names(client) == ["position", "positionEnd"]
    client.api.cancelPositions()
    client.place(market("SELL", 10))
    assert "position" not in names(client)


def test_account_updates_end_and_go_on(table: Table, client: JoinedClient) -> None:
    client.place(market("BUY", 10))
    client.read()

    client.api.reqAccountUpdates(True, "DU1234567")
    told = client.read()
    values = {call.arguments[0]: call.arguments[1] for call in told if call.name == "updateAccountValue"}
    assert values["TotalCashValue"] == "998098.90"
    assert values["NetLiquidation"] == "999998.90"
    assert Decimal(values["BuyingPower"]) == 4 * Decimal(values["AvailableFunds"])
    [held] = [call.arguments for call in told if call.name == "updatePortfolio"]
    assert (held[1], held[2], held[3], held[7]) == (10, 190.0, 1900.0, "DU1234567")
    assert [call.name for call in told[-2:]] == ["updateAccountTime", "accountDownloadEnd"]

    client.place(market("SELL", 10))
    after = client.read()
    assert [call.arguments[1] for call in after if call.name == "updatePortfolio"] == [0]
    table.gateway.push_due_values()
    later = {call.arguments[0]: call.arguments[1] for call in client.read() if call.name == "updateAccountValue"}
    assert later["TotalCashValue"] == "999997.80"
    table.gateway.push_due_values()
    assert client.read() == []
    client.api.reqAccountUpdates(False, "DU1234567")
    table.control("set_account_value", key="NetLiquidation", value="5.00")
    assert client.read() == []


def test_an_account_that_is_not_there_is_refused(client: JoinedClient) -> None:
    client.api.reqAccountUpdates(True, "U1")
    client.api.reqAccountUpdatesMulti(5, "U1", "", False)

    assert client.order_news() == ["error -1 321", "error 5 321"]


def test_account_updates_multi_end_and_follow(table: Table, client: JoinedClient) -> None:
    client.api.reqAccountUpdatesMulti(5, "DU1234567", "", False)
    told = client.read()
    assert told[-1].name == "accountUpdateMultiEnd"
    assert told[0].arguments[:3] == (5, "DU1234567", "")

    table.control("set_account_value", key="NetLiquidation", value="5.00")
    assert (5, "DU1234567", "", "NetLiquidation", "5.00", "USD") in [call.arguments for call in client.read()]
    client.api.cancelAccountUpdatesMulti(5)
    table.control("set_account_value", key="NetLiquidation", value="6.00")
    assert client.read() == []


def test_an_account_summary_has_the_tags_asked_for(table: Table) -> None:
    table = Table(accounts=("DU1", "DU2"))
    client = table.connect()

    client.api.reqAccountSummary(5, "All", "NetLiquidation,AccountType")

    told = client.read()
    assert [call.arguments for call in told] == [
        (5, "DU1", "AccountType", "INDIVIDUAL", ""),
        (5, "DU1", "NetLiquidation", "1000000.00", "USD"),
        (5, "DU2", "AccountType", "INDIVIDUAL", ""),
        (5, "DU2", "NetLiquidation", "1000000.00", "USD"),
        (5,),
    ]
    client.api.cancelAccountSummary(5)
    assert client.read() == []


def test_managed_accounts_and_the_time_are_given_on_request(client: JoinedClient) -> None:
    client.api.reqManagedAccts()
    client.api.reqCurrentTime()
    client.api.setServerLogLevel(1)

    accounts, time = client.read()
    assert accounts.arguments == ("DU1234567",)
    assert time.arguments[0] == int(datetime(2026, 1, 7, 15, tzinfo=UTC).timestamp())


# --- quotes --------------------------------------------------------------------------------------------------


def ticks(client: JoinedClient) -> dict[int, float]:
    return {told.arguments[1]: told.arguments[2] for told in client.read() if told.name == "priceSizeTick"}


def test_a_snapshot_ends(client: JoinedClient) -> None:
    client.api.reqMktData(5, AAPL, "", True, False, [])

    told = client.read()
    prices = {call.arguments[1]: call.arguments[2] for call in told if call.name == "priceSizeTick"}
    assert (prices[1], prices[2], prices[4], prices[9]) == (189.99, 190.01, 190.0, 190.0)
    assert [call.name for call in told[:2]] == ["tickReqParams", "marketDataType"]
    assert told[-1].name == "tickSnapshotEnd"


def test_a_stream_tells_changes_until_it_is_cancelled(table: Table, client: JoinedClient) -> None:
    client.api.reqMktData(5, AAPL, "", False, False, [])
    client.read()

    table.control("set_price", symbol="AAPL", price="189.50")
    assert ticks(client) == {1: 189.49, 2: 189.51, 4: 189.5, 7: 189.5}
    client.api.cancelMktData(5)
    table.control("set_price", symbol="AAPL", price="189.60")
    assert client.read() == []


def test_a_stream_that_is_not_there_or_twice_is_an_error(client: JoinedClient) -> None:
    client.api.cancelMktData(5)
    client.api.reqMktData(6, AAPL, "", False, False, [])
    client.api.reqMktData(6, AAPL, "", False, False, [])
    client.api.reqMktData(7, AAPL, "233", True, False, [])
    client.api.reqMktData(8, Stock("NOSUCH", "SMART", "USD"), "", True, False, [])
    client.api.cancelHistoricalData(9)

    assert client.order_news() == ["error 5 300", "error 6 322", "error 7 321", "error 8 200", "error 9 366"]


def test_without_live_data_delayed_data_must_be_asked_for(table: Table, client: JoinedClient) -> None:
    table.control("set_switch", name="market_data", value="delayed_only")

    client.api.reqMktData(5, AAPL, "", True, False, [])
    assert client.order_news() == ["error 5 354"]
    client.api.reqMarketDataType(3)
    client.api.reqMktData(6, AAPL, "", True, False, [])

    told = client.read()
    assert told[0].arguments[:2] == (6, 10167)
    assert {call.arguments[1] for call in told if call.name == "priceSizeTick"} >= {66, 67, 68, 75}
    assert [call.arguments for call in told if call.name == "marketDataType"] == [(6, 3)]


def test_a_market_rule_is_a_cent(client: JoinedClient) -> None:
    client.api.reqMarketRule(26)
    client.api.reqMarketRule(27)

    rule, refused = client.read()
    assert (rule.arguments[0], rule.arguments[1][0].increment) == (26, 0.01)
    assert refused.arguments[:2] == (-1, 10015)


# --- bars ----------------------------------------------------------------------------------------------------


def bars(client: JoinedClient, **more: Any) -> list[Any]:
    wanted = {
        "endDateTime": "",
        "durationStr": "1 D",
        "barSizeSetting": "15 mins",
        "whatToShow": "TRADES",
        "useRTH": True,
        "formatDate": 1,
        "keepUpToDate": False,
        "chartOptions": [],
        **more,
    }
    client.api.reqHistoricalData(5, AAPL, **wanted)
    return client.read()


@pytest.mark.parametrize(
    ("size", "duration", "count"),
    [
        ("1 min", "3600 S", 60),
        ("5 mins", "1 D", 7),
        ("15 mins", "2 D", 3 + 26),
        # A bar begins on the hour; the first of the day at 09:30.
        ("1 hour", "1 W", 2 + 4 * 7),
        # Without Christmas and New Year.
        ("1 day", "1 M", 20),
        ("1 week", "1 Y", 53),
    ],
)
def test_bars_have_the_size_asked_for_and_end_at_the_price(
    client: JoinedClient, size: str, duration: str, count: int
) -> None:
    told = bars(client, barSizeSetting=size, durationStr=duration)

    series = [call.arguments[1] for call in told if call.name == "historicalData"]
    assert len(series) == count
    assert series[-1].close == 190.0
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in series)
    if size == "5 mins":  # One session: no gaps over night.
        assert [one.close for one in series[:-1]] == [after.open for after in series[1:]]
    assert told[-1].name == "historicalDataEnd"
    assert [call.arguments[1] for call in bars(client, barSizeSetting=size, durationStr=duration)[:-1]] == series


@pytest.mark.parametrize(
    ("wanted", "date"),
    [
        ({}, "20260107 10:00:00 US/Eastern"),
        ({"formatDate": 2}, str(int(datetime(2026, 1, 7, 15, tzinfo=UTC).timestamp()))),
        ({"barSizeSetting": "1 day"}, "20260107"),
        ({"endDateTime": "20260106 12:00:00"}, "20260106 11:45:00 US/Eastern"),
        ({"endDateTime": "20260106-17:00:00"}, "20260106 11:45:00 US/Eastern"),
        ({"endDateTime": "20260106 18:00:00 Europe/Berlin"}, "20260106 11:45:00 US/Eastern"),
        ({"useRTH": False, "endDateTime": "20260105 19:00:00"}, "20260105 18:45:00 US/Eastern"),
        ({"endDateTime": "20260104 12:00:00"}, "20260102 15:45:00 US/Eastern"),
    ],
)
def test_the_last_bar_begins_before_the_end(client: JoinedClient, wanted: dict[str, Any], date: str) -> None:
    told = bars(client, **wanted)

    assert told[-2].arguments[1].date == date


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"barSizeSetting": "7 mins"}, 321),
        ({"durationStr": "1 X"}, 321),
        ({"durationStr": "soon"}, 321),
        ({"whatToShow": "NONSENSE"}, 321),
        ({"endDateTime": "yesterday"}, 321),
        ({"endDateTime": "20260106 12:00:00 Nowhere/Land"}, 321),
        ({"endDateTime": "20260106 12:00:00", "keepUpToDate": True}, 321),
        ({"barSizeSetting": "1 secs", "durationStr": "1 Y"}, 162),
        ({"barSizeSetting": "1 secs", "durationStr": "1 D", "endDateTime": "20260106 18:00:00"}, 162),
    ],
)
def test_bars_ib_would_not_give_are_refused(client: JoinedClient, wanted: dict[str, Any], code: int) -> None:
    told = bars(client, **wanted)

    assert [call.arguments[:2] for call in told] == [(5, code)]


@pytest.mark.parametrize("size", ["5 mins", "1 day"])
def test_bars_are_kept_up_to_date_until_cancelled(table: Table, client: JoinedClient, size: str) -> None:
    bars(client, barSizeSetting=size, keepUpToDate=True)

    table.control("set_price", symbol="AAPL", price="188")
    [told] = client.read()
    assert (told.name, told.arguments[0], told.arguments[1].close) == ("historicalDataUpdate", 5, 188.0)
    client.api.cancelHistoricalData(5)
    table.control("set_price", symbol="AAPL", price="189")
    assert client.read() == []
