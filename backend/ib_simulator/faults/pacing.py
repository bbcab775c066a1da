"""How fast a client may ask: IB's limit of messages per second and connection, in its two forms.

A Gateway set to reject answers error 100 and closes the connection at the third second with too many messages. One
that is not delays reading. [DOC CAMPUS 612-640] The error's text carries the limit, how many messages came in that
second, and the number of the violation, as seen in logs of real clients.
"""

from collections import deque
from collections.abc import Hashable

from ib_simulator.errors import Refusal

WINDOW_MS = 1000
VIOLATIONS_MAX = 3
HISTORY_SAME_MS = 15_000
HISTORY_BURST_MS, HISTORY_BURST_MAX = 2_000, 5
HISTORY_LONG_MS, HISTORY_LONG_MAX = 600_000, 60
HISTORY_TEXT = "Historical Market Data Service error message:Historical data request pacing violation"


def violation_text(*, limit: int, received: int, number: int) -> str:
    return f"Max rate of messages per second has been exceeded:max={limit} rec={received} ({number})"


class RateMeter:
    """Counts one connection's messages. Times are monotonic milliseconds."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()
        self._window_start: float | None = None
        self._received = 0
        self._violations = 0

    @property
    def is_idle(self) -> bool:
        """Whether no second is under way that `settle` would have to close."""
        return self._window_start is None

    # --- reject ----------------------------------------------------------------------------------------------

    def admit(self, now_ms: float, *, limit: int) -> bool:
        """Count a message in its second and say whether it is below the limit. Call `settle` first."""
        if self._window_start is None:
            self._window_start, self._received = now_ms, 0
        self._received += 1
        return self._received <= limit

    def settle(self, now_ms: float, *, limit: int) -> tuple[int, int] | None:
        """Close a second that is over; for one with too many messages return (received, number of the violation)."""
        if self._window_start is None or now_ms < self._window_start + WINDOW_MS:
            return None
        self._window_start = None
        if self._received <= limit:
            return None
        self._violations += 1
        return self._received, self._violations

    def settles_at_ms(self, *, limit: int) -> float | None:
        """Return when a second with too many messages is over; None when there is none."""
        if self._window_start is None or self._received <= limit:
            return None
        return self._window_start + WINDOW_MS

    # --- slow ------------------------------------------------------------------------------------------------

    def take(self, now_ms: float, *, limit: int) -> bool:
        """Say whether a message may be read now, and if so count it."""
        if self.free_at_ms(now_ms, limit=limit) > now_ms:
            return False
        self._taken.append(now_ms)
        return True

    def free_at_ms(self, now_ms: float, *, limit: int) -> float:
        """Return when the next message may be read."""
        while self._taken and self._taken[0] <= now_ms - WINDOW_MS:
            self._taken.popleft()
        return now_ms if len(self._taken) < limit else self._taken[len(self._taken) - limit] + WINDOW_MS


class HistoryMeter:
    """Counts requests for historical bars of 30 seconds or less, of all clients together.

    [DOC CAMPUS 3167-3180]: no identical request within 15 s, fewer than 6 for one contract, exchange and kind in 2 s,
    at most 60 in 10 minutes, where BID_ASK counts twice. The limit of 50 open requests never bites: here every one is
    answered at once.
    """

    def __init__(self) -> None:
        self._asked: deque[tuple[float, Hashable, Hashable]] = deque()

    def check(self, *, now_ms: float, what: Hashable, group: Hashable, weight: int = 1) -> None:
        """Count a request. `what`: all that makes it identical, `group`: contract, exchange and kind.

        Raises Refusal 162; a refused request is not counted.
        """
        while self._asked and self._asked[0][0] <= now_ms - HISTORY_LONG_MS:
            self._asked.popleft()
        identical = any(asked == what and at > now_ms - HISTORY_SAME_MS for at, asked, _ in self._asked)
        burst = sum(asked == group and at > now_ms - HISTORY_BURST_MS for at, _, asked in self._asked)
        too_many = len(self._asked) + weight > HISTORY_LONG_MAX
        if identical or burst >= HISTORY_BURST_MAX or too_many:
            raise Refusal(code=162, text=HISTORY_TEXT)
        self._asked.extend([(now_ms, what, group)] * weight)
