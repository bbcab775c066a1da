"""One program of the stack: started so that it never outlives us, known to be ready only by its own sign, stopped
politely and then firmly.

Every program runs in a session of its own, so that Ctrl-C in the terminal reaches only the one who started it, and
dies with that one: on Linux the kernel is told to signal it when its parent is gone, however the parent ended. Where
there is no such request (macOS), the next `up` ends what a killed one left behind (see run_lock).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_stack import log_writer
from local_stack.errors import NotReadyError

POLL_SECONDS = 0.02
LOG_TAIL_LINES = 15
# The writer is a program of its own, which a busy machine may take seconds to start.
LOG_END_TIMEOUT_SECONDS = 5

# Runs between fork and the real program, in an interpreter of its own: a `preexec_fn` could dead-lock a parent that
# has threads. The change of user would clear the request to be signalled, so it comes first, and after it nothing
# can be imported (Python itself may live in a private folder). The request only counts from then on: hence the
# second look at who our parent is.
_LAUNCHER = """
import os, sys
parent, death_signal, uid, gid = (int(word) for word in sys.argv[1:5])
if sys.platform == "linux":
    import ctypes
    prctl, PR_SET_PDEATHSIG = ctypes.CDLL(None).prctl, 1
if uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if sys.platform == "linux":
    prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
if os.getppid() != parent:
    sys.exit(1)
try:
    os.execv(sys.argv[5], sys.argv[5:])
except OSError as error:
    sys.exit(f"cannot run {sys.argv[5]}: {error.strerror}")
"""


@dataclass(frozen=True)
class ServiceUser:
    """The unprivileged user that the database servers run as when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class LogLimits:
    """How large a program's log may become: the current file, and as many older ones beside it."""

    bytes_max: int = 10_000_000
    older_files_max: int = 4


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How to start one program, how to know that it is ready, how to stop it.

    `ready` gets the process id and the log written since this start; it is asked every few milliseconds and must
    answer at once. `death_signal` is what the kernel sends when we are gone.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    ready: Callable[[int, str], bool]
    ready_timeout_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_seconds: float = 3.0
    death_signal: signal.Signals = signal.SIGKILL
    user: ServiceUser | None = None
    # Asks the running program whether it still answers (see liveness); it may take its time, but must end by itself.
    alive: Callable[[], bool] | None = None


@dataclass
class LogPipe:
    """What carries a program's words to its log: we keep the reading end, so that they wait when the writer dies."""

    log: Path
    limits: LogLimits
    reading_end: int
    writer: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._start()

    def look_after(self) -> None:
        """Start the writer again where it has died."""
        if self.writer.poll() is not None:
            self._start()

    def close(self) -> None:
        """Return when all that the ended program said is written; what it left running may keep us for a moment."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.writer.wait(LOG_END_TIMEOUT_SECONDS)
        if self.reading_end >= 0:
            os.close(self.reading_end)
            self.reading_end = -1

    def _start(self) -> None:
        limits = [str(self.limits.bytes_max), str(self.limits.older_files_max)]
        self.writer = subprocess.Popen(
            [sys.executable, "-I", "-S", log_writer.__file__, str(self.log), *limits],
            stdin=self.reading_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@dataclass
class RunningProcess:
    """A started program."""

    spec: ProcessSpec
    log: Path
    child: subprocess.Popen[bytes]
    log_offset: int
    started_at: float = field(default_factory=time.monotonic)
    log_pipe: LogPipe | None = None

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.child.poll()

    def is_ready(self) -> bool:
        """Say whether the program has given its sign.

        Raises:
            NotReadyError: it ended instead, or its time is over. The message holds the last lines of its log.
        """
        name = self.spec.name
        if self.exit_code is not None:
            raise NotReadyError(f"{name} ended with exit code {self.exit_code} while starting\n{self.log_tail()}")
        if self.spec.ready(self.pid, self.log_text()):
            return True
        if time.monotonic() - self.started_at > self.spec.ready_timeout_seconds:
            raise NotReadyError(f"{name} was not ready within {self.spec.ready_timeout_seconds:g} s\n{self.log_tail()}")
        return False

    def wait_ready(self) -> None:
        """Return when the program is ready. Raises NotReadyError as `is_ready` does."""
        while not self.is_ready():
            time.sleep(POLL_SECONDS)

    def log_text(self) -> str:
        """Return what this start has written so far."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(self.log_offset)
                return stream.read().decode(errors="replace")
        except OSError:  # In the moment in which a full one has been moved aside; or the disk fails us.
            return ""

    def log_end(self) -> None:
        """Return when all that a program said that has ended is in its log."""
        if self.log_pipe is not None and self.exit_code is not None:
            self.log_pipe.close()

    def log_tail(self) -> str:
        """Return the last lines of the log with the file's name, for an error message."""
        self.log_end()
        lines = self.log_text().splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"  last lines of {self.log}:", *(f"  | {line}" for line in lines or ["(empty)"])])

    def ask_to_stop(self) -> None:
        """Send the program its stop signal, if it still runs."""
        if self.exit_code is None:
            self.child.send_signal(self.spec.stop_signal)

    def stopped_within(self, seconds: float) -> bool:
        """Wait for the end of a program that was asked to stop; kill it when the time is over and return False then."""
        try:
            self.child.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.log_end()
        return True

    def stop(self) -> None:
        """Stop the program, politely for its time and then firmly. Returns when it is gone."""
        self.ask_to_stop()
        self.stopped_within(self.spec.stop_timeout_seconds)

    def output(self) -> str:
        """Return what a program that has ended wrote to a pipe (see `process_start`); for short answers only."""
        if self.child.stdout is None:
            return ""
        with self.child.stdout as stream:
            return stream.read().decode(errors="replace")

    def kill(self) -> None:
        """End the program and the group it leads at once."""
        if self.exit_code is None:
            # It leads its own group, so this cannot reach anybody else's processes.
            os.killpg(self.pid, signal.SIGKILL)
        self.child.wait()
        self.log_end()


def process_start(
    spec: ProcessSpec, *, log: Path, output: int | None = None, limits: LogLimits | None = None
) -> RunningProcess:
    """Start a program with its output appended to `log`, or its standard output sent to `output` (subprocess.PIPE).

    With `limits` a writer keeps the log within them; without, the program writes to the file itself. Call from a thread
    that lives as long as the program should.
    """
    if limits is None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            offset = stream.tell()  # The program shares the position, and may have written before we look again.
            child = _child(spec, words=stream.fileno(), output=output)
            return RunningProcess(spec=spec, log=log, child=child, log_offset=offset)
    # The writer makes the file, as soon as it can: without a log a program can run all the same.
    offset = log.stat().st_size if log.exists() else 0
    reading_end, writing_end = os.pipe()
    try:
        pipe = LogPipe(log=log, limits=limits, reading_end=reading_end)
        child = _child(spec, words=writing_end, output=output)
    except OSError:
        # The writer, if it has been started, ends with the last writing end.
        os.close(reading_end)
        raise
    finally:
        os.close(writing_end)
    return RunningProcess(spec=spec, log=log, child=child, log_offset=offset, log_pipe=pipe)


def _child(spec: ProcessSpec, *, words: int, output: int | None) -> "subprocess.Popen[bytes]":
    user = spec.user or ServiceUser(uid=0, gid=0)
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
    numbers = [os.getpid(), int(spec.death_signal), user.uid, user.gid]
    return subprocess.Popen(
        [*launcher, *(str(number) for number in numbers), *spec.argv],
        cwd=spec.directory,
        env=dict(spec.environment),
        stdin=subprocess.DEVNULL,
        stdout=words if output is None else output,
        stderr=words,
        start_new_session=True,
    )


def wait_all_ready(processes: Sequence[RunningProcess]) -> None:
    """Return when every one is ready; they start side by side. Raises NotReadyError for the first that fails."""
    waiting = list(processes)
    while waiting:
        waiting = [process for process in waiting if not process.is_ready()]
        if waiting:
            time.sleep(POLL_SECONDS)
