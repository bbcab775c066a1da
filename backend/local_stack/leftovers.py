"""What the operating system knows of processes that a killed `up` left behind.

A process id alone proves nothing: the number may be somebody else's by now.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from local_stack.process import POLL_SECONDS

PROC = Path("/proc")
STOP_TIMEOUT_SECONDS = 4


def process_start_mark(pid: int) -> str | None:
    """Return what no other process with this id will ever have (its start time), None when there is no such process."""
    if sys.platform != "linux":
        return _ps(pid, "lstart")
    try:
        # The name in parentheses may itself hold blanks and parentheses; field 3 follows the last one, the start
        # time is field 22.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def process_command(pid: int) -> str | None:
    """Return the command line of a process, None when there is no such process."""
    if sys.platform != "linux":
        return _ps(pid, "command")
    try:
        return os.fsdecode((PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" "))
    except OSError:
        return None


def processes_in(directory: Path) -> list[int]:
    """Return the processes whose working directory is `directory`. Empty where the system does not tell (macOS)."""
    found = []
    for entry in PROC.glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == directory and process_start_mark(int(entry.name)) is not None:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def processes_end(marks: Iterable[tuple[int, str]], *, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> list[int]:
    """Ask processes to stop, then make them; return the ids of those that still ran.

    Each comes with the start mark it is known by; a process id that has another mark by now is left alone.
    """
    running = [(pid, mark) for pid, mark in marks if process_start_mark(pid) == mark]
    for number, seconds in ((signal.SIGTERM, timeout_seconds), (signal.SIGKILL, timeout_seconds)):
        left = [(pid, mark) for pid, mark in running if process_start_mark(pid) == mark]
        for pid, _mark in left:
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while any(process_start_mark(pid) == mark for pid, mark in left) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    return [pid for pid, _mark in running]


def _ps(pid: int, column: str) -> str | None:
    answer = subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
