"""How fast a client may ask: 50 messages a second, rejected or read later; historical bars; market data lines."""

from typing import Any

import pytest
from ib_async import Stock

from ib_simulator.errors import Refusal
from ib_simulator.faults.pacing import HistoryMeter
from ib_simulator.framing import frame
from tests.simulator.joined import AAPL, JoinedClient, Table, limit

TIME_REQUEST = b"49\x001\x00"


def ask(client: JoinedClient, times: int) -> None:
    client.session.receive(frame(TIME_REQUEST) * times)


def paced(value: str) -> tuple[Table, JoinedClient]:
    table = Table()
    table.control("set_switch", name="pacing", value=value)
    return table, table.connect()


def test_without_pacing_everything_is_answered() -> None:
    client = Table().connect()
    ask(client, 500)
    assert len(client.frames()) == 500


# --- reject --------------------------------------------------------------------------------------------------


def test_fifty_messages_in_a_second_are_no_violation() -> None:
    table, client = paced("reject")
    for _ in range(5):
        ask(client, 50)
        table.clock.advance(seconds=1.1)
        table.gateway.wake()

    assert {fields[0] for fields in client.frames()} == {"49"}


def test_the_third_second_with_too_many_messages_ends_the_connection() -> None:
    """B7: "error 100, connection dropped at the 3rd violation". [DOC CAMPUS 612-640]"""
    table, client = paced("reject")
    told = []
    for extra in (1, 88, 20):
        ask(client, 50 + extra)
        assert not client.session.closing
        table.clock.advance(seconds=1.1)
        table.gateway.wake()
        told += [one.arguments[:3] for one in client.read() if one.name == "error"]

    text = "Max rate of messages per second has been exceeded:max=50 rec={} ({})"
    assert told == [(-1, 100, text.format(51, 1)), (-1, 100, text.format(138, 2)), (-1, 100, text.format(70, 3))]
    assert client.session.is_finished


def test_the_message_that_closes_the_third_second_is_not_carried_out() -> None:
    table, client = paced("reject")
    for _ in range(3):
        ask(client, 51)
        table.clock.advance(seconds=1.1)
    client.frames()

    client.place(limit("BUY", 10, 150))

    assert (client.session.closing, table.orders()) == (True, [])


def test_what_is_too_much_is_not_carried_out() -> None:
    _table, client = paced("reject")
    ask(client, 60)
    assert len(client.frames()) == 50


def test_the_limit_may_be_another() -> None:
    table, client = paced("reject")
    table.control("set_limit", name="messages_per_second", value=5)
    ask(client, 8)
    assert len(client.frames()) == 5


# --- slow ----------------------------------------------------------------------------------------------------


def test_what_is_too_much_is_read_later() -> None:
    """B7: without the setting "TWS delays reading". [DOC CAMPUS 612-640]"""
    table, client = paced("slow")
    ask(client, 120)

    answered = [len(client.frames())]
    assert not client.session.wants_reading
    for _ in range(2):
        due = client.session.next_due_ms()
        assert due is not None
        table.clock.advance(milliseconds=due - table.clock.monotonic_ms())
        table.gateway.wake()
        answered.append(len(client.frames()))

    assert answered == [50, 50, 20]
    assert client.session.wants_reading


def test_each_connection_has_a_limit_of_its_own() -> None:
    table, first = paced("slow")
    second = table.connect(client_id=2)
    ask(first, 60)
    ask(second, 40)
    assert (len(first.frames()), len(second.frames())) == (50, 40)


# --- historical bars -----------------------------------------------------------------------------------------


def check(meter: HistoryMeter, at_seconds: float, what: Any = "a", group: Any = "g", weight: int = 1) -> bool:
    try:
        meter.check(now_ms=at_seconds * 1000, what=what, group=group, weight=weight)
    except Refusal as refusal:
        return refusal.code != 162
    return True


def test_no_identical_request_within_fifteen_seconds() -> None:
    meter = HistoryMeter()
    assert [check(meter, at) for at in (0, 14.9, 15.1)] == [True, False, True]


def test_fewer_than_six_for_one_contract_in_two_seconds() -> None:
    meter = HistoryMeter()
    assert [check(meter, 0.1 * number, what=number) for number in range(6)] == [True] * 5 + [False]
    assert check(meter, 0.6, what="x", group="other")
    assert check(meter, 2.1, what="y")


@pytest.mark.parametrize(("weight", "allowed"), [(1, 60), (2, 30)])
def test_sixty_in_ten_minutes_where_bid_ask_counts_twice(weight: int, allowed: int) -> None:
    meter = HistoryMeter()
    got = [check(meter, 5 * number, what=number, group=number, weight=weight) for number in range(allowed + 1)]
    assert got == [True] * allowed + [False]
    assert check(meter, 601, what="later", weight=weight)


@pytest.mark.parametrize(("size", "codes"), [("5 secs", [162]), ("1 min", [])])
def test_only_short_bars_are_paced_and_by_switch(size: str, codes: list[int]) -> None:
    table = Table()
    client = table.connect()
    table.control("set_switch", name="historical_pacing", value="on")
    for request_id in (1, 2):
        client.api.reqHistoricalData(request_id, AAPL, "", "1800 S", size, "TRADES", True, 1, False, [])

    told = client.read()

    assert [one.arguments[1] for one in told if one.name == "error"] == codes


# --- market data lines ---------------------------------------------------------------------------------------


def test_no_more_lines_than_the_limit() -> None:
    table = Table()
    client = table.connect()
    table.control("set_limit", name="market_data_lines", value=2)
    for request_id, symbol in enumerate(("AAPL", "MSFT", "AMD")):
        client.api.reqMktData(request_id, Stock(symbol, "SMART", "USD"), "", False, False, [])

    refused = [one.arguments[:3] for one in client.read() if one.name == "error"]

    assert refused == [(2, 101, "Max number of tickers has been reached")]
    client.api.cancelMktData(0)
    client.api.reqMktData(3, Stock("AMD", "SMART", "USD"), "", False, False, [])
    assert [one for one in client.read() if one.name == "error"] == []
