"""A browser without scripts over real sockets: a new connection for each request, cookies kept."""

import http.client
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


class Visitor:
    """Who visits the site at a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: SimpleCookie = SimpleCookie()

    def get(self, path: str, **headers: str) -> Answer:
        """Read a page; a header's underscores stand for hyphens. Status 0 where nobody answers."""
        return self._send("GET", path, b"", headers)

    def post_form(self, path: str, values: Mapping[str, str], **headers: str) -> Answer:
        """Send a form with the token that protects it."""
        token = self.cookies["csrftoken"].value if "csrftoken" in self.cookies else ""
        body = urllib.parse.urlencode({**values, "csrfmiddlewaretoken": token}).encode()
        return self._send("POST", path, body, {**headers, "Content_Type": "application/x-www-form-urlencoded"})

    def log_in(self, username: str, password: str) -> None:
        """Log in by the page."""
        self.get("/login/")
        answer = self.post_form("/login/", {"username": username, "password": password})
        told = re.findall(r'class="errorlist[^"]*"[^>]*>.*?</ul>', answer.text, re.DOTALL)
        assert answer.status == 302, told

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {**given, "Cookie": cookies})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except ConnectionRefusedError:
            return Answer(status=0, headers={}, text="")
        finally:
            connection.close()
        for value in answer.headers.get_all("Set-Cookie") or []:
            self.cookies.load(value)
        return Answer(status=answer.status, headers=dict(answer.headers), text=text)
