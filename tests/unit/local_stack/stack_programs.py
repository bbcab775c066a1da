"""Small real programs for the tests of the stack, and what to ask the system about them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local_stack.leftovers import process_start_mark
from local_stack.process import ProcessSpec, RunningProcess

PASSWORD = "correct-horse"  # An ordinary word will do: the servers live for a second.


def eventually(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Return as soon as the condition holds; fail when it has not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    return process_start_mark(pid) is not None


def program(name: str, code: str, *, sign: str = "ready", **settings: object) -> ProcessSpec:
    """Return a Python program of one string that is ready when it has printed `sign`."""
    values = {
        "name": name,
        "argv": [sys.executable, "-I", "-S", "-u", "-c", code],
        "environment": {"PATH": os.environ["PATH"]},
        "directory": Path("/"),
        "ready": lambda _pid, log: sign in log,
        "ready_timeout_seconds": 10,
        **settings,
    }
    return ProcessSpec(**values)  # type: ignore[arg-type]  # A table of settings, checked by the class itself.


SERVE = "import time; print('ready'); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); time.sleep(60)"


def kill_nine(process: RunningProcess) -> None:
    """End a server as a power cut would: its children die on their own."""
    os.kill(process.pid, signal.SIGKILL)
    process.child.wait()


def process_user(pid: int) -> int:
    """Return the user id that a process runs as."""
    answer = subprocess.run(["ps", "-o", "uid=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(answer.stdout)
