"""A real mail server and a real webhook on this machine, as small as they can be, that keep what arrives."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclass
class Mailbox:
    """`address` is what ALERT_URLS takes; while `refuses`, each mail is refused with a permanent error."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refuses: bool = False

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=desk@example.com&to=ada@example.com&mode=insecure"


@dataclass
class Hook:
    """A webhook; it answers `status`."""

    port: int = 0
    posts: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    followed: int = 0

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook/{SECRET}"


SECRET = "s3cr3t-part-of-the-address"


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Serve SMTP until the block ends."""
    box = Mailbox()

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                verb = line.upper()
                if verb.startswith("RCPT") and box.refuses:
                    self.say("550 no such person")
                elif verb == "DATA":
                    self.say("354 go on")
                    box.mails.append(cast("EmailMessage", message_from_bytes(self.body(), policy=policy.default)))
                    self.say("250 taken")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def body(self) -> bytes:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return b"".join(lines)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server, _serving(server):
        box.port = server.server_address[1]
        yield box


@contextmanager
def web_hook() -> Iterator[Hook]:
    """Serve a webhook until the block ends."""
    hook = Hook()

    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            post = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.status == 200 and self.path == f"/hook/{SECRET}":
                hook.posts.append(post)
            self.send_response(hook.status)
            if 300 <= hook.status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            hook.followed += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Request) as server, _serving(server):
        hook.port = server.server_address[1]
        yield hook


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(timeout=5)
