"""Deals and their costs, word for word as they were told: each answer tells the whole day again.

An answer about a busy day is mostly what is known. To decode each deal again would keep the loop, and what waits behind
the answer, ten times as long.
"""

import hashlib
from collections.abc import Iterable

from app.domain.broker_events import CommissionTold, FillTold

MESSAGES_MAX = 10_000  # About a kilobyte each.


def told_as(fields: Iterable[str]) -> bytes:
    """Return a name for what a message says, word for word."""
    return hashlib.blake2b("\0".join(fields).encode(errors="backslashreplace"), digest_size=16).digest()


class ToldAgain:
    """Remembers what the newest messages said, by their words. What is forgotten is decoded once more."""

    def __init__(self, *, messages_max: int = MESSAGES_MAX) -> None:
        self._events: dict[bytes, FillTold | CommissionTold] = {}
        self._messages_max = messages_max

    def __len__(self) -> int:
        return len(self._events)

    def event_of(self, name: bytes) -> FillTold | CommissionTold | None:
        """Return what a message of these words said, None where it is not known."""
        return self._events.get(name)

    def note(self, name: bytes, event: FillTold | CommissionTold) -> None:
        """Remember what a message of these words said."""
        self._events[name] = event
        if len(self._events) > self._messages_max:
            del self._events[next(iter(self._events))]
