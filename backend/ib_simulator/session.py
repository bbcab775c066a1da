"""One connection, without the socket: bytes in, bytes out.

    version frame ──> server version ──> startApi ──> requests and answers

Nothing is sent between the server version and startApi: the official client throws away what comes too early. What is
sent passes the faults in force (`faults.py`) and the line (`wire.py`); what arrives may be read later (`pacing.py`).
"""

import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ib_simulator import dispatch
from ib_simulator.errors import MalformedMessage, ProtocolError, UnsupportedMessage
from ib_simulator.faults.faults import ConnectFault, Kind, Rule, When, names_of
from ib_simulator.faults.garbling import garbled
from ib_simulator.faults.pacing import VIOLATIONS_MAX, RateMeter, violation_text
from ib_simulator.faults.resets import Fate, fate_of, is_order
from ib_simulator.faults.scenario import is_caught
from ib_simulator.faults.wire import CALM, Outbox
from ib_simulator.fields import decode_fields, encode_fields
from ib_simulator.framing import FrameReader, frame
from ib_simulator.messages.answer import Answer, Tick, error
from ib_simulator.messages.ids import SERVER_VERSION_MAX, SERVER_VERSION_MIN, request_name
from ib_simulator.messages.requests import StartApi, decode, request_id_of
from ib_simulator.subscriptions import Subscriptions

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

logger = logging.getLogger(__name__)

_VERSIONS = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: (.*))?", re.DOTALL)
NO_REQUEST = -1
# A frame may have 16 million bytes; neither the log nor the list of received messages may grow by that.
SHOWN_BYTES_MAX = 2_000
KEPT_BYTES_MAX = 65_536
NUMBER_DIGITS_MAX = 9


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message of the client as it came, for tests that prove what was on the wire and when."""

    client_id: int | None
    connection: int
    received_ms: float
    received_at: str
    name: str
    # Kept as bytes: thousands of messages of a hundred texts each would be what the program consists of.
    payload: bytes

    @property
    def fields(self) -> list[str]:
        return decode_fields(self.payload)

    def as_json(self) -> dict[str, object]:
        told = asdict(self)
        del told["payload"]
        return {**told, "fields": self.fields}


@dataclass(frozen=True)
class _Held:
    name: str
    encoded: bytes
    until_calm: bool


@dataclass
class Session:
    """A client's connection. The server moves bytes between it and the socket and closes when `is_finished`."""

    gateway: "Gateway"
    number: int
    server_version: int = 0
    client_id: int | None = None
    closing: bool = False
    connect_options: str = ""
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    _reader: FrameReader = field(default_factory=FrameReader)
    _frames: deque[bytes] = field(default_factory=deque)
    _unread: bytearray = field(default_factory=bytearray)
    _meter: RateMeter = field(default_factory=RateMeter)
    _held: list[_Held] = field(default_factory=list)
    _overtaken: list[tuple[str, bytes]] = field(default_factory=list)
    _unanswered: bool = False  # The handshake never gets an answer.
    _asked: bool = False  # What is sent now answers a question.

    def __post_init__(self) -> None:
        self._outbox = Outbox(seed=f"{self.gateway.config.seed}:{self.number}")

    # --- in --------------------------------------------------------------------------------------------------

    @property
    def is_frozen(self) -> bool:
        return self.gateway.scenario.faults.is_frozen(self.client_id)

    @property
    def wants_reading(self) -> bool:
        """False while bytes are to stay in the socket: on a frozen line, or when the client asked too fast."""
        return not self._frames and not self._unread and not self.is_frozen

    def receive(self, data: bytes) -> None:
        """Take bytes from the socket. What they cause is in `take_output` of this and perhaps other sessions."""
        if self.closing or self._unanswered:
            return
        if self.is_frozen:
            self._unread += data
            return
        try:
            self._frames.extend(self._reader.feed(data))
        except ProtocolError as error:
            logger.warning("connection=%d closed: %s", self.number, error)
            self.close()
            return
        self._work()

    def wake(self) -> None:
        """Do what was put off and is due by now: reading on, error 100."""
        if self._unread and not self.is_frozen:
            unread, self._unread = bytes(self._unread), bytearray()
            self.receive(unread)
        self._settle_rate()
        self._work()

    def _work(self) -> None:
        while self._frames and not self.closing and not self.is_frozen:
            if self.client_id is None or self.gateway.scenario.is_on("pacing", "off"):
                self._take(self._frames.popleft())
            elif self.gateway.scenario.is_on("pacing", "reject"):
                self._settle_rate()
                payload = self._frames.popleft()
                if not self.closing and self._meter.admit(self._now_ms(), limit=self._rate_limit()):
                    self._take(payload)
            elif self._meter.take(self._now_ms(), limit=self._rate_limit()):
                self._take(self._frames.popleft())
            else:
                return

    def _settle_rate(self) -> None:
        limit = self._rate_limit()
        violation = self._meter.settle(self._now_ms(), limit=limit)
        if violation is None or self.closing:
            return
        received, number = violation
        text = violation_text(limit=limit, received=received, number=number)
        self.send_error(request_id=NO_REQUEST, code=100, text=text)
        if number >= VIOLATIONS_MAX:
            logger.warning("connection=%d closed: %s", self.number, text)
            self.close()

    def _rate_limit(self) -> int:
        return self.gateway.scenario.limits["messages_per_second"]

    def _now_ms(self) -> float:
        return self.gateway.clock.monotonic_ms()

    # --- out -------------------------------------------------------------------------------------------------

    def send(self, answer: Answer) -> None:
        """Queue an answer, unless a fault loses or holds it."""
        scenario = self.gateway.scenario
        if scenario.muted and is_caught(scenario.muted, name=answer.name, client_id=self.client_id):
            return
        fate = Fate.SENT
        if scenario.disturbed:
            fate = fate_of(answer, scenario=scenario, version=self.server_version, asked=self._asked)
        if fate is Fate.LOST:
            return
        # Encoded now, even when it is held: it describes the order as it is at this moment.
        encoded = answer.encode(self.server_version)
        caught = scenario.held and is_caught(scenario.held, name=answer.name, client_id=self.client_id)
        if fate is Fate.HELD or caught:
            self._held.append(_Held(answer.name, encoded, until_calm=fate is Fate.HELD))
        elif scenario.faults.rules or self._overtaken:
            self._send_by_rules(answer, encoded)
        else:
            self._put(encoded)

    def send_ticks(self, ticks: Sequence[Tick], *, request_id: int) -> None:
        """Queue what many clients are told alike: the bytes of `send`, with less to do while nothing interferes."""
        scenario = self.gateway.scenario
        faults = scenario.faults
        filtered = scenario.muted or scenario.held or self._overtaken
        if filtered or scenario.disturbed or faults.rules or faults.lines:
            for tick in ticks:
                self.send(tick.to(request_id))
        elif ticks:
            written = b"%d\0" % request_id
            self.gateway.traffic.sent += len(ticks) - 1
            self._put(b"".join([tick.frame(written) for tick in ticks]))

    def _send_by_rules(self, answer: Answer, encoded: bytes) -> None:
        faults = self.gateway.scenario.faults
        rules = faults.take_rules(answer, version=self.server_version, client_id=self.client_id)
        by_kind: dict[Kind, Rule] = {rule.kind: rule for rule in rules}
        if Kind.LOSE in by_kind:
            return
        if Kind.GARBLE in by_kind:
            rule = by_kind[Kind.GARBLE]
            fields = garbled(answer.fields(self.server_version), place=rule.place, text=rule.text)
            encoded = frame(encode_fields(fields))
        if Kind.REORDER in by_kind:
            self._overtaken.append((by_kind[Kind.REORDER].after, encoded))
            return
        late_ms = by_kind[Kind.LATE].late_ms if Kind.LATE in by_kind else 0
        self._put(encoded, late_ms=late_ms)
        if Kind.DUPLICATE in by_kind:
            self._put(encoded, late_ms=late_ms)
        names = names_of(answer, version=self.server_version)
        waiting, self._overtaken = self._overtaken, []
        for after, overtaken in waiting:
            if after in names:
                self._put(overtaken, late_ms=late_ms)
            else:
                self._overtaken.append((after, overtaken))

    def _put(self, encoded: bytes, *, late_ms: float = 0) -> None:
        self.gateway.traffic.sent += 1
        line = self.gateway.scenario.faults.line(self.client_id)
        if line is CALM and not late_ms and self._outbox.is_calm:
            self._outbox.put_ready(encoded)  # The usual way: nobody needs to know the time.
        else:
            self._outbox.put(encoded, now_ms=self._now_ms(), line=line, late_ms=late_ms)

    def release_held(self) -> None:
        """Send what was held back and is not held any more, in the order it was made."""
        scenario = self.gateway.scenario
        waiting, self._held = self._held, []
        for held in waiting:
            stays = held.until_calm and (scenario.outage or scenario.resetting)
            if stays or is_caught(scenario.held, name=held.name, client_id=self.client_id):
                self._held.append(held)
            else:
                self._put(held.encoded)

    def release_overtaken(self) -> None:
        """Send what waited for another message to overtake it."""
        waiting, self._overtaken = self._overtaken, []
        for _after, encoded in waiting:
            self._put(encoded)

    def send_error(self, *, request_id: int, code: int, text: str) -> None:
        self.send(error(request_id, code, text))

    def take_pieces(self) -> list[bytes]:
        """Return and forget the bytes for the socket that are due, in the pieces they are to be written in."""
        if self._outbox.is_empty or self.is_frozen:
            return []
        line = self.gateway.scenario.faults.line(self.client_id)
        return self._outbox.take(now_ms=self._now_ms(), line=line)

    def take_output(self) -> bytes:
        """Return and forget the bytes for the socket that are due."""
        return b"".join(self.take_pieces())

    def next_due_ms(self) -> float | None:
        """Return when (monotonic) there is something to write or to do; None when nothing waits."""
        if self.is_frozen or (self._outbox.is_empty and not self._frames and self._meter.is_idle):
            return None
        line = self.gateway.scenario.faults.line(self.client_id)
        moments = [self._outbox.next_due_ms(line=line), self._meter.settles_at_ms(limit=self._rate_limit())]
        if self._frames:
            moments.append(self._meter.free_at_ms(self._now_ms(), limit=self._rate_limit()))
        return min((moment for moment in moments if moment is not None), default=None)

    # --- end -------------------------------------------------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        """Whether the server may close the socket now."""
        return self.closing and (self._outbox.is_empty or self.is_frozen)

    @property
    def output_size(self) -> int:
        """How many bytes wait for their time or for a frozen line."""
        return self._outbox.size

    def close(self) -> None:
        """Ask the server to close the socket once the output is written."""
        self.closing = True
        self.gateway.forget(self)

    def drop(self) -> None:
        """Break the connection: what is due goes out, what still waits is lost."""
        due = self.take_output()
        self._outbox.discard()
        self._outbox.put(due, now_ms=self._now_ms())
        self.close()

    # --- messages --------------------------------------------------------------------------------------------

    def _take(self, payload: bytes) -> None:
        if not self.server_version:
            self._greet(payload)
            return
        fields = decode_fields(payload)
        name = self._log(payload, fields)
        when = self.gateway.scenario.faults.drop(name, self.client_id)
        if when is When.BEFORE:
            self.drop()
            return
        said = self.take_output() if when is When.UNANSWERED else b""
        self._answer(payload, fields)
        for watch in self.gateway.message_watchers:
            watch(name, self.client_id)
        if when is When.UNANSWERED:
            self._outbox.discard()
            self._outbox.put(said, now_ms=self._now_ms())
        if when is not None:
            self.drop()

    def _answer(self, payload: bytes, fields: list[str]) -> None:
        try:
            request = decode(fields, self.server_version)
            self._asked = not is_order(request)
            if self.client_id is None:
                self._start(request)
            else:
                dispatch.dispatch(self.gateway, self, request)
        except UnsupportedMessage as error:
            self._answer_error(payload, request_id=error.request_id, code=error.code, text=error.text)
        except MalformedMessage as error:
            text = f"Server error when reading an API client request.:{error.reason}"
            self._answer_error(payload, request_id=error.request_id, code=320, text=text)
        except Exception as error:
            # A mistake in a handler must be seen, and must not end the connection of whoever came upon it.
            logger.exception("connection=%d frame=%s", self.number, _shown(payload))
            text = f"Error processing request.-'simulator' : cause - {type(error).__name__}: {error}"
            if self.client_id is not None:
                self.send_error(request_id=request_id_of(fields), code=322, text=text)
        finally:
            self._asked = False

    def _greet(self, payload: bytes) -> None:
        match = _VERSIONS.fullmatch(payload.decode("ascii", "replace").rstrip("\0"))
        if match is None:
            logger.warning("connection=%d closed: not a version: %s", self.number, _shown(payload))
            self.close()
            return
        lowest, highest = int(match[1]), int(match[2] or match[1])
        version = min(highest, SERVER_VERSION_MAX)
        if version < SERVER_VERSION_MIN or lowest > highest:
            logger.warning("connection=%d closed: versions %s are not served", self.number, match[0])
            self.close()
            return
        if self.gateway.scenario.faults.take_connect(ConnectFault.NO_HANDSHAKE):
            self._unanswered = True
            return
        self.connect_options = match[3] or ""
        self.server_version = version
        self._put(frame(encode_fields([version, self.gateway.handshake_time()])))

    def _start(self, request: object) -> None:
        if not isinstance(request, StartApi):
            logger.warning("connection=%d: %s before startApi is ignored", self.number, type(request).__name__)
            return
        self.gateway.start_session(self, request.client_id)

    def _answer_error(self, payload: bytes, *, request_id: int, code: int, text: str) -> None:
        logger.warning("connection=%d code=%d: %s frame=%s", self.number, code, text, _shown(payload))
        if self.client_id is not None:
            self.send_error(request_id=request_id, code=code, text=text)

    def _log(self, payload: bytes, fields: list[str]) -> str:
        number = fields[0] if fields else ""
        is_number = number.isascii() and number.isdecimal() and len(number) <= NUMBER_DIGITS_MAX
        name = request_name(int(number)) if is_number else f"unknown:{number[:NUMBER_DIGITS_MAX]}"
        clock = self.gateway.clock
        self.gateway.traffic.received += 1
        self.gateway.received.append(
            ReceivedMessage(
                client_id=self.client_id,
                connection=self.number,
                received_ms=clock.monotonic_ms(),
                received_at=clock.now().isoformat(),
                name=name,
                payload=payload if len(payload) <= KEPT_BYTES_MAX else encode_fields([_shown(payload)]),
            )
        )
        return name


def _shown(payload: bytes) -> str:
    shown = payload[:SHOWN_BYTES_MAX].hex()
    return shown if len(payload) <= SHOWN_BYTES_MAX else f"{shown}... ({len(payload)} bytes)"
