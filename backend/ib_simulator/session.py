"""One connection, without the socket: bytes in, bytes out.

    version frame ──> server version ──> startApi ──> requests and answers

Nothing is sent between the server version and startApi: the official client throws away what comes too early.
"""

import logging
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ib_simulator import dispatch
from ib_simulator.errors import MalformedMessage, ProtocolError, UnsupportedMessage
from ib_simulator.fields import decode_fields, encode_fields
from ib_simulator.framing import FrameReader, frame
from ib_simulator.messages.answer import Answer, error
from ib_simulator.messages.ids import SERVER_VERSION_MAX, SERVER_VERSION_MIN, request_name
from ib_simulator.messages.requests import StartApi, decode
from ib_simulator.scenario import is_caught
from ib_simulator.subscriptions import Subscriptions

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

logger = logging.getLogger(__name__)

_VERSIONS = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: (.*))?", re.DOTALL)


@dataclass(frozen=True)
class ReceivedMessage:
    """One message of the client as it came, for tests that prove what was on the wire and when."""

    client_id: int | None
    connection: int
    received_ms: float
    received_at: str
    name: str
    fields: list[str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass
class Session:
    """A client's connection. The server moves bytes between it and the socket and closes when `closing` is set."""

    gateway: "Gateway"
    number: int
    server_version: int = 0
    client_id: int | None = None
    closing: bool = False
    connect_options: str = ""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    _reader: FrameReader = field(default_factory=FrameReader)
    _output: bytearray = field(default_factory=bytearray)
    _held: list[tuple[str, bytes]] = field(default_factory=list)

    def receive(self, data: bytes) -> None:
        """Take bytes from the socket. What they cause is in `take_output` of this and perhaps other sessions."""
        if self.closing:
            return
        try:
            frames = self._reader.feed(data)
        except ProtocolError as error:
            logger.warning("connection=%d closed: %s", self.number, error)
            self.close()
            return
        for payload in frames:
            if not self.closing:
                self._take(payload)

    def send(self, answer: Answer) -> None:
        """Queue an answer, unless the scenario loses or holds it."""
        scenario = self.gateway.scenario
        if is_caught(scenario.muted, name=answer.name, client_id=self.client_id):
            return
        # Encoded now, even when it is held: it describes the order as it is at this moment.
        encoded = answer.encode(self.server_version)
        if is_caught(scenario.held, name=answer.name, client_id=self.client_id):
            self._held.append((answer.name, encoded))
        else:
            self._output += encoded

    def release_held(self) -> None:
        """Send what was held back and is not held any more, in the order it was made."""
        waiting, self._held = self._held, []
        for name, encoded in waiting:
            if is_caught(self.gateway.scenario.held, name=name, client_id=self.client_id):
                self._held.append((name, encoded))
            else:
                self._output += encoded

    def send_error(self, *, request_id: int, code: int, text: str) -> None:
        self.send(error(request_id, code, text))

    def take_output(self) -> bytes:
        """Return and forget the bytes for the socket."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self) -> None:
        """Ask the server to close the socket once the output is written."""
        self.closing = True
        self.gateway.forget(self)

    def _take(self, payload: bytes) -> None:
        if not self.server_version:
            self._greet(payload)
            return
        fields = decode_fields(payload)
        self._log(fields)
        try:
            request = decode(fields, self.server_version)
            if self.client_id is None:
                self._start(request)
            else:
                dispatch.dispatch(self.gateway, self, request)
        except UnsupportedMessage as error:
            self._answer_error(payload, request_id=error.request_id, code=error.code, text=error.text)
        except MalformedMessage as error:
            text = f"Server error when reading an API client request.:{error.reason}"
            self._answer_error(payload, request_id=error.request_id, code=320, text=text)

    def _greet(self, payload: bytes) -> None:
        match = _VERSIONS.fullmatch(payload.decode("ascii", "replace").rstrip("\0"))
        if match is None:
            logger.warning("connection=%d closed: not a version: %s", self.number, payload.hex())
            self.close()
            return
        lowest, highest = int(match[1]), int(match[2] or match[1])
        version = min(highest, SERVER_VERSION_MAX)
        if version < SERVER_VERSION_MIN or lowest > highest:
            logger.warning("connection=%d closed: versions %s are not served", self.number, match[0])
            self.close()
            return
        self.connect_options = match[3] or ""
        self.server_version = version
        self._output += frame(encode_fields([version, self.gateway.handshake_time()]))

    def _start(self, request: object) -> None:
        if not isinstance(request, StartApi):
            logger.warning("connection=%d: %s before startApi is ignored", self.number, type(request).__name__)
            return
        self.gateway.start_session(self, request.client_id)

    def _answer_error(self, payload: bytes, *, request_id: int, code: int, text: str) -> None:
        logger.warning("connection=%d code=%d: %s frame=%s", self.number, code, text, payload.hex())
        if self.client_id is not None:
            self.send_error(request_id=request_id, code=code, text=text)

    def _log(self, fields: list[str]) -> None:
        number = fields[0] if fields else ""
        clock = self.gateway.clock
        self.gateway.received.append(
            ReceivedMessage(
                client_id=self.client_id,
                connection=self.number,
                received_ms=clock.monotonic_ms(),
                received_at=clock.now().isoformat(),
                name=request_name(int(number)) if number.isascii() and number.isdecimal() else f"unknown:{number}",
                fields=fields,
            )
        )
