"""The recorded server, played to a client that asks the same things: content decides, request ids may differ.

Each recorded question is followed by what the server said until the next one. A client's question is looked for among
those not asked yet, in order; what was said then is sent with the client's id in the place of the recorded one. What
the server said unasked goes with the question before it. A question nobody asked then gets error 321.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ib_simulator.fields import decode_fields, encode_fields
from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.messages.ids import REQUEST_ID_POSITION, UNSERVED, Version
from ib_simulator.tape.recording import FrameCutter, read_payload
from ib_simulator.tape.replaying import Recording, RecordingError

# Where answers carry the id of their question or order, by message number; those that carry none are not here.
_AFTER_VERSION = (1, 2, 4, 12, 13, 20, 45, 46, 50, 51, 52, 55, 57, 58, 63, 64, 67, 68, 71, 72, 73, 74)
_FIRST = (3, 5, 11, 17, 21, 75, 76, 77, 79, 81, 82, 83, 84, 86, 87, 88, 89, 90, 91, 92, 94, 95, 96, 97, 98, 99)
_FIRST_TOO = (104, 105, 106, 107, 108)
ANSWER_ID_POSITION: dict[int, int] = {**dict.fromkeys(_AFTER_VERSION, 2), **dict.fromkeys(_FIRST + _FIRST_TOO, 1)}
# These two lost the version of their own when sizes got rules.
CONTRACT_DETAILS = frozenset({10, 18})


@dataclass
class Exchange:
    """A question of the recorded client and what it heard until the next one."""

    question: list[str]
    version: int
    answers: list[bytes] = field(default_factory=list)
    asked: bool = False


class Understudy:
    """Plays one recorded connection. No I/O: bytes in, bytes out."""

    def __init__(self, recording: Recording, *, connection: int | None = None) -> None:
        """Raises RecordingError when the recording has no such connection."""
        numbers = [event["connection"] for event in recording.events if event["event"] == "open"]
        chosen = connection if connection is not None else next(iter(numbers), None)
        if chosen not in numbers:
            raise RecordingError(f"there is no connection {connection}: {numbers}")
        self._exchanges: list[Exchange] = []
        for event in recording.events:
            if event.get("connection") != chosen:
                continue
            if event["event"] == "in":
                self._exchanges.append(Exchange(decode_fields(read_payload(event)), event["server_version"]))
            elif event["event"] == "out" and self._exchanges:
                self._exchanges[-1].answers.append(read_payload(event))
        self._cutter = FrameCutter(PREAMBLE)
        self._greeted = False
        self._unknown: list[list[str]] = []
        # Recorded ids and what the client calls them: an order is told of long after it was placed.
        self._ids: dict[str, str] = {}

    def hear(self, data: bytes) -> bytes:
        """Take bytes of the client and return what the server said then."""
        return b"".join(self._reply(decode_fields(payload)) for payload in self._cutter.feed(data))

    @property
    def is_content(self) -> bool:
        """Whether the client asked what was recorded, all of it and nothing else."""
        return not self._unknown and all(exchange.asked for exchange in self._exchanges)

    def report(self) -> list[str]:
        """Say what was not asked, and what was not recorded."""
        missing = [f"not asked: {'|'.join(exchange.question)}" for exchange in self._exchanges if not exchange.asked]
        return missing + [f"not recorded: {'|'.join(question)}" for question in self._unknown]

    def _reply(self, question: list[str]) -> bytes:
        if not self._greeted:
            # The range of versions may differ; the recorded version is answered all the same.
            self._greeted = True
            found = self._exchanges[0] if self._exchanges else None
        else:
            found = self._find(question)
        if found is None:
            self._unknown.append(question)
            return _refusal(question)
        found.asked = True
        was, now = _question_id(found.question), _question_id(question)
        if was is not None and now is not None:
            self._ids[was] = now
        return b"".join(frame(self._renamed(payload, found.version)) for payload in found.answers)

    def _find(self, question: Sequence[str]) -> Exchange | None:
        """Return the first question of this content, rather one about an order or id the client already uses."""
        wanted, now = _content(question), _question_id(question)
        open_ones = [found for found in self._exchanges if not found.asked and _content(found.question) == wanted]
        known = [found for found in open_ones if self._ids.get(_question_id(found.question) or "") == now]
        return next(iter(known + open_ones), None)

    def _renamed(self, payload: bytes, version: int) -> bytes:
        fields = decode_fields(payload)
        number = int(fields[0]) if fields and fields[0].isdecimal() else 0
        position = ANSWER_ID_POSITION.get(number)
        if number in CONTRACT_DETAILS:
            position = 1 if version >= Version.SIZE_RULES else 2
        if position is None or position >= len(fields) or fields[position] not in self._ids:
            return payload
        fields[position] = self._ids[fields[position]]
        return encode_fields(fields)


def _id_position(question: Sequence[str]) -> int | None:
    try:
        number = int(question[0])
    except (IndexError, ValueError):
        return None
    position = REQUEST_ID_POSITION.get(number)
    if position is None and number in UNSERVED:
        position = UNSERVED[number][1]
    return position if position is not None and position < len(question) else None


def _question_id(question: Sequence[str]) -> str | None:
    position = _id_position(question)
    return None if position is None else question[position]


def _content(question: Sequence[str]) -> list[str]:
    position = _id_position(question)
    return [text for number, text in enumerate(question) if number != position]


def _refusal(question: Sequence[str]) -> bytes:
    text = "Error validating request.-'replay' : cause - This was not asked when the conversation was recorded."
    return frame(encode_fields(["4", "2", _question_id(question) or "-1", "321", text, ""]))
