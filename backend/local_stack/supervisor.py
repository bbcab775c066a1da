"""Several programs as one: started in batches, each batch only when the one before is ready; restarted when one
dies; stopped in reverse.

    start(batch) ── all ready? ──> start(next batch) ... run_job(...) ... run() ── stop signal ──> stop(): last batch
    first
                                        │ one dies: start it again after 0.5, 1, 2 ... 30 s; the pause is forgotten
                                        after a quiet minute
                                        │ one hangs (see liveness): it is killed, and so has died
                                        │ the machine refuses something (see troubles): told once, and tried again;
                                        once it is over, whoever waits for a restart is started at once

One thread only: a process is told to die with the thread that started it, and nothing here waits without looking
after the others.
"""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from local_stack.errors import JobFailedError, StackError
from local_stack.liveness import ANSWER_TIMEOUT_SECONDS, MISSES_MAX, Liveness
from local_stack.log_writer import log_rotate
from local_stack.process import POLL_SECONDS, LogLimits, ProcessSpec, RunningProcess, process_start
from local_stack.troubles import Troubles

BACK_OFF_FIRST_SECONDS = 0.5
BACK_OFF_MAX_SECONDS = 30.0
QUIET_SECONDS = 60.0
IDLE_SECONDS = 0.2
WRITE_DOWN = "cannot write down what runs"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(StackError):
    """A stop signal came; raised at the next moment that leaves nothing behind."""

    code = "stop_requested"

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        # What a shell reports for a program that a signal ended.
        self.exit_code = 128 + number


@dataclass
class _Slot:
    """One program's place: what runs there now, and when to start it again when nothing does."""

    process: RunningProcess
    back_off_seconds: float = BACK_OFF_FIRST_SECONDS
    restart_at: float | None = None
    liveness: Liveness | None = None

    def __post_init__(self) -> None:
        self.watch()

    def watch(self) -> None:
        """Begin to ask the program that runs here now whether it lives, where it can be asked."""
        spec, now = self.process.spec, self.process.started_at
        self.liveness = Liveness(spec.alive, now=now, start_seconds=spec.ready_timeout_seconds) if spec.alive else None


class Supervisor:
    """Runs the programs.

    `report` takes a line for a person, `changed` the process ids after each start, restart and death. Neither can end
    the watch: when `changed` raises OSError, it is called again every second until it does not.
    """

    def __init__(
        self,
        *,
        logs: Path,
        report: Callable[[str], None],
        changed: Callable[[dict[str, int]], None] = lambda _: None,
        log_limits: LogLimits | None = None,
    ) -> None:
        self._logs = logs
        self._log_limits = log_limits or LogLimits()
        self._troubles = Troubles(report)
        self._report = self._troubles.say
        self._changed = changed
        self._is_written_down = True
        self._batches: list[dict[str, _Slot]] = []
        self._stop_signal: int | None = None
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.watch_room(logs)

    def watch_room(self, folder: Path) -> None:
        """Tell when the disk of this folder is full, and start what waits for a restart once it no longer is."""
        self._troubles.watch_room(folder)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of what runs, in the order of start."""
        slots = [slot for batch in self._batches for slot in batch.values()]
        return {slot.process.spec.name: slot.process.pid for slot in slots if slot.restart_at is None}

    @contextlib.contextmanager
    def stop_signals_heard(self) -> Iterator[None]:
        """Turn Ctrl-C, SIGTERM and a closed terminal into StopRequestedError at the next safe moment."""
        # `nohup` means it: a hang-up that is ignored already stays ignored.
        heard = [n for n in STOP_SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_stop_signal) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self, specs: Sequence[ProcessSpec], *, joined: bool = False) -> None:
        """Start a batch side by side and return at once; `wait_ready` says when it is ready. With `joined` it becomes a
        part of the batch before, and is stopped together with it.
        """
        if not joined:
            self._batches.append({})
        batch = self._batches[-1]
        for spec in specs:
            batch[spec.name] = _Slot(process_start(spec, log=self._rotated(spec.name), limits=self._log_limits))
        self._write_down()

    def wait_ready(self, *names: str) -> None:
        """Return when the named processes (all, when none is named) are ready.

        Raises:
            NotReadyError: one of them died, or its time was over.
            StopRequestedError: a stop signal came.
        """
        slots = [slot for batch in self._batches for name, slot in batch.items() if not names or name in names]
        waiting = [slot.process for slot in slots]
        while waiting := [process for process in waiting if not process.is_ready()]:
            self._pause(POLL_SECONDS)

    def run_job(self, spec: ProcessSpec, *, timeout_seconds: float) -> str:
        """Run a program to its end and return what it wrote to its standard output; its errors go to its log.

        Raises:
            JobFailedError: it failed, or took too long. The message holds its output and the last lines of its log.
            StopRequestedError: a stop signal came; the program is ended.
        """
        job = process_start(spec, log=self._rotated(spec.name), output=subprocess.PIPE)
        try:
            while job.exit_code is None:
                if time.monotonic() - job.started_at > timeout_seconds:
                    raise JobFailedError(f"{spec.name} took longer than {timeout_seconds:g} s\n{job.log_tail()}")
                self.restart_dead()
                self._pause(POLL_SECONDS)
        finally:
            job.kill()
            output = job.output()
        if job.exit_code != 0:
            raise JobFailedError(f"{spec.name} failed with exit code {job.exit_code}\n{output}{job.log_tail()}")
        return output

    def wait_until(self, condition: Callable[[], bool], *, timeout_seconds: float) -> bool:
        """Return whether the condition came true in time. Raises StopRequestedError when a stop signal came."""
        deadline = time.monotonic() + timeout_seconds
        while not (is_true := condition()) and time.monotonic() < deadline:
            self.restart_dead()
            self._pause(IDLE_SECONDS)
        return is_true

    def run(self) -> None:
        """Look after the programs until a stop signal comes, then raise StopRequestedError."""
        while True:
            self.restart_dead()
            self._pause(IDLE_SECONDS)

    def restart_dead(self) -> None:
        """Notice processes that died or hang, and start again those whose pause is over."""
        now = time.monotonic()
        slots = [slot for batch in self._batches for slot in batch.values()]
        self._look_at_troubles(slots, now=now)
        for slot in slots:
            if slot.restart_at is None and slot.process.exit_code is None:
                self._look_after(slot, now=now)
            if slot.restart_at is None and slot.process.exit_code is not None:
                self._note_death(slot, now=now)
            elif slot.restart_at is not None and now >= slot.restart_at:
                self._restart(slot, now=now)

    def _look_at_troubles(self, slots: Sequence[_Slot], *, now: float) -> None:
        had_troubles = bool(self._troubles)
        if self._troubles.look(now=now) and not self._is_written_down:
            self._write_down()
        if had_troubles and not self._troubles:
            for slot in slots:
                slot.back_off_seconds = BACK_OFF_FIRST_SECONDS
                slot.restart_at = slot.restart_at and now

    def _look_after(self, slot: _Slot, *, now: float) -> None:
        process = slot.process
        if process.log_pipe is not None:
            what = f"cannot start the writer of {process.log}"
            try:
                process.log_pipe.look_after()
            except OSError as error:
                self._troubles.begun(what, error)
            else:
                self._troubles.over(what)
        if slot.liveness is not None and slot.liveness.is_hung(now=now):
            self._report(
                f"{process.spec.name} hangs: {MISSES_MAX} times in a row it gave no answer within "
                f"{ANSWER_TIMEOUT_SECONDS:g} s, so it is killed"
            )
            process.kill()

    def _note_death(self, slot: _Slot, *, now: float) -> None:
        process = slot.process
        process.log_end()
        if now - process.started_at > QUIET_SECONDS:
            slot.back_off_seconds = BACK_OFF_FIRST_SECONDS
        self._report(
            f"{process.spec.name} ended with exit code {process.exit_code}, "
            f"starts again in {slot.back_off_seconds:g} s; see {process.log}"
        )
        self._pause_restart(slot, now=now)
        self._write_down()

    def _pause_restart(self, slot: _Slot, *, now: float) -> None:
        slot.restart_at = now + slot.back_off_seconds
        slot.back_off_seconds = min(slot.back_off_seconds * 2, BACK_OFF_MAX_SECONDS)

    def _restart(self, slot: _Slot, *, now: float) -> None:
        process = slot.process
        what = f"cannot start {process.spec.name}"
        try:
            slot.process = process_start(process.spec, log=process.log, limits=self._log_limits)
        except OSError as error:
            self._troubles.begun(what, error)
            self._pause_restart(slot, now=now)
            return
        self._troubles.over(what)
        slot.restart_at = None
        slot.watch()
        self._write_down()

    def _write_down(self) -> None:
        try:
            self._changed(self.pids)
        except OSError as error:
            self._is_written_down = False
            self._troubles.begun(WRITE_DOWN, error)
        else:
            self._is_written_down = True
            self._troubles.over(WRITE_DOWN)

    def stop(self) -> None:
        """Stop everything, the last batch first; one that does not end in its time is killed."""
        while self._batches:
            processes = [slot.process for slot in reversed(self._batches[-1].values())]
            for process in processes:
                process.ask_to_stop()
            started = time.monotonic()
            for process in processes:
                if not process.stopped_within(process.spec.stop_timeout_seconds - (time.monotonic() - started)):
                    self._report(f"{process.spec.name} did not stop in time and was killed")
            self._batches.pop()
            self._write_down()

    def _on_stop_signal(self, number: int, _frame: FrameType | None) -> None:
        self._stop_signal = number

    def _pause(self, seconds: float) -> None:
        if self._stop_signal is not None:
            raise StopRequestedError(self._stop_signal)
        # A signal does not cut this short (PEP 475), so it must be short itself.
        time.sleep(seconds)

    def _rotated(self, name: str) -> Path:
        """Return the log's path; the former run's moves aside."""
        log = self._logs / f"{name}.log"
        log_rotate(log, files=self._log_limits.older_files_max)
        return log
