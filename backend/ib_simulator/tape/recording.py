"""Write down a run: every frame of every connection in both directions, and what else moved the gateway.

JSON lines. The first says what was played, each other one is an event:

    {"recording": 1, "seed": 7, "accounts": ["DU1234567"], "hours": "always", "started_at": "2026-01-07T15:00:00+00:00"}
    {"event": "open",  "at": "...", "ms": 12.5, "connection": 1}
    {"event": "in",    ..., "connection": 1, "client_id": 1, "server_version": 178, "fields": ["61", "1"]}
    {"event": "out",   ..., "connection": 1, "client_id": 1, "server_version": 178, "fields": ["62", "1"]}
    {"event": "close", ..., "connection": 1}
    {"event": "command", ..., "line": "{\\"cmd\\": ...}"}      {"event": "step", ...}      {"event": "beat", ...}

`at` is the gateway's time, `ms` real time since the start. A payload is given exactly: as `fields` (each ended with
NUL), as `text` when it does not end with NUL, as `base64` when it is not UTF-8. `beat` is the timer that pushes account
values.
"""

import base64
import json
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import IO, Any

from ib_simulator.clock import Clock
from ib_simulator.framing import LENGTH_BYTES, PREAMBLE

FORMAT = 1


def written_payload(payload: bytes) -> dict[str, Any]:
    """Return a payload as a recording has it."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(payload).decode()}
    if text.endswith("\0"):
        return {"fields": text[:-1].split("\0")}
    return {"text": text}


def _payload_json(payload: bytes) -> str:
    """Return what `written_payload` does as the inside of a JSON object."""
    if payload.endswith(b"\0") and b"\\" not in payload:
        try:
            # Between two fields is a NUL; without backslashes no other escape looks like it.
            quoted = encode_basestring(payload[:-1].decode("utf-8"))
        except UnicodeDecodeError:
            return json.dumps(written_payload(payload))[1:-1]
        return '"fields":[' + quoted.replace("\\u0000", '","') + "]"
    return json.dumps(written_payload(payload), ensure_ascii=False)[1:-1]


def read_payload(event: dict[str, Any]) -> bytes:
    """Return the payload of an event of a recording. Raises ValueError when it has none."""
    if "fields" in event:
        return b"".join(str(text).encode() + b"\0" for text in event["fields"])
    if "text" in event:
        return str(event["text"]).encode()
    if "base64" in event:
        return base64.b64decode(event["base64"])
    raise ValueError("the event has no payload")


@dataclass
class FrameCutter:
    """Cuts a stream into payloads without judging it; the client's side begins with a preamble."""

    preamble: bytes = b""
    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        if self.preamble:
            if len(self._buffer) < len(self.preamble):
                return []
            if self._buffer.startswith(self.preamble):
                del self._buffer[: len(self.preamble)]
            self.preamble = b""
        payloads: list[bytes] = []
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if len(self._buffer) < end:
                break
            payloads.append(bytes(self._buffer[LENGTH_BYTES:end]))
            del self._buffer[:end]
        return payloads


@dataclass
class _Connection:
    received: FrameCutter = field(default_factory=lambda: FrameCutter(PREAMBLE))
    sent: FrameCutter = field(default_factory=FrameCutter)


class Recorder:
    """Writes events to a file that its owner opened and closes. The server tells it of everything, in order."""

    def __init__(self, file: IO[bytes], *, clock: Clock, played: dict[str, Any]) -> None:
        """`played` is what another gateway needs to do the same: seed, accounts, hours."""
        self._file = file
        self._clock = clock
        self._began_ms = clock.monotonic_ms()
        self._connections: dict[int, _Connection] = {}
        self._write({"recording": FORMAT, **played, "started_at": clock.now().isoformat()})

    def opened(self, connection: int) -> None:
        self._connections[connection] = _Connection()
        self._event("open", connection=connection)

    def closed(self, connection: int) -> None:
        if self._connections.pop(connection, None) is not None:
            self._event("close", connection=connection)

    def received(self, data: bytes, *, connection: int, client_id: int | None, server_version: int) -> None:
        """Note bytes of a client, before the gateway gets them."""
        for payload in self._connections[connection].received.feed(data):
            self._frame("in", payload, connection=connection, client_id=client_id, server_version=server_version)

    def sent(self, data: bytes, *, connection: int, client_id: int | None, server_version: int) -> None:
        """Note bytes for a client."""
        for payload in self._connections[connection].sent.feed(data):
            self._frame("out", payload, connection=connection, client_id=client_id, server_version=server_version)

    def commanded(self, line: bytes) -> None:
        self._event("command", line=line.decode("utf-8", "replace").rstrip("\n"))

    def stepped(self) -> None:
        self._event("step")

    def beat(self) -> None:
        """Note a turn of the timer, and hand what was written to the operating system."""
        self._event("beat")
        self._file.flush()

    def _frame(
        self, event: str, payload: bytes, *, connection: int, client_id: int | None, server_version: int
    ) -> None:
        """Write a frame. By hand, because thousands may pass in a second."""
        client = "null" if client_id is None else str(client_id)
        self._file.write(
            f'{{"event":"{event}",{self._times()},"connection":{connection},"client_id":{client},'
            f'"server_version":{server_version},{_payload_json(payload)}}}\n'.encode()
        )

    def _times(self) -> str:
        ms = self._clock.monotonic_ms() - self._began_ms
        return f'"at":"{self._clock.now().isoformat()}","ms":{ms:.3f}'

    def _event(self, event: str, **more: Any) -> None:
        ms = round(self._clock.monotonic_ms() - self._began_ms, 3)
        self._write({"event": event, "at": self._clock.now().isoformat(), "ms": ms, **more})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
