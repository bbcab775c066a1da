"""Historical bars: what they show, where they begin and end, and which IB would not give."""

from datetime import UTC, datetime
from typing import Any

import pytest
from ib_async import Option, Stock

from tests.simulator.joined import AAPL, JoinedClient, Table

VERSIONS = [157, 163, 170, 176, 178]
TODAY = "20260107"


@pytest.fixture
def table() -> Table:
    table = Table()
    table.control("set_price", symbol="AAPL", price="190")
    return table


@pytest.fixture
def client(table: Table) -> JoinedClient:
    return table.connect(client_id=1)


def ask(client: JoinedClient, contract: Any = AAPL, **more: Any) -> list[Any]:
    wanted = {
        "endDateTime": "",
        "durationStr": "1 D",
        "barSizeSetting": "5 mins",
        "whatToShow": "TRADES",
        "useRTH": True,
        "formatDate": 1,
        "keepUpToDate": False,
        "chartOptions": [],
        **more,
    }
    client.api.reqHistoricalData(5, contract, **wanted)
    return client.read()


def bars(client: JoinedClient, contract: Any = AAPL, **more: Any) -> list[Any]:
    told = ask(client, contract, **more)
    assert told[-1].name == "historicalDataEnd", told
    return [call.arguments[1] for call in told[:-1]]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bar_arrives_whole(version: int) -> None:
    client = Table().connect(version=version)

    last = bars(client)[-1]

    assert last.date == "20260107 10:00:00 US/Eastern"
    assert 0 < last.low <= last.open <= last.high
    assert last.low <= last.average <= last.high
    assert last.volume > 0
    assert last.barCount > 0


def test_bars_of_all_sizes_tell_the_same_story(client: JoinedClient) -> None:
    end = "20260106 16:00:00"
    days = bars(client, barSizeSetting="1 day", endDateTime=end)
    hours = bars(client, barSizeSetting="1 hour", endDateTime=end)
    minutes = bars(client, barSizeSetting="1 min", endDateTime=end)

    assert days[0].open == hours[0].open == minutes[0].open
    assert days[0].close == hours[-1].close == minutes[-1].close
    assert [bar.date[9:14] for bar in hours] == ["09:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"]
    assert len(minutes) == 390


def test_holidays_have_no_bars_and_half_days_end_early(client: JoinedClient) -> None:
    days = bars(client, barSizeSetting="1 day", durationStr="2 W")
    half = bars(client, endDateTime="20251224 20:00:00", barSizeSetting="30 mins")

    assert [bar.date for bar in days] == [
        *("20251226", "20251229", "20251230", "20251231", "20260102", "20260105", "20260106", "20260107"),
    ]
    assert [bar.date[9:14] for bar in half][-1] == "12:30"


def test_bid_and_ask_lie_around_the_price(client: JoinedClient) -> None:
    shown = {kind: bars(client, whatToShow=kind)[-1] for kind in ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK")}

    assert [shown[kind].close for kind in ("BID", "TRADES", "MIDPOINT", "ASK")] == [189.99, 190.0, 190.0, 190.01]
    assert shown["BID_ASK"].low <= shown["BID_ASK"].open < shown["BID_ASK"].close <= shown["BID_ASK"].high
    # Only deals have a volume.
    assert [shown[kind].volume for kind in ("MIDPOINT", "BID", "ASK", "BID_ASK")] == [-1, -1, -1, -1]
    assert shown["MIDPOINT"].average == shown["MIDPOINT"].barCount == -1
    assert bars(client, whatToShow="ADJUSTED_LAST") == bars(client, whatToShow="TRADES")


@pytest.mark.parametrize("kind", ["HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"])
def test_volatilities_are_shares_of_one(client: JoinedClient, kind: str) -> None:
    found = bars(client, whatToShow=kind, barSizeSetting="1 day", durationStr="1 M")

    assert all(0.1 < bar.low <= bar.high < 0.6 for bar in found)


def test_an_option_has_bars_that_follow_its_stock(client: JoinedClient) -> None:
    call = Option("AAPL", "20260220", 190, "C", "SMART", currency="USD")
    client.api.reqMktData(9, call, "", True, False, [])
    last = next(told.arguments[2] for told in client.read() if told.name == "priceSizeTick" and told.arguments[1] == 4)

    found = bars(client, call, durationStr="2 D")

    assert found[-1].close == last
    assert len({bar.close for bar in found}) > 5


def test_a_price_that_jumped_fades_out_of_the_past(table: Table, client: JoinedClient) -> None:
    before = bars(client, barSizeSetting="1 day", durationStr="1 M")
    table.control("set_price", symbol="AAPL", price="100")

    after = bars(client, barSizeSetting="1 day", durationStr="1 M")

    assert after[-1].close == 100.0
    assert after[0].open == pytest.approx(before[0].open, abs=0.1)


@pytest.mark.parametrize("version", [165, 170, 176, 178])
def test_a_schedule_lists_the_sessions(version: int) -> None:
    client = Table().connect(version=version)

    [told] = ask(client, whatToShow="SCHEDULE", barSizeSetting="1 day", durationStr="3 D")

    request_id, begin, end, zone, sessions = told.arguments
    assert (told.name, request_id, zone) == ("historicalSchedule", 5, "US/Eastern")
    assert (begin, end) == ("20260105-09:30:00", "20260107-16:00:00")
    assert [session.refDate for session in sessions] == ["20260105", "20260106", "20260107"]
    assert sessions[0].startDateTime == "20260105-09:30:00"
    assert sessions[0].endDateTime == "20260105-16:00:00"


def test_before_its_version_there_is_no_schedule() -> None:
    client = Table().connect(version=164)

    told = ask(client, whatToShow="SCHEDULE", barSizeSetting="1 day", durationStr="3 D")

    assert [call.arguments[:2] for call in told] == [(5, 321)]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"whatToShow": "SCHEDULE"}, 321),
        ({"whatToShow": "ADJUSTED_LAST", "endDateTime": "20260106 12:00:00"}, 321),
        ({"whatToShow": "BID_ASK", "keepUpToDate": True}, 321),
        ({"barSizeSetting": "1 secs", "durationStr": "600 S", "keepUpToDate": True}, 321),
        ({"durationStr": "86401 S"}, 321),
        ({"durationStr": "400 D"}, 321),
        ({"durationStr": "14 M"}, 321),
        ({"barSizeSetting": "1 secs", "durationStr": "3600 S"}, 162),
        ({"barSizeSetting": "5 secs", "durationStr": "1 D"}, 162),
        ({"barSizeSetting": "30 secs", "durationStr": "2 D"}, 162),
    ],
)
def test_bars_ib_would_not_give_are_refused(client: JoinedClient, wanted: dict[str, Any], code: int) -> None:
    told = ask(client, **wanted)

    assert [call.arguments[:2] for call in told] == [(5, code)]


@pytest.mark.parametrize(("size", "same"), [("1 hours", "1 hour"), ("1D", "1 day"), ("1W", "1 week")])
def test_sizes_may_be_written_in_two_ways(client: JoinedClient, size: str, same: str) -> None:
    asked = {"durationStr": "1 M", "endDateTime": "20260106 16:00:00"}

    assert bars(client, barSizeSetting=size, **asked) == bars(client, barSizeSetting=same, **asked)


def test_weeks_and_months_are_named_after_their_last_day(client: JoinedClient) -> None:
    end = "20260106 16:00:00"
    weeks = bars(client, barSizeSetting="1 week", durationStr="1 M", endDateTime=end)
    months = bars(client, barSizeSetting="1 month", durationStr="1 Y", endDateTime=end)

    assert [bar.date for bar in weeks] == ["20251212", "20251219", "20251226", "20260102", "20260106"]
    assert [bar.date for bar in months][-3:] == ["20251128", "20251231", "20260106"]


def test_a_series_kept_up_to_date_has_an_id_of_its_own(client: JoinedClient) -> None:
    bars(client, keepUpToDate=True)

    told = ask(client, keepUpToDate=True)

    assert [call.arguments[:2] for call in told] == [(5, 322)]


def test_the_same_seed_gives_the_same_bars() -> None:
    def series(seed: int) -> list[Any]:
        end = "20260106 16:00:00"
        return bars(Table(seed=seed).connect(), Stock("MSFT", "SMART", "USD"), durationStr="1 M", endDateTime=end)

    assert series(7) == series(7)
    assert series(7) != series(8)


def test_seconds_since_1970_are_given_when_asked_for(client: JoinedClient) -> None:
    found = bars(client, formatDate=2, endDateTime="20260106-21:00:00")

    assert found[-1].date == str(int(datetime(2026, 1, 6, 20, 55, tzinfo=UTC).timestamp()))


def test_only_the_bars_of_what_moved_are_sent_again(table: Table, client: JoinedClient) -> None:
    bars(client, keepUpToDate=True)

    table.control("set_price", symbol="MSFT", price="400")
    assert client.read() == []
    table.control("set_price", symbol="AAPL", price="191")
    assert [told.name for told in client.read()] == ["historicalDataUpdate"]
