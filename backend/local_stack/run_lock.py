"""One `up` per clone, and what a killed one left behind.

The lock is the kernel's, so it is free again however its holder ended. The processes are written down with their
start times while they run; the next holder ends those that still do. (On Linux they have died with their parent
already.)
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from local_stack.errors import AlreadyRunningError
from local_stack.leftovers import process_start_mark, processes_end
from local_stack.private_file import private_json_read, private_json_write

LOCK = "up.lock"
PROCESSES = "up.processes"
# A command that looks whether `up` runs holds the lock for a moment.
TRIES_MAX = 20
TRY_AGAIN_SECONDS = 0.05


@contextmanager
def run_lock(local: Path) -> Iterator[None]:
    """Be the only `up` of this clone.

    Raises:
        AlreadyRunningError: there is one; the message names its process.
    """
    with (local / LOCK).open("a+") as stream:
        if not _locked(stream):
            stream.seek(0)
            raise AlreadyRunningError(
                f"another `up` runs in this clone (process {stream.read().strip() or 'unknown'}): "
                f"stop it first, or see {local / 'up.json'} for how to reach it"
            )
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


def _locked(stream: TextIO) -> bool:
    for tries_left in reversed(range(TRIES_MAX)):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if tries_left:
                time.sleep(TRY_AGAIN_SECONDS)
        else:
            return True
    return False


def processes_record(local: Path, pids: Mapping[str, int]) -> None:
    """Write down what runs, in the order of its start; the file is gone when nothing does."""
    if not pids:
        (local / PROCESSES).unlink(missing_ok=True)
        return
    private_json_write(local / PROCESSES, {name: [pid, process_start_mark(pid) or ""] for name, pid in pids.items()})


def leftovers_end(local: Path) -> list[str]:
    """End what the last holder recorded and left running; return the names. Call while holding the lock."""
    recorded = [
        (name, value) for name, value in private_json_read(local / PROCESSES).items() if isinstance(value, list)
    ]
    # The reverse of their start: the servers last.
    ended = [name for name, (pid, mark) in reversed(recorded) if processes_end([(int(pid), str(mark))])]
    (local / PROCESSES).unlink(missing_ok=True)
    return ended
