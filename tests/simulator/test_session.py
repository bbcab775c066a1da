"""The byte stream: handshake, framing, wrong and random bytes. Nothing may crash, hang or answer too early."""

import struct
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ib_simulator.errors import MalformedMessage, ProtocolError
from ib_simulator.fields import FieldReader, decode_fields, encode_fields, parse_decimal, parse_integer
from ib_simulator.framing import FRAME_LENGTH_MAX, PREAMBLE, FrameReader, frame
from ib_simulator.messages.ids import REQUEST_NAMES, UNSERVED, Request
from tests.simulation.fuzz import Case, failure_of, new_case, shrink
from tests.simulator.joined import AAPL, Table, limit, market, split_frames

NOTHING_TO_ANSWER = {2, 14, 25, 59, 63, 64, 77, 58, 15}


# --- frames and fields ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_frames_come_out_the_same_however_the_stream_is_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = PREAMBLE + b"".join(frame(payload) for payload in payloads)
    reader, found, rest = FrameReader(), [], stream
    while rest:
        cut = data.draw(st.integers(min_value=1, max_value=len(rest)))
        found += reader.feed(rest[:cut])
        rest = rest[cut:]
    assert found == payloads


def test_a_stream_that_is_not_the_api_is_refused_at_once() -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(b"GET / HTTP/1.1\r\n")


def test_a_frame_longer_than_any_real_one_is_refused() -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(PREAMBLE + struct.pack(">I", FRAME_LENGTH_MAX + 1))


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_fields_survive_the_wire(texts: list[str]) -> None:
    assert decode_fields(encode_fields(texts)) == texts


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("10", 10), ("10.0", 10), ("2147483647", None), ("-3", -3), ("1.7976931348623157E308", None)],
)
def test_integers(text: str, value: int | None) -> None:
    assert parse_integer(text) == value


@pytest.mark.parametrize("text", ["x", "1.5", "nan", "inf", "1e300", "99999999999999999999"])
def test_what_is_not_an_integer(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_integer(text)


@pytest.mark.parametrize("text", ["x", "nan", "Infinity", "1e300", "1e-300"])
def test_what_is_not_a_number(text: str) -> None:
    with pytest.raises(MalformedMessage):
        parse_decimal(text)


def test_flags_are_digits_or_words() -> None:
    reader = FieldReader(["1", "0", "true", "False", ""])
    assert [reader.flag() for _ in range(5)] == [True, False, True, False, False]


def test_a_negative_number_of_groups_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        FieldReader(["-1"]).count(most=3)


# --- handshake -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "version"),
    [("v157..178", 178), ("v100..225", 178), ("v157..163", 163), ("v178", 178), ("v157..178 +PACEAPI", 178)],
)
def test_the_version_is_the_highest_both_speak(offered: str, version: int) -> None:
    session = Table().open(offered=offered)

    [greeting] = split_frames(session.take_output())
    assert decode_fields(greeting) == [str(version), "20260107 10:00:00 EST"]
    assert not session.closing


def test_connect_options_are_kept() -> None:
    assert Table().open(offered="v157..178 +PACEAPI").connect_options == "+PACEAPI"


@pytest.mark.parametrize("offered", ["v100..156", "v200..190", "hello", "", "v", "v9999999..1"])
def test_a_version_nobody_speaks_ends_the_connection(offered: str) -> None:
    session = Table().open(offered=offered)

    assert session.closing
    assert session.take_output() == b""


def test_nothing_is_said_before_start_api() -> None:
    session = Table().open()
    session.take_output()

    for payload in (b"61\x001\x00", b"9999\x00", b"\x00", b"3\x00"):
        session.receive(frame(payload))

    assert session.take_output() == b""
    assert not session.closing


def test_a_client_without_orders_gets_accounts_id_and_notices() -> None:
    table = Table(accounts=("DU1", "DU2"))
    session = table.open()
    session.take_output()

    session.receive(frame(b"71\x002\x005\x00\x00"))

    assert [decode_fields(payload) for payload in split_frames(session.take_output())] == [
        ["15", "1", "DU1,DU2"],
        ["9", "1", "1"],
        ["4", "2", "-1", "2104", "Market data farm connection is OK:usfarm", ""],
        ["4", "2", "-1", "2106", "HMDS data farm connection is OK:ushmds", ""],
        ["4", "2", "-1", "2158", "Sec-def data farm connection is OK:secdefnj", ""],
    ]


@pytest.mark.parametrize(
    ("switch", "first"), [("on", ["5", "3", "53", "15", "9"]), ("off", ["15", "9", "4", "4", "4"])]
)
def test_a_client_with_working_orders_gets_them_first(switch: str, first: list[str]) -> None:
    table = Table()
    table.control("set_switch", name="open_orders_on_connect", value=switch)
    client = table.connect(client_id=1)
    client.place(limit("BUY", 1, 150))
    client.session.close()
    session = table.open()
    session.take_output()

    session.receive(frame(b"71\x002\x001\x00\x00"))

    numbers = [decode_fields(payload)[0] for payload in split_frames(session.take_output())]
    assert numbers[:5] == first


def test_a_client_id_in_use_is_error_326_and_the_end() -> None:
    table = Table()
    table.connect(client_id=1)
    session = table.open()
    session.take_output()

    session.receive(frame(b"71\x002\x001\x00\x00"))

    [refusal] = split_frames(session.take_output())
    assert decode_fields(refusal)[:4] == ["4", "2", "-1", "326"]
    assert session.closing
    session.receive(frame(b"61\x001\x00"))
    assert session.take_output() == b""


def test_no_more_clients_than_a_gateway_takes() -> None:
    table = Table()
    for client_id in range(32):
        assert not table.connect(client_id=client_id).session.closing

    assert table.connect(client_id=99).session.closing


def test_a_second_start_api_is_an_error() -> None:
    client = Table().connect()

    client.raw(b"71\x002\x001\x00\x00")

    assert client.order_news() == ["error -1 321"]


# --- wrong messages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted(UNSERVED))
def test_a_request_that_is_not_served_is_an_error_on_its_id(number: int) -> None:
    client = Table().connect()
    _name, position = UNSERVED[number]
    fields = [str(number), "1", "1", "1", "1"]
    if position is not None:
        fields[position] = "42"

    client.raw(encode_fields(fields))

    assert client.order_news() == [f"error {-1 if position is None else 42} 321"]


@pytest.mark.parametrize("payload", [b"999\x00", b"\x00", b"", b"x\x00", b"99999999999999999999999\x00", b"-5\x00"])
def test_a_number_that_is_no_message_is_an_error(payload: bytes) -> None:
    client = Table().connect()

    client.raw(payload)

    [told] = client.read()
    assert (told.arguments[0], told.arguments[1] in {320, 505}) == (-1, True)


@pytest.mark.parametrize("number", sorted(set(REQUEST_NAMES) - NOTHING_TO_ANSWER))
def test_a_request_cut_short_is_answered_and_the_connection_lives_on(number: int) -> None:
    client = Table().connect()

    client.raw(encode_fields([number]))

    assert client.frames()
    client.raw(b"49\x001\x00")
    assert client.frames()[0][0] == "49"


def test_a_malformed_order_is_answered_on_its_id() -> None:
    client = Table().connect()

    client.raw(encode_fields([3, 17, "abc"]))

    [told] = client.read()
    assert told.arguments[:2] == (17, 320)


def test_one_byte_at_a_time_gives_the_same_bytes_back() -> None:
    script = PREAMBLE + frame(b"v157..178")
    for payload in (
        b"71\x002\x001\x00\x00",
        b"61\x001\x00",
        b"5\x001\x00",
        b"7\x003\x004\x000" + b"\x00" * 7,
        b"8\x001\x001\x00",
    ):
        script += frame(payload)
    whole, single = Table().gateway.open_session(), Table().gateway.open_session()
    whole.receive(script)
    for byte in script:
        single.receive(bytes([byte]))

    assert single.take_output() == whole.take_output() != b""


def conversation() -> bytes:
    """What a client says from the first byte on: connecting, a quote, an order, its cancel."""
    client = Table().connect()
    sent: list[str] = []
    client.api.sendMsg = sent.append
    client.api.reqMktData(7, AAPL, "", False, False, [])
    client.place(limit("BUY", 10, 150, tif="GTC"))
    client.api.cancelOrder(1)
    payloads = [b"v157..178", b"71\x002\x001\x00\x00", *(message.encode() for message in sent)]
    return PREAMBLE + b"".join(frame(payload) for payload in payloads)


def test_a_conversation_split_at_every_byte_position_gives_the_same_bytes_back() -> None:
    script = conversation()
    table = Table()
    whole = table.gateway.open_session()
    whole.receive(script)
    expected = whole.take_output()
    assert len(script) > 250
    assert b"Cancelled" in expected

    for position in range(1, len(script)):
        table = Table()
        session = table.gateway.open_session()
        session.receive(script[:position])
        first = session.take_output()
        session.receive(script[position:])
        assert first + session.take_output() == expected, position


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_spoilt_conversations_of_real_clients_find_no_mistake(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - reproducible, not secret.
    assert failure_of(new_case(chance, requests_max=15)) is None


def test_the_search_for_mistakes_finds_one_and_shortens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("ib_simulator.dispatch.PLAIN", {Request.REQ_CURRENT_TIME: broken})
    script = PREAMBLE + frame(b"v157..178") + frame(b"71\x002\x001\x00\x00") + frame(b"49\x001\x00") * 3

    assert "KeyError" in str(failure_of(Case(script, 3, 0)))
    assert len(shrink(Case(script, 3, 0)).stream) < len(script) - 10


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=200), max_size=6))
def test_arbitrary_bytes_never_crash(chunks: list[bytes]) -> None:
    session = Table().gateway.open_session()
    for chunk in chunks:
        session.receive(chunk)
    split_frames(session.take_output())


_FIELD = st.one_of(
    st.sampled_from(["", "0", "1", "-1", "10", "190.5", "AAPL", "STK", "SMART", "USD", "BUY", "LMT", "MKT", "DAY"]),
    st.text(max_size=6),
    st.integers().map(str),
    st.floats().map(str),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 110), st.lists(_FIELD, max_size=150)), max_size=5))
def test_arbitrary_fields_never_crash_and_leave_the_stream_whole(messages: list[tuple[int, list[str]]]) -> None:
    client = Table().connect()
    for number, fields in messages:
        client.raw(encode_fields([number, *fields]))
    client.frames()
    client.raw(b"49\x001\x00")
    assert [fields[0] for fields in client.frames()] == ["49"]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 120), _FIELD)
def test_an_order_with_any_one_field_spoilt_never_crashes(position: int, value: str) -> None:
    table = Table()
    client = table.connect()
    sent: list[str] = []
    client.api.sendMsg = sent.append
    client.place(market("BUY", 10))
    fields = sent[0].split("\0")[:-1]
    fields[position % len(fields)] = value

    client.raw(encode_fields(fields))

    client.frames()
    client.raw(b"49\x001\x00")
    assert [answer[0] for answer in client.frames()] == ["49"]
    table.control("state")
