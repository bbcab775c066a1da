"""Our web server around an ASGI application, and a client that sends the bytes it is told to."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.config.connections import Limits
from app.config.serve import PatientServer, server_config
from tests.eventually import eventually

ANSWER_SECONDS_MAX = 20


@dataclass(frozen=True)
class RawAnswer:
    """What came back until the server closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def web_server(application: Any) -> Iterator[int]:
    """Serve the application on a free port of loopback; yield the port."""
    server = PatientServer(server_config(application), limits=Limits(connections_max=100))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, seconds_max=20)
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def talk(port: int, *pieces: bytes) -> RawAnswer:
    """Send the pieces, whatever the server thinks of them, and return what it answers before it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS_MAX) as line:
        for piece in pieces:
            line.sendall(piece)
        answered = b""
        while piece := line.recv(65536):
            answered += piece
    return raw_answer(answered)


def raw_answer(answered: bytes) -> RawAnswer:
    """Return the parts of an answer's bytes; status 0 where there are none."""
    head, _, body = answered.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in rest if ": " in line)
    return RawAnswer(status=int(first.split()[1]) if first else 0, headers=headers, body=body)


def request(method: str, target: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Return a request's bytes, after which the server closes the connection."""
    length = b"Content-Length: %d" % len(body)
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target), b"Host: 127.0.0.1", b"Connection: close", length, *headers]
    return b"\r\n".join([*lines, b"", body])
