"""When the broker is asked for everything: soon where somebody wants it, after a doubt, and every minute."""

import math
import time

RECONCILE_EVERY_TICKS = 60
# A position in doubt is judged by two answers that are further apart than a report lags its deals (see exposure.LAG).
LOOK_AGAIN_SECONDS = 10.0


class ReconcilePlan:
    """Set from any thread, asked in the connection's loop once a tick."""

    def __init__(self) -> None:
        self._wanted = False
        self._look_again_at = math.inf

    def soon(self) -> None:
        """Have it asked at the next tick. Never blocks."""
        self._wanted = True

    def look_again(self) -> None:
        """Have it asked once more in ten seconds, or earlier where that is already planned."""
        self._look_again_at = min(self._look_again_at, time.monotonic() + LOOK_AGAIN_SECONDS)

    def is_due(self, ticks: int) -> bool:
        """Say whether it is to be asked in this tick."""
        return self._wanted or time.monotonic() >= self._look_again_at or ticks % RECONCILE_EVERY_TICKS == 0

    def begun(self) -> None:
        """Note that it is being asked: what is wanted from here on is wanted anew."""
        self._wanted, self._look_again_at = False, math.inf
