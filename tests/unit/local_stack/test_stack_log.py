"""Logs while a program runs: bounded in size and number, complete, always under the name that people know."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_programs import eventually, program

from local_stack.errors import NotReadyError
from local_stack.process import LogLimits, RunningProcess, process_start
from local_stack.supervisor import Supervisor

LINES = 20_000
TALKER = f"""
import time
print('ready')
for number in range({LINES}): print('line', number)
print('done')
time.sleep(60)
"""
ECHO = "import sys, time; print('ready')\nfor n in range(100000): print('tick', n); time.sleep(0.005)"
Start = Callable[..., RunningProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a program with its log in a folder of the test, and kill it afterwards."""
    started: list[RunningProcess] = []

    def _start(code: str, *, limits: LogLimits) -> RunningProcess:
        process = process_start(program("p", code), log=tmp_path / "log" / "p.log", limits=limits)
        started.append(process)
        return process

    yield _start
    for process in started:
        process.kill()


def files_of(log: Path) -> list[Path]:
    """Return the log's files, the oldest first."""
    return [*sorted(log.parent.glob("p.log.*"), key=lambda path: -int(path.suffix[1:])), log]


def is_written(log: Path) -> bool:
    """Say whether the program has said its last word. While its log is renamed there is none of that name."""
    try:
        return log.read_text().endswith("done\n")
    except FileNotFoundError:
        return False


@pytest.mark.case("S31")
def test_no_line_is_lost_and_none_is_split_when_the_log_begins_a_new_file(start: Start) -> None:
    process = start(TALKER, limits=LogLimits(bytes_max=20_000, older_files_max=50))
    eventually(lambda: is_written(process.log))

    files = files_of(process.log)

    assert len(files) > 5
    written = [line for path in files for line in path.read_text().splitlines()]
    assert written == ["ready", *(f"line {number}" for number in range(LINES)), "done"]


@pytest.mark.case("S31")
def test_the_number_of_files_and_their_size_are_bounded(start: Start) -> None:
    process = start(TALKER, limits=LogLimits(bytes_max=20_000, older_files_max=2))
    eventually(lambda: is_written(process.log))

    files = files_of(process.log)

    assert [path.name for path in files] == ["p.log.2", "p.log.1", "p.log"]
    # What is read from the pipe at once may go beyond the limit.
    assert all(path.stat().st_size <= 20_000 + 65_536 for path in files)


@pytest.mark.case("S31")
def test_even_a_line_without_an_end_has_bounds(start: Start) -> None:
    code = "import sys, time; print('ready'); sys.stdout.write('x' * 1_000_000); sys.stdout.flush()\nprint('\\ndone')\n"
    process = start(code + "time.sleep(60)", limits=LogLimits(bytes_max=20_000, older_files_max=2))
    eventually(lambda: is_written(process.log))
    assert sum(path.stat().st_size for path in files_of(process.log)) <= 3 * (40_000 + 65_536)


@pytest.mark.case("S31")
@pytest.mark.parametrize("what", ["moved", "deleted", "folder gone"])
def test_a_log_that_somebody_moved_or_deleted_is_begun_anew(start: Start, what: str, tmp_path: Path) -> None:
    process = start(ECHO, limits=LogLimits())
    eventually(lambda: process.log.exists() and "tick" in process.log.read_text())
    if what == "folder gone":
        (tmp_path / "log").rename(tmp_path / "elsewhere")
    elif what == "moved":
        process.log.rename(tmp_path / "elsewhere")
    else:
        process.log.unlink()

    eventually(lambda: process.log.exists() and "tick" in process.log.read_text())


@pytest.mark.case("S31")
def test_a_writer_that_dies_is_replaced_and_the_program_goes_on(start: Start) -> None:
    process = start(ECHO, limits=LogLimits())
    eventually(lambda: process.log.exists() and "tick" in process.log.read_text())
    assert process.log_pipe is not None
    os.kill(process.log_pipe.writer.pid, signal.SIGKILL)
    process.log_pipe.writer.wait()
    before = process.log.stat().st_size

    process.log_pipe.look_after()

    eventually(lambda: process.log.stat().st_size > before + 100)
    assert process.exit_code is None


@pytest.mark.case("S31")
def test_the_supervisor_bounds_the_logs_of_what_it_starts_and_starts_again(tmp_path: Path) -> None:
    supervisor = Supervisor(logs=tmp_path / "log", report=lambda _: None)
    supervisor.start([program("p", ECHO)])
    [slot] = supervisor._batches[-1].values()
    first, pipe = slot.process, slot.process.log_pipe
    try:
        assert pipe is not None
        os.kill(pipe.writer.pid, signal.SIGKILL)
        pipe.writer.wait()
        supervisor.restart_dead()
        assert pipe.writer.poll() is None, "a writer that died is replaced"
        os.kill(first.pid, signal.SIGKILL)

        def is_started_again() -> bool:
            supervisor.restart_dead()
            return slot.process is not first

        eventually(is_started_again)
        limits = [process.log_pipe and process.log_pipe.limits for process in (first, slot.process)]
        assert limits == [LogLimits(bytes_max=10_000_000, older_files_max=4)] * 2
    finally:
        supervisor.stop()


def test_the_last_words_of_a_program_that_fails_are_in_the_error(start: Start) -> None:
    process = start("import sys; print('begun'); sys.exit('no such thing')", limits=LogLimits())
    with pytest.raises(NotReadyError, match="no such thing"):
        process.wait_ready()


def test_the_writer_ends_with_its_program(start: Start) -> None:
    process = start(ECHO, limits=LogLimits())
    process.wait_ready()
    process.kill()
    assert process.log_pipe is not None
    assert process.log_pipe.writer.returncode == 0
