"""What is answered before Django sees a request. Django would read any body to its end first, and fail on the rest.

    request ──► front door ──► Django
                 ├─ 413 body_too_large           more than BODY_BYTES_MAX, by its Content-Length or as it comes
                 ├─ 415 media_type_unsupported   a body in another charset than UTF-8, or compressed
                 ├─ 400 idempotency_key_invalid  two of them
                 └─ 400 request_refused          an address or query that is no UTF-8; a NUL in it or in a cookie

Example: 400 MB are announced. The answer leaves before a byte of them is asked for; what comes all the same is thrown
away for two seconds, so that the client reads the answer instead of a reset, and then the connection is closed.

What is handed on has its whole body and that body's length, however it came: with its length, or in chunks without.

PostgreSQL's texts cannot hold a NUL, so no value with one means anything here: no address, no field and no cookie.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from app.api.error_body import body

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# The largest body that makes sense is a setup with notes and tags in escaped characters: 130 kB.
BODY_BYTES_MAX = 1024 * 1024
DRAIN_SECONDS_MAX = 2.0
DRAIN_BYTES_MAX = 32 * 1024 * 1024
MACHINES_ADDRESSES = ("/healthz", "/readyz", "/metrics", "/api")
_CHARSET = re.compile(rb"""charset\s*=\s*["']?([^"';\s]*)""", re.IGNORECASE)
_FRAMING = (b"content-length", b"transfer-encoding")
_CODINGS_READ = (b"", b"identity", b"chunked")
_CHARSETS_READ = (b"utf-8", b"utf8", b"us-ascii")
# A quoted cookie spells characters in octal digits.
_NUL_IN_COOKIE = (b"\x00", b"\\000")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not handed on."""

    status: int
    code: str
    message: str


TOO_LARGE = Refusal(413, "body_too_large", f"A body has at most {BODY_BYTES_MAX} bytes.")


class FrontDoor:
    """An ASGI application around another one, which gets only requests that it can read."""

    def __init__(self, application: Application, *, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._application = application
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is refused; hand on everything else."""
        if scope["type"] == "websocket":
            # There are none here. Closed before it is accepted, it is answered with 403.
            await receive()
            await send({"type": "websocket.close"})
        elif scope["type"] != "http":
            await self._application(scope, receive, send)
        elif refusal := refusal_of(scope, body_bytes_max=self._body_bytes_max):
            await _refuse(refusal, scope=scope, receive=receive, send=send)
        else:
            await self._hand_on(scope, receive, send)

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            content = await self._body(receive)
        except _Gone:
            return
        except _TooLarge:
            await _refuse(TOO_LARGE, scope=scope, receive=receive, send=send)
            return
        is_taken = False

        async def given() -> Message:
            nonlocal is_taken
            if is_taken:
                return await receive()  # Only that the client has gone: who sends a stream wants to know.
            is_taken = True
            return {"type": "http.request", "body": content, "more_body": False}

        await self._application(_with_length(scope, len(content)), given, send)

    async def _body(self, receive: Receive) -> bytes:
        content, has_more = bytearray(), True
        while has_more:
            message = await receive()
            if message["type"] != "http.request":
                raise _Gone
            content += message.get("body", b"")
            if len(content) > self._body_bytes_max:
                raise _TooLarge
            has_more = message.get("more_body", False)
        return bytes(content)


class _Gone(Exception):
    """The client went before its request was whole."""


class _TooLarge(Exception):
    """The body passed the limit as it came."""


def _with_length(scope: Scope, length: int) -> Scope:
    """Return the request with its body's true length, where it has a body.

    A body that came in chunks names no length. Django's forms and REST framework read no further than the length
    named, so they would see no body at all, and a change would be answered as made.
    """
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _FRAMING]
    if length or len(headers) < len(scope["headers"]):
        headers.append((b"content-length", str(length).encode()))
    return {**scope, "headers": headers}


def refusal_of(scope: Scope, *, body_bytes_max: int) -> Refusal | None:
    """Return why a request is refused by its head, or None."""
    query = unquote_to_bytes(scope.get("query_string", b""))
    if "\x00" in scope["path"] or b"\x00" in query or not _is_utf8(query):
        return Refusal(400, "request_refused", "The address is no UTF-8 text, or has a NUL character in it.")
    if any(nul in cookie for cookie in _values(scope, b"cookie") for nul in _NUL_IN_COOKIE):
        return Refusal(400, "request_refused", "A cookie has a NUL character in it.")
    charsets = [charset for kind in _values(scope, b"content-type") for charset in _CHARSET.findall(kind)]
    if any(charset.lower() not in _CHARSETS_READ for charset in charsets):
        return Refusal(415, "media_type_unsupported", "Only UTF-8 is read.")
    if len(list(_values(scope, b"idempotency-key"))) > 1:
        # Joined by a comma they would be a third key, which trades once more.
        return Refusal(400, "idempotency_key_invalid", "Send one Idempotency-Key.")
    codings = [*_values(scope, b"content-encoding"), *_values(scope, b"transfer-encoding")]
    if any(coding.strip().lower() not in _CODINGS_READ for coding in codings):
        return Refusal(415, "media_type_unsupported", "No body that is compressed or coded is read.")
    lengths = [int(length) for length in _values(scope, b"content-length") if length.isdigit()]
    return TOO_LARGE if any(length > body_bytes_max for length in lengths) else None


def is_for_machines(path: str) -> bool:
    """Say whether errors at this address are JSON: everything that is not a page."""
    return path in MACHINES_ADDRESSES or path.startswith("/api/")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _values(scope: Scope, name: bytes) -> Iterable[bytes]:
    return (value for key, value in scope["headers"] if key.lower() == name)


async def _refuse(refusal: Refusal, *, scope: Scope, receive: Receive, send: Send) -> None:
    if is_for_machines(scope["path"]):
        kind, content = b"application/json", json.dumps(body(code=refusal.code, message=refusal.message)).encode()
    else:
        kind, content = b"text/plain; charset=utf-8", f"{refusal.message}\n".encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        # What is left of the body would be taken for the next request.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    await _drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drain(receive: Receive) -> None:
    drained_bytes = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS_MAX):
            while drained_bytes <= DRAIN_BYTES_MAX:
                message = await receive()
                drained_bytes += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return
