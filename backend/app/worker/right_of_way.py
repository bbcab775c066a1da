"""Entries give way while a lost stop is replaced: shares without a stop have the processor to themselves.

    loop      ── an order is gone or refused ──> heard()             entries stop before their next step
    recorder  ── it is recorded, the guard woken ──> recorded(n)
    guard     ── a look that began after that has ended ──> looked(n)   entries go on

In a burst dozens of threads of this process want the interpreter, and each statement of a repair waits for its turn
among them. Nobody waits here inside a transaction, nor longer than `SECONDS_MAX`: what keeps a repair waiting so long
is not cured by keeping the entries waiting, too.
"""

import threading

SECONDS_MAX = 1.0


class RightOfWay:
    """Counts the losses that were heard, recorded and looked at. Each call comes from a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = self._recorded = 0
        self._is_free = threading.Event()
        self._is_free.set()

    def heard(self) -> None:
        """Note that an order is gone or refused."""
        with self._lock:
            self._heard += 1
            self._is_free.clear()

    def recorded(self, count: int) -> None:
        """Note that so many of those are recorded, or never will be, and that the guard was told."""
        with self._lock:
            self._recorded += count

    def begins(self) -> int:
        """Return what is recorded so far, for `looked`, when a look of the guard begins."""
        with self._lock:
            return self._recorded

    def looked(self, recorded: int) -> None:
        """Note that the look that began at `recorded` has ended."""
        with self._lock:
            if recorded >= self._heard:
                self._is_free.set()

    def give_way(self, *, seconds_max: float = SECONDS_MAX) -> bool:
        """Wait until no loss is being seen to; say whether that is so."""
        return self._is_free.wait(seconds_max)
