"""Faults on demand: messages lost, doubled, late, in another order; connections that break; mistakes that are seen."""

from typing import Any

import pytest

from ib_simulator import control
from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.handlers import connection
from ib_simulator.messages.ids import Request
from tests.simulator.joined import ACCOUNT, JoinedClient, Table, limit, market, split_frames, stop

TIME_REQUEST = b"49\x001\x00"
START = b"71\x002\x001\x00\x00"


def buy(table: Table, client: JoinedClient) -> list[str]:
    """Buy at the market and return what the client hears of it, in short lines."""
    table.control("set_price", symbol="AAPL", price="190")
    client.place(market("BUY", 10))
    return [line.split("@")[0] for line in client.order_news() if not line.startswith("open")]


CALM_NEWS = ["status 1 PreSubmitted 0/10", "deal 1 BOT 10", "status 1 Filled 10/0", "commission 1"]


def test_without_faults() -> None:
    table = Table()
    assert buy(table, table.connect()) == CALM_NEWS


# --- messages ------------------------------------------------------------------------------------------------


def test_a_status_that_never_comes() -> None:
    table = Table()
    client = table.connect()
    table.control("lose", messages=["orderStatus:Filled"], count=1)

    assert buy(table, client) == [line for line in CALM_NEWS if "Filled" not in line]
    assert table.orders()[0]["status"] == "Filled"
    assert table.control("faults")["faults"]["rules"] == []


def test_a_request_that_never_ends() -> None:
    table = Table()
    first, second = table.connect(client_id=1), table.connect(client_id=2)
    table.control("lose", messages=["openOrderEnd"], client_id=1)

    for client in (first, second):
        client.api.reqOpenOrders()

    assert first.frames() == []
    assert [told.name for told in second.read()] == ["openOrderEnd"]


def test_filled_before_its_execution() -> None:
    """B3: in a recorded modification to a market order Filled came before execDetails and commission. [CAPTURE]"""
    table = Table()
    client = table.connect()
    table.control("reorder", messages=["execDetails"], after="orderStatus:Filled", count=1)

    assert buy(table, client) == [CALM_NEWS[0], CALM_NEWS[2], CALM_NEWS[1], CALM_NEWS[3]]


def test_a_late_commission_is_overtaken() -> None:
    table = Table()
    client = table.connect()
    table.control("delay_messages", messages=["commissionReport"], ms=2000)

    assert buy(table, client) == CALM_NEWS[:3]
    client.raw(TIME_REQUEST)
    assert [told.name for told in client.read()] == ["currentTime"]
    table.clock.advance(seconds=2)
    assert client.order_news() == ["commission 1"]


def test_a_duplicate_status() -> None:
    """B3: "Often there are duplicate orderStatus messages". [DOC CAMPUS 5305]"""
    table = Table()
    client = table.connect()
    table.control("duplicate", messages=["orderStatus"])

    news = buy(table, client)

    assert [line for line in news if line.startswith("status")] == [CALM_NEWS[0]] * 2 + [CALM_NEWS[2]] * 2


def test_what_waits_to_be_overtaken_goes_out_when_faults_are_cleared() -> None:
    table = Table()
    client = table.connect()
    table.control("reorder", messages=["currentTime"], after="nextValidId")
    client.raw(TIME_REQUEST)
    assert client.frames() == []

    table.control("clear_faults")

    assert [fields[0] for fields in client.frames()] == ["49"]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("lose", {"messages": []}),
        ("duplicate", {"messages": ["error"], "count": 0}),
        ("delay_messages", {"messages": ["error"], "ms": -1}),
        ("reorder", {"messages": ["error"], "after": "error"}),
        ("drop_on", {"message": "placeOrder", "when": "later"}),
        ("fail_connect", {"kind": "politely"}),
        ("fail_connect", {"kind": "no_handshake", "client_id": 1}),
        ("hold_client_id", {"client_id": 1, "seconds": -1}),
        ("daily_restart", {"at": "noon"}),
        ("set_limit", {"name": "messages_per_second", "value": 0}),
        ("outage", {"restored": 1103}),
        ("farm", {"state": "happy"}),
    ],
)
def test_what_cannot_be_is_refused(command: str, arguments: dict[str, Any]) -> None:
    assert Table().control(command, **arguments)["code"] == "bad_value"


def test_a_limit_that_does_not_exist() -> None:
    assert Table().control("set_limit", name="patience", value=1)["code"] == "unknown_limit"


# --- connections that break ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "placed", "told"), [("before", 0, False), ("after", 1, True), ("unanswered", 1, False)]
)
def test_a_connection_breaks_at_a_message(when: str, placed: int, told: bool) -> None:
    table = Table()
    client = table.connect()
    client.raw(TIME_REQUEST)
    table.control("drop_on", message="placeOrder", when=when)

    client.place(limit("BUY", 10, 150))

    numbers = [fields[0] for fields in client.frames()]
    assert numbers[0] == "49"
    assert (len(numbers) > 1) is told
    assert len(table.orders()) == placed
    assert client.session.is_finished
    assert table.control("state")["connections"] == []


def test_it_breaks_at_the_nth_message_of_that_client_only() -> None:
    table = Table()
    first, second = table.connect(client_id=1), table.connect(client_id=2)
    table.control("drop_on", message="*", client_id=2, count=2)

    for client in (first, second, first, second):
        client.raw(TIME_REQUEST)

    assert (first.session.closing, second.session.closing) == (False, True)
    assert len(second.frames()) == 1


def test_a_frozen_connection_moves_no_bytes_until_it_thaws() -> None:
    table = Table()
    client, other = table.connect(client_id=1), table.connect(client_id=2)
    client.raw(TIME_REQUEST)
    table.control("freeze", client_id=1)

    client.place(limit("BUY", 10, 150))
    other.raw(TIME_REQUEST)

    assert client.frames() == []
    assert not client.session.wants_reading
    assert client.session.next_due_ms() is None
    assert (table.orders(), len(other.frames())) == ([], 1)
    assert table.connect(client_id=1).session.closing, "the id of a half-open connection is busy"
    table.control("thaw", client_id=1)
    assert [fields[0] for fields in client.frames()][:2] == ["49", "5"]
    assert client.session.wants_reading


def test_a_frozen_connection_can_be_dropped() -> None:
    table = Table()
    client = table.connect()
    table.control("freeze")
    client.raw(TIME_REQUEST)

    table.control("drop_connections")

    assert client.session.is_finished
    assert client.session.take_output() == b""


def test_a_connection_is_closed_as_soon_as_it_is_made() -> None:
    table = Table()
    table.control("fail_connect", kind="close_at_once", count=2)

    sessions = [table.open() for _ in range(3)]

    assert [session.closing for session in sessions] == [True, True, False]
    assert sessions[0].take_output() == b""


def test_a_handshake_is_never_answered() -> None:
    table = Table()
    table.control("fail_connect", kind="no_handshake")
    session = table.open()
    session.receive(frame(START))

    assert (session.take_output(), session.closing) == (b"", False)
    assert table.open().take_output() != b""


def test_a_connection_is_closed_right_after_start_api() -> None:
    """A6: "connection drops right after connect on some Gateways". [ISSUE ib_async #169]"""
    table = Table()
    table.control("fail_connect", kind="close_after_start", client_id=1)
    other, session = table.connect(client_id=2), table.open()
    session.take_output()

    session.receive(frame(START))

    assert (session.is_finished, other.session.closing) == (True, False)
    assert not table.connect(client_id=1).session.closing


def test_accounts_that_come_empty() -> None:
    table = Table()
    table.control("fail_connect", kind="empty_accounts")
    session = table.open()
    session.take_output()

    session.receive(frame(START))

    assert split_frames(session.take_output())[0] == b"15\x001\x00\x00"


def test_the_next_id_comes_late_or_never() -> None:
    table = Table()
    table.control("delay_messages", messages=["nextValidId"], ms=5000, count=1)
    table.control("lose", messages=["managedAccounts"], count=1)
    session = table.open()
    session.take_output()

    session.receive(frame(START))

    assert [payload[:2] for payload in split_frames(session.take_output())] == [b"4\x00"] * 3
    table.clock.advance(seconds=5)
    assert session.take_output().endswith(b"9\x001\x001\x00")


def test_a_client_id_stays_busy_for_a_while() -> None:
    """A6: disconnecting is not synchronous, so a quick return meets 326. [ISSUE ib_insync #376]"""
    table = Table()
    table.control("hold_client_id", client_id=1, seconds=3)

    assert table.connect(client_id=1).session.closing
    assert not table.connect(client_id=2).session.closing
    table.clock.advance(seconds=3)
    table.gateway.wake()
    assert not table.connect(client_id=1).session.closing


def test_a_restart_of_the_gateway_drops_forgets_drafts_and_gives_ids_again() -> None:
    """B4: ids were given out again after an automatic restart. [ISSUE Lean.Brokerages.IB #242]"""
    table = Table()
    client = table.connect()
    client.place(limit("BUY", 10, 150, orderRef="working"))
    client.place(limit("BUY", 10, 150, orderRef="draft", transmit=False))

    answer = table.control("restart_gateway", seconds=20, roll_back_ids_by=1)

    assert answer["dropped"] == 1
    assert client.session.closing
    assert not table.gateway.scenario.accepting
    table.clock.advance(seconds=20)
    table.gateway.wake()
    assert table.gateway.scenario.accepting
    assert table.gateway.book.next_valid_id(1) == 2
    assert [order.order_ref for order in table.gateway.book.active()] == ["working"]
    assert table.gateway.book.drafts() == []
    back = table.connect()
    back.next_order_id = 1
    back.place(stop("SELL", 10, 100))
    assert [line for line in back.order_news() if line.startswith("error")] == []


def test_the_daily_restart_comes_with_the_clock() -> None:
    table = Table()
    client = table.connect()
    table.control("daily_restart", at="23:45")  # It is 10:00 in New York.

    table.clock.advance(hours=13, minutes=40)
    table.gateway.time_passed()
    assert not client.session.closing
    table.clock.advance(minutes=6)
    table.gateway.time_passed()

    assert client.session.closing
    table.clock.advance(seconds=30)
    table.gateway.wake()
    again = table.connect()
    table.gateway.time_passed()
    assert not again.session.closing
    table.clock.advance(hours=24)
    table.gateway.time_passed()
    assert again.session.closing


# --- mistakes in the simulator itself ------------------------------------------------------------------------


def test_a_mistake_in_a_handler_is_logged_with_the_frame_and_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object) -> None:
        raise KeyError("oops")

    monkeypatch.setitem(connection.PLAIN, Request.REQ_CURRENT_TIME, broken)
    monkeypatch.setattr("ib_simulator.dispatch.PLAIN", connection.PLAIN)
    client = Table().connect()

    client.raw(TIME_REQUEST)

    assert client.order_news() == ["error -1 322"]
    assert TIME_REQUEST.hex() in caplog.text
    assert "KeyError" in caplog.text
    client.raw(b"17\x001\x00")
    assert client.frames() == [["15", "1", ACCOUNT]]


def test_a_mistake_in_a_command_is_logged_and_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object) -> dict[str, Any]:
        raise ZeroDivisionError("oops")

    monkeypatch.setitem(control.COMMANDS, "ping", broken)

    answer = Table().control("ping")

    assert (answer["ok"], answer["code"]) == (False, "internal_error")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("start", [b"63\0", b"63\0" + b"1\0", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_from_before_the_protocol_is_closed_with_a_clear_log(
    start: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    session = Table().gateway.open_session()

    session.receive(start)

    assert session.is_finished
    assert "not with b'API\\x00'" in caplog.text
    assert ("an old client" in caplog.text) is start.startswith(b"63")


def test_a_huge_message_is_answered_and_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    table = Table()
    client = table.connect()

    client.raw(b"3\x00" + b"9" * 5_000_000 + b"\x00")

    assert client.frames()[0][3] == "320"
    assert len(caplog.text) < 20_000
    assert len(str(table.control("messages", name="placeOrder")["messages"])) < 20_000


def test_a_number_longer_than_any_is_answered() -> None:
    client = Table().connect()

    client.raw(b"9" * 10_000 + b"\x00")

    assert client.order_news() == ["error -1 320"]


def test_preamble_in_pieces() -> None:
    session = Table().gateway.open_session()
    for byte in PREAMBLE + frame(b"v157..178"):
        session.receive(bytes([byte]))
    assert len(split_frames(session.take_output())) == 1
