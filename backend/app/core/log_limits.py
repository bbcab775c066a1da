"""Lines that strangers can have written as often as they like: without a traceback, and so many a minute.

An unknown Host header, a wrong address, a form without its token: each is one line of what was refused. Of one kind,
`LINES_MAX` are written in `WINDOW_SECONDS`; the first line of the next window says how many were left out.

Example: 1,000 requests for a wrong host in ten seconds are 30 lines, and 970 `left_out` on the next one.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

LINES_MAX = 30
WINDOW_SECONDS = 60.0
LINE_LENGTH_MAX = 300
STRANGERS_LOGGERS = ("django.security", "django.request")


@dataclass
class _Window:
    begun_at: float
    lines: int = 0
    left_out: int = 0


class StrangersLines(logging.Filter):
    """A filter for a handler. Errors of our own (a 500) always pass, with their traceback."""

    def __init__(self, *, seconds_now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds_now = seconds_now
        self._windows: dict[str, _Window] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is written; take its traceback away where a stranger caused it."""
        if not record.name.startswith(STRANGERS_LOGGERS):
            return True
        if record.name.startswith("django.security"):
            record.exc_info = record.exc_text = None
            record.msg, record.args = record.getMessage()[:LINE_LENGTH_MAX], None
        elif record.levelno >= logging.ERROR:
            return True
        with self._lock:
            return self._passes(record)

    def _passes(self, record: logging.LogRecord) -> bool:
        now = self._seconds_now()
        window = self._windows.get(record.name)
        if window is None or now - window.begun_at >= WINDOW_SECONDS:
            left_out = window.left_out if window else 0
            window = self._windows[record.name] = _Window(begun_at=now)
            if left_out:
                record.msg = f"{record.getMessage()} (left_out={left_out})"
                record.args = None
        window.lines += 1
        window.left_out += window.lines > LINES_MAX
        return window.lines <= LINES_MAX
