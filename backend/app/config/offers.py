"""A request that offers another protocol is served as the request that it is.

    PATCH … Connection: Upgrade, HTTP2-Settings … Upgrade: h2c … and a body    ──>    the same PATCH, with its body

Java's HttpClient offers HTTP/2 with every request, and we may ignore it (RFC 9110, 7.8). The parser takes the offer for
the end of the message: what follows the head is not HTTP/1.1 to it, so the body would be lost, and a PATCH would be
answered as done that changed nothing. So the head is read again without the offer, and the body as of any request.
"""

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What of `Connection` and of the other headers makes the offer.
_OFFER = frozenset({b"upgrade", b"http2-settings"})


class OfferDecliningProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 over httptools, which hears no offer to speak another protocol."""

    def data_received(self, data: bytes) -> None:
        """Parse it, and what follows a declined offer."""
        self._unset_keepalive_if_required()
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as end_of_head:
                if self.parser.get_method() == b"CONNECT":  # No body is of it, and nothing that follows is HTTP.
                    return
                data = self._head_without_offer() + data[end_of_head.args[0] :]
                self.parser = self._new_parser()
            except httptools.HttpParserError:
                self.logger.warning("Invalid HTTP request received.")
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                return

    @property
    def is_offer(self) -> bool:
        """Whether the head that was just parsed offers another protocol: it is read again without it."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                kept = b",".join(token for token in value.split(b",") if token.strip().lower() not in _OFFER)
            if name not in _OFFER and (kept or name != b"connection"):
                lines.append(name + b": " + kept)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn does.
        return parser
