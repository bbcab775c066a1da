"""What is told beside quotes as it happens: bars of five seconds, single ticks, depth; and the past behind them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from ib_async import Option, Stock

from tests.simulator.joined import AAPL, JoinedClient, Table

VERSIONS = [157, 163, 170, 176, 178]
CALL = Option("AAPL", "20260220", 190, "C", "SMART", currency="USD")
TEN = int(datetime(2026, 1, 7, 15, tzinfo=UTC).timestamp())
NASDAQ_AAPL = Stock("AAPL", "NASDAQ", "USD")


def price(table: Table, text: str) -> None:
    table.control("set_price", symbol="AAPL", price=text)


@pytest.fixture
def table() -> Table:
    table = Table()
    price(table, "190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def at_version(version: int) -> tuple[Table, JoinedClient]:
    table = Table()
    price(table, "190")
    return table, table.connect(version=version)


# --- bars of five seconds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bar_is_told_when_its_five_seconds_are_over(version: int) -> None:
    table, client = at_version(version)
    client.api.reqRealTimeBars(5, AAPL, 5, "TRADES", False, [])
    price(table, "191")
    price(table, "189")
    price(table, "190.50")
    assert client.read() == []

    table.clock.advance(seconds=5)
    table.gateway.time_passed()

    [told] = client.read()
    request_id, time, opened, high, low, close, volume, weighted, count = told.arguments
    assert (told.name, request_id, time) == ("realtimeBar", 5, TEN)
    assert (opened, high, low, close) == (190.0, 191.0, 189.0, 190.5)
    assert low < weighted < high
    assert (volume, count) == (0, 0)


def test_bars_follow_the_simulated_time_and_stop_when_cancelled(table: Table, client: JoinedClient) -> None:
    client.api.reqRealTimeBars(5, AAPL, 5, "TRADES", False, [])
    table.clock.advance(seconds=12)
    table.gateway.time_passed()

    assert [told.arguments[1] for told in client.read()] == [TEN, TEN + 5]
    table.clock.advance(hours=1)
    table.gateway.time_passed()
    # After a leap, the last minute only.
    assert len(client.read()) == 12
    client.api.cancelRealTimeBars(5)
    table.clock.advance(seconds=60)
    table.gateway.time_passed()
    assert client.read() == []


def test_a_bar_counts_what_was_traded(table: Table, client: JoinedClient) -> None:
    table.control("release_price", symbol="AAPL")
    client.api.reqRealTimeBars(5, AAPL, 5, "TRADES", False, [])
    table.control("step", n=3)
    table.clock.advance(seconds=5)
    table.gateway.time_passed()

    assert client.read()[0].arguments[6] > 0


@pytest.mark.parametrize(("kind", "expected"), [("MIDPOINT", 190.0), ("BID", 189.99), ("ASK", 190.01)])
def test_bars_of_quotes_have_no_volume(table: Table, client: JoinedClient, kind: str, expected: float) -> None:
    client.api.reqRealTimeBars(5, AAPL, 5, kind, False, [])
    table.clock.advance(seconds=5)
    table.gateway.time_passed()

    assert client.read()[0].arguments[5:] == (expected, -1, -1, -1)


def test_real_time_bars_ib_would_not_give_are_refused(table: Table, client: JoinedClient) -> None:
    client.api.reqRealTimeBars(5, AAPL, 5, "NONSENSE", False, [])
    client.api.reqRealTimeBars(6, AAPL, 30, "TRADES", False, [])
    client.api.reqRealTimeBars(7, Stock("NOSUCH", "SMART", "USD"), 5, "TRADES", False, [])
    client.api.cancelRealTimeBars(8)
    client.api.reqRealTimeBars(9, AAPL, 5, "TRADES", False, [])
    client.api.reqRealTimeBars(9, AAPL, 5, "TRADES", False, [])
    table.control("set_switch", name="market_data", value="delayed_only")
    client.api.reqRealTimeBars(10, AAPL, 5, "TRADES", False, [])

    assert client.order_news() == [
        *("error 5 420", "error 6 420", "error 7 200", "error 8 300", "error 9 322", "error 10 420"),
    ]


# --- single ticks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "number"), [("Last", 1), ("AllLast", 2)])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_deal_is_a_tick(version: int, kind: str, number: int) -> None:
    table, client = at_version(version)
    client.api.reqTickByTickData(5, AAPL, kind, 0, False)
    assert client.read() == []

    price(table, "190.25")

    [told] = client.read()
    request_id, told_number, time, last, size, attributes, exchange, conditions = told.arguments
    assert (told.name, request_id, told_number, time, last) == ("tickByTickAllLast", 5, number, TEN, 190.25)
    assert size > 0
    assert (attributes.pastLimit, attributes.unreported, conditions) == (False, False, "")
    assert exchange
    client.api.cancelTickByTickData(5)
    price(table, "190.50")
    assert client.read() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_quote_is_a_tick(version: int) -> None:
    table, client = at_version(version)
    client.api.reqTickByTickData(5, AAPL, "BidAsk", 0, True)
    client.api.reqTickByTickData(6, AAPL, "MidPoint", 0, True)

    price(table, "200")

    quote, midpoint = client.read()
    request_id, _time, bid, ask, bid_size, ask_size, attributes = quote.arguments
    assert (quote.name, request_id, bid, ask) == ("tickByTickBidAsk", 5, 199.99, 200.01)
    assert min(bid_size, ask_size) > 0
    # The day's high is the last price, so the ask is above it.
    assert (attributes.bidPastLow, attributes.askPastHigh) == (False, True)
    assert (midpoint.name, midpoint.arguments) == ("tickByTickMidPoint", (6, TEN, 200.0))


def test_ticks_of_before_come_first_when_asked_for(client: JoinedClient) -> None:
    client.api.reqTickByTickData(5, AAPL, "Last", 4, False)

    [told] = client.read()
    assert told.name == "historicalTicksLast"
    assert len(told.arguments[1]) == 4


def test_ticks_ib_would_not_give_are_refused(table: Table, client: JoinedClient) -> None:
    client.api.reqTickByTickData(5, AAPL, "Nonsense", 0, False)
    client.api.cancelTickByTickData(5)
    for request_id in (6, 6, 7, 8, 9):
        client.api.reqTickByTickData(request_id, AAPL, "Last", 0, False)
    client.api.cancelTickByTickData(6)
    table.control("set_switch", name="market_data", value="delayed_only")
    client.api.reqTickByTickData(10, AAPL, "Last", 0, False)

    told = client.read()
    assert [call.arguments[:2] for call in told] == [(5, 10189), (5, 300), (6, 322), (9, 10190), (10, 10189)]
    assert told[-1].arguments[2] == "Failed to request tick-by-tick data.No market data permissions for NASDAQ STK"


def past(client: JoinedClient, kind: str, **more: Any) -> Any:
    wanted = {"startDateTime": "", "endDateTime": "20260106 12:00:00", "numberOfTicks": 10, "useRth": True, **more}
    client.api.reqHistoricalTicks(5, AAPL, whatToShow=kind, ignoreSize=False, miscOptions=[], **wanted)
    [told] = client.read()
    return told


@pytest.mark.parametrize("version", VERSIONS)
def test_ticks_of_before_agree_with_one_another(version: int) -> None:
    _table, client = at_version(version)
    lasts, quotes, midpoints = (past(client, kind) for kind in ("TRADES", "BID_ASK", "MIDPOINT"))

    assert [told.name for told in (lasts, quotes, midpoints)] == [
        *("historicalTicksLast", "historicalTicksBidAsk", "historicalTicks"),
    ]
    assert {(told.arguments[0], told.arguments[2], len(told.arguments[1])) for told in (lasts, quotes, midpoints)} == {
        (5, True, 10)
    }
    last, quote, midpoint = (told.arguments[1][-1] for told in (lasts, quotes, midpoints))
    assert last.time == quote.time == midpoint.time == datetime(2026, 1, 6, 17, tzinfo=UTC)
    assert quote.priceBid < last.price == midpoint.price < quote.priceAsk
    assert min(last.size, quote.sizeBid, quote.sizeAsk) >= 100
    assert last.exchange


def test_ticks_go_on_over_night_and_over_the_week_end(client: JoinedClient) -> None:
    before = past(client, "TRADES", endDateTime="20260105 09:30:01", numberOfTicks=4).arguments[1]
    after = past(client, "TRADES", endDateTime="", startDateTime="20260102 15:59:58", numberOfTicks=4).arguments[1]

    assert [f"{tick.time:%d %H:%M:%S}" for tick in before] == [
        *("02 20:59:58", "02 20:59:59", "05 14:30:00", "05 14:30:01"),
    ]
    assert after == before


def test_ticks_agree_with_bars(client: JoinedClient) -> None:
    tick = past(client, "TRADES", endDateTime="20260106 12:00:00", numberOfTicks=1).arguments[1][0]
    client.api.reqHistoricalData(6, AAPL, "20260106 12:00:00", "3600 S", "5 mins", "TRADES", True, 1, False, [])

    assert client.read()[-2].arguments[1].close == tick.price


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"startDateTime": "20260106 10:00:00"}, 10187),
        ({"endDateTime": ""}, 10187),
        ({"endDateTime": "noon"}, 10187),
        ({"numberOfTicks": 0}, 10187),
        ({"numberOfTicks": 1001}, 10187),
    ],
)
def test_ticks_of_before_need_one_time_and_a_number(client: JoinedClient, wanted: dict[str, Any], code: int) -> None:
    assert past(client, "TRADES", **wanted).arguments[:2] == (5, code)


def test_ticks_of_before_have_three_kinds(client: JoinedClient) -> None:
    assert past(client, "OTHER").arguments[:2] == (5, 321)


# --- depth ---------------------------------------------------------------------------------------------------


def book(told: list[Any], *, side: int) -> list[float]:
    """Carry the rows out as a client does, and return the prices of a side."""
    rows: list[float] = []
    for call in told:
        if call.name not in {"updateMktDepth", "updateMktDepthL2"}:
            continue
        arguments = call.arguments if call.name == "updateMktDepth" else call.arguments[:2] + call.arguments[3:]
        _request_id, position, operation, row_side, row_price, _size = arguments[:6]
        if row_side != side:
            continue
        if operation == 0:
            rows.insert(position, row_price)
        elif operation == 1:
            rows[position] = row_price
        else:
            del rows[position]
    return rows


@pytest.mark.parametrize("version", VERSIONS)
def test_the_book_is_told_row_by_row(version: int) -> None:
    table, client = at_version(version)
    client.api.reqMktDepth(5, NASDAQ_AAPL, 4, False, [])

    told = client.read()
    assert {call.name for call in told} == {"updateMktDepth"}
    bids, asks = book(told, side=1), book(told, side=0)
    assert (bids[0], asks[0], len(bids), len(asks)) == (189.99, 190.01, 4, 4)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    price(table, "190.50")
    changes = client.read()
    assert {call.arguments[2] for call in changes} == {1}
    assert book(told + changes, side=1)[0] == 190.49
    client.api.cancelMktDepth(5, False)
    price(table, "190.60")
    assert client.read() == []


def test_rows_that_go_are_deleted(table: Table, client: JoinedClient) -> None:
    client.api.reqMktDepth(5, NASDAQ_AAPL, 4, False, [])
    told = client.read()

    price(table, "0.02")

    changes = client.read()
    assert 2 in {call.arguments[2] for call in changes}
    assert book(told + changes, side=1) == [0.01]


@pytest.mark.parametrize("version", VERSIONS)
def test_smart_depth_names_the_exchanges(version: int) -> None:
    _table, client = at_version(version)

    client.api.reqMktDepth(5, AAPL, 3, True, [])

    notice, *told = client.read()
    assert notice.arguments[:2] == (5, 2152)
    assert {call.name for call in told} == {"updateMktDepthL2"}
    request_id, position, exchange, operation, side, first, size, smart = told[0].arguments
    assert (request_id, position, operation, side, first, smart) == (5, 0, 0, 1, 189.99, True)
    assert exchange
    assert size > 0
    assert book(told, side=0)[0] == 190.01


def test_depth_ib_would_not_give_is_refused(table: Table, client: JoinedClient) -> None:
    client.api.reqMktDepth(5, AAPL, 3, False, [])  # [CAPTURE market_depth_aapl]: SMART needs smart depth.
    client.api.cancelMktDepth(5, False)
    for request_id in (6, 6, 7, 8, 9):
        client.api.reqMktDepth(request_id, NASDAQ_AAPL, 1, False, [])
    table.control("set_switch", name="market_data", value="delayed_only")
    client.api.reqMktDepth(10, NASDAQ_AAPL, 1, False, [])

    assert [line for line in client.order_news() if line.startswith("error")] == [
        *("error 5 10092", "error 5 310", "error 6 322", "error 9 309", "error 10 354"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_exchanges_with_depth_are_listed(version: int) -> None:
    _table, client = at_version(version)

    client.api.reqMktDepthExchanges()

    [told] = client.read()
    first = told.arguments[0][0]
    assert (first.exchange, first.secType, first.serviceDataType, first.aggGroup) == ("ISLAND", "STK", "Deep2", 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_map_of_a_quote_explains_its_exchanges(version: int) -> None:
    _table, client = at_version(version)
    client.api.reqMktData(5, AAPL, "", True, False, [])
    parameters = client.read()[0].arguments

    client.api.reqSmartComponents(6, parameters[2])
    client.api.reqSmartComponents(7, "nothing")

    told, refused = client.read()
    assert told.arguments[0] == 6
    assert (told.arguments[1][1].bitNumber, told.arguments[1][1].exchange, told.arguments[1][1].exchangeLetter) == (
        *(1, "BEX", "B"),
    )
    assert refused.arguments[:2] == (7, 321)


# --- how far the past reaches --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_past_has_a_beginning(version: int) -> None:
    _table, client = at_version(version)

    client.api.reqHeadTimeStamp(5, AAPL, "TRADES", True, 1)
    client.api.reqHeadTimeStamp(6, AAPL, "TRADES", True, 2)
    client.api.reqHeadTimeStamp(7, AAPL, "NONSENSE", True, 2)
    client.api.cancelHeadTimeStamp(5)

    as_text, as_number, refused = client.read()
    assert as_text.arguments == (5, "20040123-14:30:00")
    assert as_number.arguments == (6, str(int(datetime(2004, 1, 23, 14, 30, tzinfo=UTC).timestamp())))
    assert refused.arguments[:2] == (7, 321)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_histogram_counts_shares_by_price(version: int) -> None:
    _table, client = at_version(version)

    client.api.reqHistogramData(5, AAPL, True, "3 days")
    client.api.reqHistogramData(6, AAPL, True, "soon")
    client.api.cancelHistogramData(5)

    told, refused = client.read()
    rows = told.arguments[1]
    assert told.arguments[0] == 5
    assert [row.price for row in rows] == sorted({row.price for row in rows})
    assert all(row.count > 0 for row in rows)
    assert refused.arguments[:2] == (6, 321)


def test_an_option_has_ticks_and_depth_too(table: Table, client: JoinedClient) -> None:
    client.api.reqTickByTickData(5, CALL, "MidPoint", 0, True)
    client.api.reqMktDepth(6, Option("AAPL", "20260220", 190, "C", "CBOE", currency="USD"), 2, False, [])
    client.read()

    price(table, "195")

    assert {told.name for told in client.read()} == {"tickByTickMidPoint", "updateMktDepth"}
