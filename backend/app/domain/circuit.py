"""After repeated failures no new entries for a while, then one careful try: a function of when it failed, nothing else.

CLOSED ── FAILURES_MAX within WINDOW ──> OPEN ── COOL_DOWN without another ──> HALF_OPEN ── WINDOW over ──> CLOSED
                                          ^                                     │     └── the try was answered: the
                                          └────────── another failure ──────────┘         failures are forgotten
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES_MAX = 10
WINDOW = timedelta(minutes=5)
COOL_DOWN = timedelta(seconds=30)
SKEW = timedelta(seconds=5)


class Circuit(StrEnum):
    """Whether new entries pass. In HALF_OPEN one does, and no other until the broker has answered that one."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


def circuit_at(failures: Sequence[datetime], *, now: datetime) -> Circuit:
    """Return where the circuit stands, given the moments of failures, oldest first."""
    # What lies ahead was noted by a clock that was wrong; a little of it by a task that waited for its lock.
    lately = [at for at in failures if -SKEW < now - at < WINDOW]
    if len(lately) < FAILURES_MAX:
        return Circuit.CLOSED
    return Circuit.OPEN if now - lately[-1] < COOL_DOWN else Circuit.HALF_OPEN
