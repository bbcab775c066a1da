"""A full disk, no file left to open: told once, nothing ends, and all is back when it is over."""

import errno
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stack_programs import SERVE, eventually, is_running, program

from app.config.celery import app
from local_stack import troubles
from local_stack.log_writer import RotatingLog
from local_stack.private_file import private_json_write
from local_stack.supervisor import Supervisor
from local_stack.up import progress

pytestmark = pytest.mark.case("S71")
DISK_FULL = (
    "cannot write down what runs: No space left on device: free some; everything that can go on goes on, "
    "and the rest comes back by itself"
)
TALK = "import time; print('ready')\nwhile True: print('tick'); time.sleep(0.01)"


class Disk:
    """Takes down what runs, as `up` does, while there is room."""

    def __init__(self) -> None:
        self.is_full = False
        self.written: dict[str, int] = {}

    def write(self, pids: dict[str, int]) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.written = pids


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, disk: Disk, said: list[str]) -> Iterator[Supervisor]:
    watched = Supervisor(logs=tmp_path / "log", report=said.append, changed=disk.write)
    watched.start([program("p", SERVE), program("q", SERVE)])
    watched.wait_ready()
    yield watched
    watched.stop()


@contextmanager
def no_file_left_to_open() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def kill(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.pids[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def watch_until(supervisor: Supervisor, condition: object) -> None:
    assert callable(condition)

    def is_true() -> bool:
        supervisor.restart_dead()
        return bool(condition())

    eventually(is_true)


def test_a_full_disk_ends_nothing_and_what_died_meanwhile_is_started_again(
    supervisor: Supervisor, disk: Disk, said: list[str]
) -> None:
    other = supervisor.pids["q"]
    disk.is_full = True
    first = kill(supervisor, "p")

    watch_until(supervisor, lambda: supervisor.pids.get("p", first) != first)

    assert is_running(other)
    assert disk.written["p"] == first
    disk.is_full = False
    watch_until(supervisor, lambda: disk.written == supervisor.pids)
    assert [line for line in said if not line.startswith("p ended")] == [
        DISK_FULL,
        "over: cannot write down what runs",
    ]


def test_whoever_waits_for_a_restart_is_started_as_soon_as_there_is_room(
    supervisor: Supervisor, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.supervisor.BACK_OFF_FIRST_SECONDS", 3600.0)
    disk.is_full = True
    for slot in supervisor._batches[0].values():
        slot.back_off_seconds = 3600.0
    first = kill(supervisor, "p")
    watch_until(supervisor, lambda: "p" not in supervisor.pids)

    disk.is_full = False

    watch_until(supervisor, lambda: supervisor.pids.get("p", first) != first)


def test_a_disk_that_our_own_small_files_still_fit_on_is_told_too(
    supervisor: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(troubles, "LOOK_EVERY_SECONDS", 0.01)
    with monkeypatch.context() as almost_full:
        almost_full.setattr(troubles, "ROOM_BYTES_MIN", 2**60)
        watch_until(supervisor, lambda: said)
        supervisor.restart_dead()
    watch_until(supervisor, lambda: len(said) > 1)

    full = f"the disk of {tmp_path / 'log'} is full"
    assert said == [f"{full}: free some; {troubles.GOES_ON}", f"over: {full}"]


def test_a_restart_that_fails_is_tried_again(supervisor: Supervisor, said: list[str]) -> None:
    first = kill(supervisor, "p")
    watch_until(supervisor, lambda: "p" not in supervisor.pids)
    slot = supervisor._batches[0]["p"]
    with no_file_left_to_open():
        slot.restart_at = 0.0
        supervisor.restart_dead()
        slot.restart_at = 0.0
        supervisor.restart_dead()

    assert "p" not in supervisor.pids
    watch_until(supervisor, lambda: supervisor.pids.get("p", first) != first)
    [told] = [line for line in said if line.startswith("cannot start p")]
    assert "Too many open files: allow this user more open files (ulimit -n)" in told
    assert said[-1] == "over: cannot start p"


def test_a_writer_that_cannot_be_started_leaves_its_program_alone(supervisor: Supervisor, said: list[str]) -> None:
    process = supervisor._batches[0]["p"].process
    assert process.log_pipe is not None
    process.log_pipe.writer.kill()
    process.log_pipe.writer.wait()
    with no_file_left_to_open():
        supervisor.restart_dead()

    supervisor.restart_dead()

    assert process.log_pipe.writer.poll() is None
    assert is_running(process.pid)
    assert [line.split(":")[0] for line in said][:1] == [f"cannot start the writer of {process.log}"]


def test_a_program_runs_without_a_log_until_there_can_be_one(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([program("r", TALK)])
    first = supervisor.pids["r"]
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    (tmp_path / "log").write_text("where a folder should be")

    kill(supervisor, "r")

    watch_until(supervisor, lambda: supervisor.pids.get("r", first) != first)
    (tmp_path / "log").unlink()
    log = tmp_path / "log" / "r.log"
    watch_until(supervisor, lambda: log.exists() and "tick" in log.read_text())


def test_a_log_that_could_not_be_written_says_how_much_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "log" / "p.log"
    log = RotatingLog(path, bytes_max=1000, files=2)
    log.write(b"one\n")
    path.unlink()
    path.symlink_to("/dev/full")
    log.write(b"two\n")
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("where a folder should be")
    log.write(b"three\n")
    log.write(b"four\n")
    path.parent.unlink()

    log.write(b"five\n")

    assert path.read_text() == "log_writer: 15 bytes are missing here: they could not be written\nfive\n"


@pytest.mark.parametrize("where", ["rotating", "in the middle of a line"])
def test_a_log_goes_on_after_a_disk_was_full(where: str, tmp_path: Path) -> None:
    path = tmp_path / "p.log"
    log = RotatingLog(path, bytes_max=10, files=1)
    log.write(b"0123456789\n" if where == "rotating" else b"01234")
    blocked = tmp_path / "p.log.1"
    blocked.mkdir()
    (blocked / "cannot be replaced").touch()
    log.write(b"lost\n" if where == "rotating" else b"lost\nlost\n")
    (blocked / "cannot be replaced").unlink()
    blocked.rmdir()

    log.write(b"kept\n")

    whole = "".join(part.read_text() for part in (blocked, path) if part.exists())
    assert whole.endswith("could not be written\nkept\n")


def test_half_a_file_does_not_take_the_rest_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "up.json").mkdir()

    with pytest.raises(IsADirectoryError):
        private_json_write(tmp_path / "up.json", {"a": 1})

    assert [path.name for path in tmp_path.iterdir()] == ["up.json"]


def test_the_workers_wait_for_a_queue_that_refuses() -> None:
    assert app.conf.broker_channel_error_retry


def test_words_that_go_nowhere_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", buffering=1) as nowhere:  # A stream to stand in for standard error.
        monkeypatch.setattr(sys, "stderr", nowhere)
        progress("nobody hears this")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), nowhere.fileno())


@pytest.mark.case("S74")
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device: free some"),
        (errno.EROFS, "Read-only file system: make it writable again"),
        (errno.EACCES, "Permission denied: make it writable for this user"),
        (errno.EIO, "Input/output error: mend that"),
    ],
)
def test_what_cannot_be_written_is_named_with_what_to_do(number: int, advice: str) -> None:
    error = OSError(number, os.strerror(number), "/clone/.local/up.lock")

    line = str(troubles.not_writable(error, folder=Path("/clone/.local")))

    assert line == (
        f"/clone/.local/up.lock: {advice}, or clone into a folder that this user may write; "
        "all that is kept between starts is in /clone/.local"
    )
