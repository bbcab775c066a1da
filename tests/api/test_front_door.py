"""Bodies have a limit before anybody reads them, and a request that is no text is answered, not failed on."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from app.config.asgi import application
from app.config.front_door import BODY_BYTES_MAX, FrontDoor
from tests.api.web_server import raw_answer, request, talk, web_server
from tests.eventually import eventually

LIMIT = 1000
ADDRESSES = ["/healthz", "/api/v1/setups/", "/api/v1/token/", "/api/nothing", "/setups/", "/admin/login/", "/static/x"]


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with how many bytes it was given; it gives up where the client is gone."""
    received = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        received += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(received).encode()})


class Line:
    """One request at ASGI level: its pieces, how many of them were asked for, and what was answered."""

    def __init__(self, *pieces: bytes, path: str = "/api/v1/setups/", **headers: str) -> None:
        self.pieces = list(pieces)
        self.asked = 0
        self.sent: list[dict[str, Any]] = []
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": named}

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if not self.pieces:
            return {"type": "http.disconnect"}
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces)}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))

    def answer(self, door: FrontDoor) -> tuple[int, bytes]:
        asyncio.run(door(self.scope, self.receive, self.send))
        starts = [message["status"] for message in self.sent if message["type"] == "http.response.start"]
        assert len(starts) == 1, self.sent
        return starts[0], b"".join(message.get("body", b"") for message in self.sent)


@pytest.mark.case("S23")
class TestLimit:
    def test_a_body_up_to_the_limit_is_handed_on(self) -> None:
        line = Line(b"x" * 600, b"x" * 400)
        assert line.answer(FrontDoor(echo, body_bytes_max=LIMIT)) == (200, b"1000")

    def test_a_body_above_it_is_cut_off_where_the_limit_is_passed(self) -> None:
        line = Line(*[b"x" * 500] * 100)
        status, told = line.answer(FrontDoor(echo, body_bytes_max=LIMIT))
        assert (status, json.loads(told)["code"]) == (413, "body_too_large")

    def test_nothing_is_read_of_a_body_that_is_announced_too_large(self) -> None:
        handed_on: list[int] = []

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            handed_on.append(1)

        line = Line(b"x" * 1001, content_length="1001")
        assert line.answer(FrontDoor(noting, body_bytes_max=LIMIT))[0] == 413
        assert handed_on == []

    def test_the_answer_leaves_before_the_rest_is_asked_for(self) -> None:
        line = Line(*[b"x" * 500] * 10, content_length="5000")
        asked_when_answered: list[int] = []

        async def send(message: Any) -> None:
            asked_when_answered.append(line.asked)

        asyncio.run(FrontDoor(echo, body_bytes_max=LIMIT)(line.scope, line.receive, send))
        assert asked_when_answered[:2] == [0, 0], "head and body of the answer"

    @pytest.mark.parametrize("length", ["", "-1", "1e3", "abc", "５０００"])
    def test_a_length_that_is_none_is_counted_instead(self, length: str) -> None:
        line = Line(*[b"x" * 500] * 3, content_length=length)
        assert line.answer(FrontDoor(echo, body_bytes_max=LIMIT))[0] == 413

    def test_people_are_told_in_words(self) -> None:
        line = Line(b"", path="/setups/new/", content_length="5000")
        status, told = line.answer(FrontDoor(echo, body_bytes_max=LIMIT))
        assert (status, told.startswith(b"{")) == (413, False)


@pytest.mark.parametrize("second", [b"a", b"b"])
def test_two_keys_are_refused(second: bytes) -> None:
    line = Line(b"")
    line.scope["headers"] = [(b"idempotency-key", b"a"), (b"Idempotency-Key", second)]
    status, told = line.answer(FrontDoor(echo))
    assert (status, json.loads(told)["code"]) == (400, "idempotency_key_invalid")


@pytest.mark.case("S14")
@pytest.mark.parametrize("kind", [b"application/json; charset=hex", b"text/html;CHARSET='utf-16'", b"a/b; charset=x"])
def test_a_body_in_another_charset_is_refused(kind: bytes) -> None:
    line = Line(b"{}")
    line.scope["headers"] = [(b"content-type", kind)]
    status, told = line.answer(FrontDoor(echo))
    assert (status, json.loads(told)["code"]) == (415, "media_type_unsupported")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with web_server(application) as port:
        yield port


@pytest.mark.case("S23")
class TestOverASocket:
    @pytest.mark.parametrize("address", ADDRESSES)
    def test_a_large_body_is_answered_before_it_is_sent(self, port: int, address: str) -> None:
        head = f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(head.encode() + b"{")
            answered = b""
            while not answered.endswith((b"}", b"bytes.\n")):
                answered += line.recv(65536)
        answer = raw_answer(answered)
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        is_json = address.startswith(("/api/", "/healthz"))
        assert answer.headers["content-type"] == ("application/json" if is_json else "text/plain; charset=utf-8")

    @pytest.mark.parametrize("address", ADDRESSES)
    def test_a_body_of_unknown_length_is_cut_off(self, port: int, address: str) -> None:
        head = f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        chunks_sent = BODY_BYTES_MAX // 0x10000 + 1
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(head.encode())
            for _ in range(chunks_sent):
                line.sendall(chunk)  # The body does not end: the answer must come all the same.
            answer = raw_answer(line.recv(65536))
        assert answer.status == 413

    def test_a_client_that_sends_on_reads_the_answer_and_no_reset(self, port: int) -> None:
        size = 4 * BODY_BYTES_MAX
        head = b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % size
        answer = talk(port, head, b"x" * size)
        assert (answer.status, json.loads(answer.body)["code"]) == (413, "body_too_large")

    def test_who_asks_first_is_told_before_sending(self, port: int) -> None:
        head = b"POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400000000\r\nExpect: 100-continue\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
            line.sendall(head)
            assert raw_answer(line.recv(65536)).status == 413

    def test_the_next_request_on_another_connection_is_served(self, port: int) -> None:
        assert talk(port, request("GET", b"/healthz")).status == 200


ODD_TARGETS = [
    b"/healthz?a=%00",
    b"/healthz?a=%ff",
    b"/healthz?a=\xff",
    b"/healthz?%00",
    b"/api/schema/?version=%00",
    b"/api/schema/?version=%0d%0aX:%20y",
    b"/api/schema/?lang=%00",
    b"/api/schema/?format=json",
    b"/api/%00",
    b"/api/%ff",
    b"/api/v1/setups/%00/",
    b"/api/v1/accounts/%00/",
    b"/setups/?symbol=%00",
    b"/static/%00",
    b"/static/..%2f..%2fetc/passwd",
    b"/static/" + b"x" * 5000,
    b"//api/v1/setups/",
]
ODD_HEADERS = [
    b'Cookie: sessionid="\\000"',
    b'Cookie: csrftoken="\\000"; sessionid=\xff\xfe',
    b"Cookie: sessionid=" + b"x" * 5000,
    b"Cookie: =; ;;==; a",
    b"Content-Type: application/json; charset=hex",
    b"Content-Type: application/json; charset=utf-16",
    b"Content-Type: text/html; charset=no-such-thing",
    b"Content-Type: \xff",
    b"Authorization: Token \xff\xfe",
    b"Authorization: \xff",
    b"Accept: application/json; indent=99999999999",
    b"Accept: \xff/\xfe;q=x",
    b"HX-Current-URL: \xff\r\nHX-Request: true",
    b"X-Forwarded-For: \xff, ,\xfe",
    b"If-Modified-Since: \xff",
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.case("S14")
class TestOddRequests:
    @pytest.mark.parametrize("target", ODD_TARGETS)
    def test_an_odd_address_is_the_senders_mistake(self, port: int, target: bytes) -> None:
        answer = talk(port, request("GET", target))
        assert 400 <= answer.status < 500, answer
        if target.startswith((b"/api/", b"/healthz")) and b"\xff" not in target:
            assert set(json.loads(answer.body)) == {"code", "message", "details"}

    @pytest.mark.parametrize(
        "address", [b"/api/v1/setups/", b"/api/v1/token/", b"/login/", b"/admin/login/", b"/healthz"]
    )
    @pytest.mark.parametrize("header", ODD_HEADERS, ids=lambda header: repr(header)[:40])
    def test_an_odd_header_is_the_senders_mistake(self, port: int, header: bytes, address: bytes) -> None:
        for method in ("GET", "POST"):
            answer = talk(port, request(method, address, header, body=b"{}" if method == "POST" else b""))
            assert 200 <= answer.status < 500, answer
            if address.startswith((b"/api/", b"/healthz")):
                assert not answer.headers.get("content-type", "").startswith("text/html"), answer


@pytest.mark.django_db(transaction=True)
@pytest.mark.case("S38")
@pytest.mark.parametrize("target", [b"/no-such-page", b"/setups/x/", b"/admin/no-such/"])
def test_a_page_about_an_error_keeps_no_connection_of_the_database(port: int, target: bytes) -> None:
    for _ in range(5):
        assert talk(port, request("GET", target)).status in (302, 404)
    connection.ensure_connection()  # Ours is the one that is out.

    def out() -> int:
        stats = connection.pool.get_stats()
        return int(stats["pool_size"] - stats["pool_available"])

    eventually(lambda: out() == 1)


@pytest.mark.case("S14")
def test_websockets_are_refused_whoever_serves_us() -> None:
    line = Line()
    line.scope["type"] = "websocket"
    asyncio.run(FrontDoor(echo)(line.scope, line.receive, line.send))
    assert line.sent == [{"type": "websocket.close"}]
