"""Lines that are slow, jittery, or cut the stream: everything arrives, in order, when due, the same every time."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_simulator.faults.wire import CALM, Line, Outbox
from ib_simulator.framing import PREAMBLE, frame
from tests.simulator.joined import JoinedClient, Table, limit, market, split_frames

TIME_REQUEST = b"49\x001\x00"

LINES = st.builds(
    Line,
    delay_ms=st.integers(0, 50),
    jitter_ms=st.integers(0, 50),
    merge_ms=st.integers(0, 50),
    merge_bytes=st.integers(0, 20),
    piece_min=st.just(1),
    piece_max=st.integers(0, 5),
    gap_ms=st.integers(0, 5),
    bytes_per_second=st.integers(0, 500),
)


def drain(outbox: Outbox, line: Line) -> list[tuple[float, bytes]]:
    """Take everything, going from one due moment to the next."""
    taken: list[tuple[float, bytes]] = []
    now = 0.0
    while (due := outbox.next_due_ms(line=line)) is not None:
        assert len(taken) < 1000
        now = max(now, due)
        pieces = outbox.take(now_ms=now, line=line)
        taken += [(now, piece) for piece in pieces]
    return taken


@settings(max_examples=100, deadline=None)
@given(LINES, st.lists(st.tuples(st.binary(min_size=1, max_size=12), st.integers(0, 30)), max_size=10))
def test_whatever_the_line_does_all_bytes_arrive_in_order_and_the_same_again(
    line: Line, sent: list[tuple[bytes, int]]
) -> None:
    def run() -> list[tuple[float, bytes]]:
        outbox, now = Outbox(seed="7:1"), 0.0
        for data, wait in sent:
            now += wait
            outbox.put(data, now_ms=now, line=line)
        return drain(outbox, line)

    taken = run()

    assert b"".join(piece for _, piece in taken) == b"".join(data for data, _ in sent)
    assert [at for at, _ in taken] == sorted(at for at, _ in taken)
    assert run() == taken


def test_a_calm_line_gives_everything_at_once_as_one_piece() -> None:
    outbox = Outbox(seed="7:1")
    outbox.put(b"one", now_ms=0)
    outbox.put(b"two", now_ms=0)

    assert outbox.take(now_ms=0) == [b"onetwo"]
    assert outbox.is_empty
    assert outbox.next_due_ms() is None


def test_delay_and_jitter_keep_the_order() -> None:
    line, outbox = Line(delay_ms=100, jitter_ms=400), Outbox(seed="7:1")
    for number in range(50):
        outbox.put(bytes([number]), now_ms=0, line=line)

    assert outbox.take(now_ms=99, line=line) == []
    taken = drain(outbox, line)
    assert b"".join(piece for _, piece in taken) == bytes(range(50))
    assert 100 <= taken[0][0] < taken[-1][0] <= 500


def test_what_was_delayed_is_not_overtaken_when_the_line_gets_calm_again() -> None:
    outbox = Outbox(seed="7:1")
    outbox.put(b"first", now_ms=0, line=Line(delay_ms=100))
    outbox.put(b"second", now_ms=1, line=CALM)

    assert outbox.take(now_ms=1) == []
    assert outbox.take(now_ms=100) == [b"firstsecond"]


def test_merged_bytes_wait_for_the_time_or_the_size() -> None:
    line, outbox = Line(merge_ms=50, merge_bytes=6), Outbox(seed="7:1")
    outbox.put(b"one", now_ms=0, line=line)
    assert outbox.take(now_ms=49, line=line) == []
    assert outbox.take(now_ms=50, line=line) == [b"one"]

    outbox.put(b"two", now_ms=60, line=line)
    assert outbox.take(now_ms=60, line=line) == []
    outbox.put(b"three", now_ms=61, line=line)
    assert outbox.take(now_ms=61, line=line) == [b"twothree"]


def test_a_slow_line_carries_no_more_than_it_may() -> None:
    line, outbox = Line(bytes_per_second=1000), Outbox(seed="7:1")
    outbox.put(b"x" * 500, now_ms=0, line=line)

    taken = drain(outbox, line)

    assert taken[-1][0] == 450
    for moment in range(0, 500, 50):
        assert sum(len(piece) for at, piece in taken if at <= moment) <= 50 + moment


def test_the_size_says_what_waits() -> None:
    line, outbox = Line(delay_ms=10), Outbox(seed="7:1")
    outbox.put(b"12345", now_ms=0, line=line)
    assert outbox.size == 5

    outbox.take(now_ms=10, line=line)

    assert outbox.size == 0


# --- through a session ---------------------------------------------------------------------------------------


def take_all(table: Table, client: JoinedClient) -> list[bytes]:
    """Let time pass until nothing is due any more."""
    pieces: list[bytes] = []
    while (due := client.session.next_due_ms()) is not None:
        assert len(pieces) < 10_000
        table.clock.advance(milliseconds=max(due - table.clock.monotonic_ms(), 0))
        pieces += client.session.take_pieces()
    return pieces


def bracket_conversation(table: Table, client: JoinedClient) -> None:
    table.control("set_price", symbol="AAPL", price="190")
    parent = client.place(limit("BUY", 10, 191, transmit=False))
    client.place(limit("SELL", 10, 250, parentId=parent))
    client.place(market("BUY", 1))


@pytest.mark.parametrize(
    "properties", [{"piece_min": 1, "piece_max": 1}, {"piece_min": 2, "piece_max": 9, "gap_ms": 3}, {"jitter_ms": 20}]
)
def test_a_conversation_is_the_same_over_a_bad_line(properties: dict[str, int]) -> None:
    calm = Table()
    client = calm.connect()
    bracket_conversation(calm, client)
    expected = client.session.take_output()

    bad = Table()
    client = bad.connect()
    bad.control("set_line", client_id=1, **properties)
    bracket_conversation(bad, client)
    pieces = take_all(bad, client)

    assert b"".join(pieces) == expected
    if "piece_max" in properties:
        assert max(len(piece) for piece in pieces) <= properties["piece_max"]


def test_one_client_is_slow_and_the_other_is_not() -> None:
    table = Table()
    slow, quick = table.connect(client_id=1), table.connect(client_id=2)
    table.control("set_line", client_id=1, delay_ms=1000)

    slow.raw(TIME_REQUEST)
    quick.raw(TIME_REQUEST)

    assert (slow.frames(), len(quick.frames())) == ([], 1)
    table.clock.advance(seconds=1)
    assert len(slow.frames()) == 1


def test_a_line_of_everybody_and_back_to_calm() -> None:
    table = Table()
    client = table.connect()
    table.control("set_line", delay_ms=1000)
    client.raw(TIME_REQUEST)
    assert client.frames() == []

    assert table.control("set_line", delay_ms=0)["line"]["delay_ms"] == 0

    client.raw(TIME_REQUEST)
    table.clock.advance(seconds=1)
    assert len(client.frames()) == 2
    assert table.control("faults")["faults"]["lines"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"delay_ms": -1}, "bad_value"),
        ({"piece_min": 3, "piece_max": 2}, "bad_value"),
        ({"merge_bytes": 10}, "missing_argument"),
    ],
)
def test_a_line_that_cannot_be(arguments: dict[str, Any], code: str) -> None:
    assert Table().control("set_line", **arguments)["code"] == code


def test_a_refused_client_still_hears_why_over_a_slow_line() -> None:
    table = Table()
    table.connect(client_id=1)
    table.control("set_line", delay_ms=100)
    session = table.gateway.open_session()

    session.receive(PREAMBLE + frame(b"v157..178") + frame(b"71\x002\x001\x00\x00"))

    assert session.closing
    assert not session.is_finished
    table.clock.advance(milliseconds=100)
    [_greeting, refusal] = split_frames(session.take_output())
    assert b"326" in refusal
    assert session.is_finished
