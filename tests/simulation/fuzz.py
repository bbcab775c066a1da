"""Search for bytes that the simulator cannot bear: `scripts/simulate --fuzz [--seconds N] [--seed N]`.

Real conversations, cut anywhere, merged, mutated, and plain noise go into fresh sessions and, now and then, over TCP
into a running simulator. A finding is an exception (also one that was caught and logged), a hang, a broken output
stream, or memory that grows. It prints the seed and the shortest failing input and ends with status 1.
"""

import argparse
import faulthandler
import logging
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType

from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.process import SimulatorProcess, running_simulator
from tests.simulation.recordings import VERSIONS, requests
from tests.simulator.joined import Table, split_frames

CASE_SECONDS_MAX = 20
SHRINK_SECONDS_MAX = 20.0
MEMORY_GROWTH_KB_MAX = 400_000
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
PROGRESS_SECONDS = 60
TCP_EVERY = 25
TCP_SILENCE_SECONDS = 0.2
ODD_FIELDS = ("", "-1", "0", "nan", "inf", "1e400", "2147483647", "9" * 30, "9" * 5000, "x", "\u20ac", "1.5", "true")


@dataclass(frozen=True)
class Case:
    """A stream of a client and the sizes of the pieces it arrives in (0: whole)."""

    stream: bytes
    piece_max: int
    cut_seed: int

    def pieces(self) -> Iterator[bytes]:
        random, rest = Random(self.cut_seed), self.stream
        while rest:
            size = random.randint(1, self.piece_max) if self.piece_max else len(rest)
            yield rest[:size]
            rest = rest[size:]


class _Errors(logging.Handler):
    """Collects what the simulator logs as a mistake of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


class Hang(BaseException):
    """A case took too long. Not an Exception: nothing on the way may take it for a mistake of its own."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"no end after {seconds} s")

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    # Where not even a signal gets through: say where, and end.
    faulthandler.dump_traceback_later(seconds * 2, exit=True)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, previous)


# --- cases ---------------------------------------------------------------------------------------------------


def new_case(random: Random, *, requests_max: int = 100) -> Case:
    """Make up a client's stream: a conversation, spoilt in one of several ways, or noise."""
    piece_max = random.choice([0, 0, 1, 3, 50, 2000])
    cut_seed = random.getrandbits(32)
    if random.random() < 0.1:
        stream = random.choice([b"", PREAMBLE, handshake(random)]) + random.randbytes(random.randint(0, 400))
        return Case(stream, piece_max, cut_seed)
    payloads = requests(random, version=random.choice(VERSIONS))
    payloads = random.sample(payloads, random.randint(1, min(requests_max, random.choice([5, 20, len(payloads)]))))
    spoil = random.choice([_leave, _spoil_fields, _spoil_bytes, _cut_short, _repeat])
    payloads = [spoil(random, payload) if random.random() < 0.3 else payload for payload in payloads]
    stream = handshake(random) + b"".join(frame(payload) for payload in payloads)
    if random.random() < 0.2:
        stream = _spoil_bytes(random, stream)
    return Case(stream, piece_max, cut_seed)


def handshake(random: Random) -> bytes:
    offered = f"v157..{random.choice(VERSIONS)}" + random.choice(["", " +PACEAPI"])
    return PREAMBLE + frame(offered.encode()) + frame(b"71\x002\x001\x00\x00")


def _leave(_random: Random, payload: bytes) -> bytes:
    return payload


def _spoil_fields(random: Random, payload: bytes) -> bytes:
    fields = payload.split(b"\0")
    for _ in range(random.randint(1, 3)):
        fields[random.randrange(len(fields))] = random.choice(ODD_FIELDS).encode()
    return b"\0".join(fields)


def _spoil_bytes(random: Random, payload: bytes) -> bytes:
    spoilt = bytearray(payload)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(spoilt) + 1)
        match random.randrange(3):
            case 0:
                spoilt[at : at + 1] = random.randbytes(1)
            case 1:
                del spoilt[at : at + random.randint(1, 8)]
            case _:
                spoilt[at:at] = random.randbytes(random.randint(1, 8))
    return bytes(spoilt)


def _cut_short(random: Random, payload: bytes) -> bytes:
    return payload[: random.randrange(len(payload) + 1)]


def _repeat(random: Random, payload: bytes) -> bytes:
    return payload * random.randint(2, 3)


# --- running -------------------------------------------------------------------------------------------------


def failure_of(case: Case) -> str | None:
    """Play a case into a fresh gateway; return what went wrong."""
    errors = _Errors()
    logger = logging.getLogger("ib_simulator")
    logger.addHandler(errors)
    try:
        with time_limit(CASE_SECONDS_MAX):
            _play(case)
    except (Exception, Hang):  # Whatever it is: it is what is searched for.
        return traceback.format_exc()
    finally:
        logger.removeHandler(errors)
    return errors.texts[0] if errors.texts else None


def _play(case: Case) -> None:
    table = Table()
    session = table.gateway.open_session()
    size = 0
    for piece in case.pieces():
        session.receive(piece)
        table.gateway.commit()
        output = session.take_output()
        size += len(output)
        split_frames(output)
    if size > OUTPUT_BYTES_MAX:
        raise MemoryError(f"{size} bytes of answers to {len(case.stream)} bytes")
    table.gateway.step()
    table.control("state")
    split_frames(session.take_output())
    session.close()
    table.connect(client_id=2)


def tcp_failure_of(case: Case, simulator: SimulatorProcess) -> str | None:
    """Send a case over TCP; afterwards the simulator must greet a new client and have logged no mistake."""
    try:
        _send(case, simulator)
        with socket.create_connection((simulator.host, simulator.port), timeout=CASE_SECONDS_MAX) as other:
            other.sendall(PREAMBLE + frame(b"v157..178"))
            if not other.recv(100):
                return "a new client was not greeted"
        simulator.control.ping()
    except OSError as error:
        return f"{error!r}\n{simulator.errors()}"
    mistakes = simulator.errors()
    return mistakes if "Traceback" in mistakes else None


def _send(case: Case, simulator: SimulatorProcess) -> None:
    with socket.create_connection((simulator.host, simulator.port), timeout=CASE_SECONDS_MAX) as client:
        try:
            for piece in case.pieces():
                client.sendall(piece)
            client.settimeout(TCP_SILENCE_SECONDS)
            while client.recv(65536):
                pass
        except (TimeoutError, ConnectionError):
            return  # Silence, or the end: both are good answers.


def shrink(case: Case) -> Case:
    """Return a shorter case that fails as well, found within a time limit."""
    give_up_at, step = time.monotonic() + SHRINK_SECONDS_MAX, max(len(case.stream) // 2, 1)
    whole = Case(case.stream, 0, 0)
    best = whole if failure_of(whole) else case
    while step and time.monotonic() < give_up_at:
        at = 0
        while at < len(best.stream) and time.monotonic() < give_up_at:
            shorter = Case(best.stream[:at] + best.stream[at + step :], best.piece_max, best.cut_seed)
            if failure_of(shorter):
                best = shorter
            else:
                at += step
        step //= 2
    return best


def search(*, seed: int, seconds: float) -> tuple[int, Case | None, str]:
    """Play cases for some seconds. Returns how many, and the failing one with what went wrong."""
    random = Random(seed)
    played, end, say_at = 0, time.monotonic() + seconds, time.monotonic() + PROGRESS_SECONDS
    memory_at_start = 0
    with running_simulator(seed=7) as simulator:
        while time.monotonic() < end:
            case = new_case(random)
            if time.monotonic() >= say_at:
                say(f"  {played} cases")
                say_at += PROGRESS_SECONDS
            failure = failure_of(case)
            if failure is None and played % TCP_EVERY == 0:
                failure = tcp_failure_of(case, simulator)
            played += 1
            if failure is not None:
                return played, case, failure
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            memory_at_start = memory_at_start or memory
            if memory - memory_at_start > MEMORY_GROWTH_KB_MAX:
                return played, case, f"memory grew by {memory - memory_at_start} kB"
    return played, None, ""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--fuzz", action="store_true", help="search for bytes the simulator cannot bear")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed, the same cases")
    options = parser.parse_args()
    if not options.fuzz:
        parser.error("--fuzz is what there is")
    logging.getLogger("ib_simulator").propagate = False
    say(f"fuzz seed={options.seed} seconds={options.seconds:g}")
    played, case, failure = search(seed=options.seed, seconds=options.seconds)
    if case is None:
        say(f"fuzz seed={options.seed}: {played} cases, nothing found")
        return 0
    short = shrink(case)
    say(f"fuzz seed={options.seed}: case {played} fails\n{failure}")
    say(f"shortest failing input ({len(short.stream)} bytes, piece_max={short.piece_max}, cut_seed={short.cut_seed}):")
    say(short.stream.hex())
    return 1


if __name__ == "__main__":
    sys.exit(main())
