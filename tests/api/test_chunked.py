"""A body that comes in chunks, without a length, says the same as one that comes with it."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from app.accounts.models import KillSwitch
from app.config.asgi import application
from app.config.front_door import FrontDoor
from app.executions.models import Execution
from app.setups.models import Setup
from tests.api.desk import PASSWORD, MakeSetup, MakeUser
from tests.api.web_server import RawAnswer, request, talk, web_server

pytestmark = pytest.mark.case("S41")

FORM = b"application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with web_server(application) as port:
        yield port


def in_chunks(body: bytes, *, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def send(port: int, method: str, target: str, body: bytes, *headers: bytes, size: int) -> RawAnswer:
    lines = [
        b"%s %s HTTP/1.1" % (method.encode(), target.encode()),
        b"Host: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked",
        *headers,
    ]
    return talk(port, b"\r\n".join([*lines, b"", b""]) + in_chunks(body, size=size))


def as_script(user: User) -> tuple[bytes, bytes]:
    token, _ = Token.objects.get_or_create(user=user)
    return b"Authorization: Token " + token.key.encode(), b"Content-Type: application/json"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [1, 7, 100_000])
class TestOverASocket:
    def test_a_change_is_made(self, port: int, analyst: User, make_setup: MakeSetup, size: int) -> None:
        setup = make_setup(analyst)
        body = b'{"notes": "in chunks", "stop_price": "184.50"}'
        answer = send(port, "PATCH", f"/api/v1/setups/{setup.pk}/", body, *as_script(analyst), size=size)
        changed = Setup.objects.get()
        assert (answer.status, changed.notes, str(changed.stop_price)[:6]) == (200, "in chunks", "184.50")

    def test_a_change_that_is_none_is_refused(self, port: int, analyst: User, make_setup: MakeSetup, size: int) -> None:
        target = f"/api/v1/setups/{make_setup(analyst).pk}/"
        answer = send(port, "PATCH", target, b'{"stop_prize": "1"}', *as_script(analyst), size=size)
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "unknown_field")

    def test_a_kill_switch_is_engaged_with_its_reason(self, port: int, make_user: MakeUser, size: int) -> None:
        body = b'{"reason": "wrong prices", "flatten": true}'
        answer = send(port, "POST", "/api/v1/kill-switch/", body, *as_script(make_user("tom", "trader")), size=size)
        switch = KillSwitch.objects.get()
        assert (answer.status, switch.reason, switch.flatten) == (200, "wrong prices", True)

    def test_what_was_seen_is_looked_at(
        self, port: int, analyst: User, requested: Callable[..., Execution], size: int
    ) -> None:
        target = f"/api/v1/executions/{requested(analyst).pk}/seen/"
        answer = send(port, "POST", target, b'{"through": "x"}', *as_script(analyst), size=size)
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "field_invalid")

    def test_an_execution_with_a_body_is_refused(
        self, port: int, analyst: User, make_setup: MakeSetup, size: int
    ) -> None:
        target = f"/api/v1/setups/{make_setup(analyst).pk}/execute/"
        answer = send(port, "POST", target, b'{"x": 1}', *as_script(analyst), b"Idempotency-Key: k", size=size)
        assert (answer.status, Execution.objects.count()) == (400, 0)

    def test_a_token_is_bought(self, port: int, analyst: User, size: int) -> None:
        body = json.dumps({"username": analyst.username, "password": PASSWORD}).encode()
        answer = send(port, "POST", "/api/v1/token/", body, b"Content-Type: application/json", size=size)
        assert answer.status == 200, answer.body

    def test_a_form_of_a_page_is_read(self, port: int, analyst: User, size: int) -> None:
        secret = "a" * 32
        form = {"username": analyst.username, "password": PASSWORD, "csrfmiddlewaretoken": secret}
        cookie = b"Cookie: csrftoken=" + secret.encode()
        kind = b"Content-Type: " + FORM
        plain = talk(port, request("POST", b"/login/", cookie, kind, body=urlencode(form).encode()))
        chunked = send(port, "POST", "/login/", urlencode(form).encode(), cookie, kind, size=size)
        assert (plain.status, chunked.status, chunked.headers["location"]) == (302, 302, plain.headers["location"])

    def test_a_form_in_parts_is_read(self, port: int, analyst: User, size: int) -> None:
        secret = "a" * 32
        form = {"username": analyst.username, "password": PASSWORD, "csrfmiddlewaretoken": secret}
        parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{form[name]}\r\n' for name in form]
        body = ("".join(parts) + "--x--\r\n").encode()
        cookie, kind = b"Cookie: csrftoken=" + secret.encode(), b"Content-Type: multipart/form-data; boundary=x"
        assert send(port, "POST", "/login/", body, cookie, kind, size=size).status == 302


def handed_on(*pieces: bytes, headers: list[tuple[bytes, bytes]]) -> list[Any]:
    """Return what the application gets of a request that comes in these pieces: its framing, and its messages."""
    seen: list[Any] = []
    waiting = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, start=1)
    ]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def noting(scope: Any, receive: Any, _send: Any) -> None:
        framing = [(name, value) for name, value in scope["headers"] if name != b"accept"]
        seen.extend([framing, await receive(), await receive()])

    async def send(_message: Any) -> None:
        raise AssertionError("Nothing is to be answered.")

    scope = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": headers}
    asyncio.run(FrontDoor(noting)(scope, receive, send))
    return seen


CHUNKED = [(b"accept", b"*/*"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"", b"a", b"", b"bcde", b"f", b""], [b"abc", b"def"]])
def test_all_pieces_are_handed_on_as_one_with_their_length(pieces: list[bytes]) -> None:
    body = {"type": "http.request", "body": b"abcdef", "more_body": False}
    gone = {"type": "http.disconnect"}
    assert handed_on(*pieces, headers=CHUNKED) == [[(b"content-length", b"6")], body, gone]
    assert handed_on(*pieces, headers=[(b"content-length", b"6")]) == [[(b"content-length", b"6")], body, gone]


def test_a_request_without_a_body_gets_no_length() -> None:
    assert handed_on(b"", headers=[])[0] == []


def test_of_half_a_body_nothing_is_handed_on() -> None:
    async def receive() -> Any:
        return parts.pop(0)

    parts = [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"}]
    called: list[int] = []

    async def application(*_given: Any) -> None:
        called.append(1)

    async def send(_message: Any) -> None:
        called.append(2)

    scope = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": CHUNKED}
    asyncio.run(FrontDoor(application)(scope, receive, send))
    assert called == []


@pytest.mark.parametrize("header", [b"Content-Encoding: gzip", b"Content-Encoding: br", b"Transfer-Encoding: gzip"])
def test_a_compressed_body_is_refused(port: int, header: bytes) -> None:
    with_length = header.startswith(b"Content")
    body = b"Content-Length: 2\r\n\r\n{}" if with_length else b"\r\n0\r\n\r\n"
    head = b"POST /api/v1/token/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + header + b"\r\n"
    answer = talk(port, head + body)
    assert answer.status == (415 if with_length else 400), answer
