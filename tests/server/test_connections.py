"""The web process waits for nobody for ever, and a full house makes room for who sends a whole request."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from app.config.connections import Limits
from app.config.serve import PatientServer, connections_max, server_config
from tests.eventually import eventually

pytestmark = pytest.mark.case("S9")

PLACES = 40
WHOLE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
LIMITS = Limits(connections_max=PLACES, head_seconds=1, body_seconds=1, next_seconds=1, unread_seconds=1)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a body of the length of what was sent, 16 MB, or a piece now and then for as long as somebody listens."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    seen = f"{scope['scheme']} {scope['client'][0]}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-seen", seen)]})
    body = b"x" * (16_000_000 if scope["path"] == "/large" else length + 1)
    if scope["path"] == "/stream":
        leaving = asyncio.ensure_future(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"piece", "more_body": True})
            await asyncio.wait([leaving], timeout=0.2)
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(limits: Limits) -> Iterator[PatientServer]:
    config = server_config(application, timeout_graceful_shutdown=1)
    config.lifespan = "off"
    server = PatientServer(config, limits=limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture
def no_alerts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been written as an alert: here there is no database."""
    told: list[str] = []
    monkeypatch.setattr("app.config.serve._alert_write", told.append)
    monkeypatch.setattr("app.config.serve.REPORT_SECONDS", 1)
    monkeypatch.setattr("app.config.serve.QUIET_SECONDS", 1)
    return told


@pytest.fixture
def server(no_alerts: list[str]) -> Iterator[PatientServer]:
    with serving(LIMITS) as server:
        yield server


def dial(server: PatientServer, sent: bytes = b"", *, receive_buffer: int = 0) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(10)
    client.connect(("127.0.0.1", server.servers[0].sockets[0].getsockname()[1]))
    client.sendall(sent)
    return client


def rest_of(client: socket.socket) -> bytes:
    """Return what comes until the other end closes."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            heard += piece
    return heard


def status_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n")[0]


def is_answered(server: PatientServer) -> bool:
    with dial(server, WHOLE) as client:
        return client.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("sent", "first_line"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"\r\n\r\n", b"HTTP/1.1 408 Request Timeout", id="empty lines"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"HTTP/1.1 408 Request Timeout", id="half a head"),
        pytest.param(POST + b"12", b"HTTP/1.1 408 Request Timeout", id="half a body"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n",
            b"HTTP/1.1 408 Request Timeout",
            id="half a chunked body",
        ),
        pytest.param(WHOLE, b"HTTP/1.1 200 OK", id="idle after an answer"),
        pytest.param(WHOLE + WHOLE[:9], b"HTTP/1.1 200 OK", id="half a head after an answer"),
    ],
)
def test_nobody_is_waited_for_for_ever(server: PatientServer, sent: bytes, first_line: bytes) -> None:
    with dial(server, sent) as client:
        assert status_of(rest_of(client)) == first_line


@pytest.mark.case("S46")
@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /api/v1/setups/ HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /api/v1/setups/ HTTP/1.1\r\nHost a\r\n\r\n",
        b"GET /api/v1/setups/ HTTP/1.1\r\nHost: a\r\nB\x00d: x\r\n\r\n",
        b"POST /api/v1/setups/ HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/setups/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_what_is_no_http_is_told_so_in_json(server: PatientServer, sent: bytes) -> None:
    with dial(server, sent) as client:
        head, _, content = rest_of(client).partition(b"\r\n\r\n")
    assert status_of(head) == b"HTTP/1.1 400 Bad Request"
    assert b"content-type: application/json" in head.split(b"\r\n")
    told = json.loads(content)
    assert (sorted(told), told["code"], told["details"]) == (["code", "details", "message"], "request_refused", {})


@pytest.mark.case("S46")
def test_no_refusal_is_taken_for_the_answer_to_the_request_before(server: PatientServer) -> None:
    """Given a request that came whole and is being answered, when nonsense follows it, then it is not answered 400."""
    with dial(server, STREAM) as client:
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.sendall(b"nonsense\r\n\r\n")
        assert b"HTTP/1.1 400" not in rest_of(client)


@pytest.mark.parametrize("before", [b"GET / HTTP/1.1\r\nX-Slow: ", POST, WHOLE + b"GET / HTTP/1.1\r\nX: ", b"\r\n"])
def test_a_byte_now_and_then_buys_no_time(server: PatientServer, before: bytes) -> None:
    with dial(server, before) as client:
        client.settimeout(0.1)
        heard, ends_at = b"", time.monotonic() + 10
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() < ends_at:
                client.sendall(b"\n" if before == b"\r\n" else b"" if before == POST else b"x")
                with contextlib.suppress(TimeoutError):
                    if not (piece := client.recv(1000)):
                        break
                    heard += piece
    assert time.monotonic() < ends_at, "it was held open"


def test_who_does_not_read_the_answer_is_hung_up_on(server: PatientServer) -> None:
    with dial(server, LARGE, receive_buffer=4096):
        eventually(lambda: len(server.guard) == 1)
        eventually(lambda: len(server.guard) == 0)


def test_a_stream_goes_on_past_every_limit(server: PatientServer) -> None:
    with dial(server, STREAM + WHOLE[:9]) as client:
        heard = b""
        while heard.count(b"piece") < 15:  # Three seconds of it: three times each limit.
            heard += client.recv(1000)
    assert is_answered(server)


def test_a_slow_but_steady_user_is_answered(server: PatientServer) -> None:
    with dial(server, POST[:20]) as client:
        client.sendall(POST[20:])
        client.sendall(b"12")
        client.sendall(b"34")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "held", [b"", b"GET / HTTP/1.1\r\n", POST, WHOLE], ids=["idle", "half head", "no body", "idle after"]
)
def test_a_full_house_ends_the_idle_and_answers_the_user(held: bytes, no_alerts: list[str]) -> None:
    patient = Limits(connections_max=PLACES, head_seconds=60, body_seconds=60, next_seconds=60)
    with serving(patient) as server, ExitStack() as clients:
        for _ in range(3 * PLACES):
            clients.enter_context(dial(server, held))
            assert len(server.guard) <= PLACES
        assert all(is_answered(server) for _ in range(20))


def test_where_all_are_streams_the_longest_makes_room(no_alerts: list[str]) -> None:
    with serving(LIMITS) as server, ExitStack() as clients:
        streams = [clients.enter_context(dial(server, STREAM)) for _ in range(PLACES)]
        for stream in streams:
            assert b"piece" in stream.recv(1000) + stream.recv(1000)
        assert is_answered(server)
        assert b"piece" in rest_of(streams[0]), "the oldest ended"


def test_one_alert_tells_of_a_flood_and_ends_by_itself(server: PatientServer, no_alerts: list[str]) -> None:
    with ExitStack() as clients:
        for _ in range(2 * PLACES):
            clients.enter_context(dial(server))
        told = eventually(lambda: [text for text in no_alerts if text])
    assert "came from 127.0.0.1" in told[0]
    eventually(lambda: no_alerts[-1] == "")


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"GET /", id="address"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", id="header"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", id="trailer"),
    ],
)
def test_no_head_grows_without_end(server: PatientServer, begun: bytes) -> None:
    with dial(server, begun) as client, pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.sendall(b"x" * 10_000_000)


def test_a_large_body_in_small_pieces_is_taken(server: PatientServer) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000
    with dial(server, chunked + b"0\r\n\r\n") as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_places_follow_from_the_descriptors() -> None:
    assert [connections_max(descriptors) for descriptors in (64, 1_024, 20_000)] == [16, 448, 2_000]


@pytest.mark.case("S10")
@pytest.mark.parametrize("header", ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "Forwarded: for=6.6.6.6"])
def test_what_a_client_writes_changes_neither_its_address_nor_the_scheme(server: PatientServer, header: str) -> None:
    with dial(server, WHOLE.replace(b"Host: a", b"Host: a\r\n" + header.encode())) as client:
        assert b"x-seen: http 127.0.0.1\r\n" in client.recv(1000)


OFFERS = {
    "java": b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA\r\nUpgrade: h2c\r\n",
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
    "two lines": b"Connection: keep-alive\r\nUpgrade: TLS/1.3\r\nConnection: upgrade\r\n",
}
BODIES = {
    "length": (b"Content-Length: 4\r\n\r\n", b"four"),
    "chunked": (b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nfour\r\n0\r\n\r\n"),
}


def length_of(answer: bytes) -> int:
    """Return how long the body of a chunked answer is."""
    return answer.partition(b"\r\n\r\n")[2].count(b"x")


def one_answer(client: socket.socket) -> bytes:
    heard = b""
    while not heard.endswith(b"\r\n0\r\n\r\n"):
        piece = client.recv(1000)
        assert piece, heard
        heard += piece
    return heard


@pytest.mark.case("S70")
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("pieces", ["whole", "head first", "byte by byte"])
def test_an_offer_to_speak_another_protocol_costs_no_body(
    server: PatientServer, offer: bytes, body: tuple[bytes, bytes], pieces: str
) -> None:
    # Given a request with a body that offers another protocol, and one behind it that does not
    head = b"PATCH /a?b=c HTTP/1.1\r\nHost: a\r\n" + offer + body[0]
    with dial(server) as client:
        if pieces == "byte by byte":
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in head + body[1]:
                client.sendall(bytes([byte]))
        else:
            client.sendall(head)
            if pieces == "head first":
                threading.Event().wait(0.1)  # Two segments: the server has read the first one by then.
            client.sendall(body[1])
        # Then its body is read, and the connection goes on with the next one
        assert length_of(one_answer(client)) == 4 + 1
        client.sendall(WHOLE.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        assert length_of(rest_of(client)) == 1


@pytest.mark.case("S70")
def test_an_offer_does_not_let_a_second_request_through_in_a_body(server: PatientServer) -> None:
    # Given a body that looks like a request
    inner = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\n" + OFFERS["java"].replace(b"Upgrade, ", b"close, Upgrade, ")
    with dial(server, head + b"Content-Length: %d\r\n\r\n" % len(inner) + inner) as client:
        assert length_of(rest_of(client)) == len(inner) + 1
    # And one whose length is told in two ways is none, with the offer as without
    with dial(server, head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") as client:
        assert status_of(rest_of(client)) == b"HTTP/1.1 400 Bad Request"
