"""A stand-in for Telegram on this machine that a real client reaches by Telegram's own name, over real TLS.

The library's address of Telegram is fixed. What can be chosen is the way there: `environment` names an HTTPS proxy and
an authority to trust, as in any company's network. The proxy takes `CONNECT api.telegram.org:443` and answers itself,
with a certificate of that name made for the test.
"""

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

TELEGRAM = "api.telegram.org"
TOKEN, CHAT = "123456789:AABBCCDDEEFFGGHHIIJJKKLLMMNNOOPPQQR", "12345"


@dataclass
class Telegram:
    """What was sent to it: (path, message). `address` is what ALERT_URLS takes."""

    certificate: Path
    port: int = 0
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    address: str = f"tgram://{TOKEN}/{CHAT}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a process here."""
        proxy = f"http://127.0.0.1:{self.port}"
        return {"HTTPS_PROXY": proxy, "https_proxy": proxy, "REQUESTS_CA_BUNDLE": str(self.certificate)}


@contextmanager
def telegram(folder: Path) -> Iterator[Telegram]:
    """Serve until the block ends."""
    certificate, key = folder / "telegram.pem", folder / "telegram.key"
    _certify(certificate, key)
    served = Telegram(certificate=certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)

    class Request(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.sent.append((self.path, message))
            answer = json.dumps({"ok": True, "result": {}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        served.port = listener.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    client, peer = listener.accept()
                except OSError:
                    return
                # Who does not ask for Telegram, or does not trust us, is let go.
                with suppress(OSError), client:
                    if _asks_for(client) == f"{TELEGRAM}:443":
                        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        with tls.wrap_socket(client, server_side=True) as inner:
                            Request(inner, peer, None)  # type: ignore[arg-type]

        threading.Thread(target=accept, daemon=True).start()
        yield served
        listener.shutdown(socket.SHUT_RDWR)


def _asks_for(client: socket.socket) -> str:
    """Read a proxy's request and return what it wants to be connected to."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(4096)
        if not more:
            return ""
        head += more
    verb, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    return target if verb == "CONNECT" else ""


def _certify(certificate: Path, key: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl, "openssl is needed to make a certificate (Debian: apt-get install openssl)"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    name = ["-subj", f"/CN={TELEGRAM}", "-addext", f"subjectAltName=DNS:{TELEGRAM}"]
    command = [openssl, "req", "-x509", *curve, *name, "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
