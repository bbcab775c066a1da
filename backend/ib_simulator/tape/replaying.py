"""Read a recording, and check it: the recorded clients speak to a fresh gateway, do they hear the same?

The gateway gets the recording's seed, accounts and hours, and a clock that stands at each event's time. Commands, steps
and timers of the recording are carried out where they were. What each connection hears is compared frame by frame;
when the frames came does not matter.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ib_simulator.clock import SimulatedClock
from ib_simulator.control import execute
from ib_simulator.errors import SimulatorError
from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.market.plans import PricePlan
from ib_simulator.session import Session
from ib_simulator.tape.recording import FORMAT, FrameCutter, read_payload

SAME = "same"


class RecordingError(SimulatorError):
    """The file is no recording; the message names the line."""


@dataclass(frozen=True)
class Recording:
    """What was played, and the events in order."""

    played: dict[str, Any]
    events: list[dict[str, Any]]


def played(config: GatewayConfig, *, resumed: bool = False) -> dict[str, Any]:
    """Return what the first line of a recording says of a gateway; `resumed`: it began with a book from a journal."""
    what: dict[str, Any] = {"seed": config.seed, "accounts": list(config.accounts), "hours": config.hours}
    if config.prices != PricePlan():
        what["prices"] = asdict(config.prices)
    return {**what, "resumed": True} if resumed else what


def read_recording(lines: Iterable[bytes]) -> Recording:
    """Read JSON lines; a last line that was cut off is left out. Raises RecordingError."""
    parsed: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            value = json.loads(line)
        except ValueError as error:
            raise RecordingError(f"line {number}: {error}") from error
        if not isinstance(value, dict) or ("event" not in value) is not (number == 1):
            raise RecordingError(f"line {number}: not an event of a recording")
        parsed.append(value)
    if not parsed or parsed[0].get("recording") != FORMAT:
        raise RecordingError(f"line 1: not a recording of format {FORMAT}")
    return Recording(parsed[0], parsed[1:])


class _EventTime:
    """Real time as it was at the event that is being carried out."""

    def __init__(self, start: datetime) -> None:
        self.moment = start
        self.ms = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic_ms(self) -> float:
        return self.ms


class EventClock(SimulatedClock):
    """Stands at the time of the event that is being carried out; commands may lead it on the way."""

    def __init__(self, start: datetime) -> None:
        self._time = _EventTime(start)
        super().__init__(start=start, speed=0.0, beneath=self._time)

    def go_to(self, event: dict[str, Any]) -> None:
        self._time.moment, self._time.ms = datetime.fromisoformat(event["at"]), float(event["ms"])
        self._anchor(self._time.moment, 0.0)


@dataclass
class _Line:
    """One connection: what it hears now and what it heard then."""

    session: Session
    cutter: FrameCutter = field(default_factory=FrameCutter)
    heard: list[bytes] = field(default_factory=list)
    recorded: list[bytes] = field(default_factory=list)

    def listen(self) -> None:
        self.heard += self.cutter.feed(self.session.take_output())


def check(recording: Recording) -> str:
    """Carry the recording out and return `same`, or the first difference in words. Raises RecordingError."""
    if recording.played.get("resumed"):
        raise RecordingError("the recorded simulator began with a book from its state directory, which is not here")
    try:
        lines = _carry_out(recording)
    except (KeyError, ValueError, TypeError) as error:
        raise RecordingError(f"the recording cannot be carried out: {error!r}") from error
    for number, line in sorted(lines.items()):
        difference = _difference(line)
        if difference:
            return f"connection {number}, {difference}"
    return SAME


def _carry_out(recording: Recording) -> dict[int, _Line]:
    played = recording.played
    clock = EventClock(datetime.fromisoformat(played["started_at"]))
    config = GatewayConfig(
        accounts=tuple(played["accounts"]),
        seed=played["seed"],
        hours=played["hours"],
        prices=PricePlan(**played.get("prices", {})),
    )
    gateway = Gateway(config, clock=clock)
    lines: dict[int, _Line] = {}
    for event in recording.events:
        clock.go_to(event)
        gateway.wake()
        if event["event"] == "out":
            lines[event["connection"]].recorded.append(read_payload(event))
        else:
            _do(event, gateway=gateway, lines=lines)
            gateway.commit()
        for line in lines.values():
            line.listen()
    return lines


def _do(event: dict[str, Any], *, gateway: Gateway, lines: dict[int, _Line]) -> None:
    match event["event"]:
        case "open":
            session = gateway.open_session()
            session.receive(PREAMBLE)
            lines[event["connection"]] = _Line(session)
        case "close":
            gateway.forget(lines[event["connection"]].session)
        case "in":
            lines[event["connection"]].session.receive(frame(read_payload(event)))
        case "command":
            execute(gateway, event["line"].encode())
        case "step":
            gateway.step()
        case "beat":
            gateway.time_passed()
            gateway.push_due_values()
        case unknown:
            raise ValueError(f"there is no event {unknown!r}")


def _difference(line: _Line) -> str:
    for number, (then, now) in enumerate(zip(line.recorded, line.heard, strict=False), start=1):
        if then != now:
            return f"frame {number}: was {_shown(then)}, is {_shown(now)}"
    if len(line.recorded) > len(line.heard):
        return f"frame {len(line.heard) + 1}: was {_shown(line.recorded[len(line.heard)])}, is missing"
    if len(line.heard) > len(line.recorded):
        return f"frame {len(line.recorded) + 1}: is {_shown(line.heard[len(line.recorded)])}, was not there"
    return ""


def _shown(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace").replace("\0", "|")
