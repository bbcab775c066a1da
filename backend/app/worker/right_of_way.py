"""Entries give way while a lost stop is replaced: shares without a stop have the processor to themselves.

    loop      ── a stop is gone or refused ──> heard()                  no entry has its turn to send
    recorder  ── it is recorded, the guard woken ──> recorded(n)
    guard     ── a look that began after that has ended ──> looked(n)   entries go on

In a burst the threads of this process want the interpreter, and each statement of a repair waits for its turn among
them. So entries wait in the queue of what is to be sent, before their turn (`is_claimed`): never inside a transaction,
and no longer than `SECONDS_MAX` after the last repair. What keeps a repair waiting for longer is not cured by keeping
the entries waiting, too. The few threads that take tasks (`local_stack.stack.QUEUES`) soon wait there all together,
each with an entry that only has to be sent: what is begun meanwhile costs the burst nothing.
"""

import threading
import time

SECONDS_MAX = 3.0


class RightOfWay:
    """Counts the losses that were heard, recorded and looked at. Each call comes from a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = self._recorded = 0
        self._claimed_at = float("-inf")
        self._is_free = True

    def heard(self) -> None:
        """Note that an order is gone or refused, and may have been a stop."""
        with self._lock:
            self._heard += 1
            if self._is_free:
                self._claimed_at = time.monotonic()
                self._is_free = False

    def recorded(self, count: int) -> None:
        """Note that so many of those are recorded, or never will be, and that the guard was told."""
        with self._lock:
            self._recorded += count

    def begins(self) -> int:
        """Return what is recorded so far, for `looked`, when a look of the guard begins."""
        with self._lock:
            return self._recorded

    def goes_on(self) -> None:
        """Note that a look has repaired something: as long as there is more to repair, entries wait on."""
        with self._lock:
            self._claimed_at = time.monotonic()

    def looked(self, recorded: int) -> None:
        """Note that the look that began at `recorded` has ended."""
        with self._lock:
            if recorded >= self._heard:
                self._is_free = True

    def is_claimed(self) -> bool:
        """Say whether a loss is being seen to, and was not for too long. Never blocks."""
        return not self._is_free and time.monotonic() - self._claimed_at < SECONDS_MAX
