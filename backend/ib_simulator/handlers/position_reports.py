"""What clients are told of positions, which by command lags what is held.

    deal ──> ledger ──────────────────────────> order checks, margins, the control port's `state`
                └── after `lag_seconds` ──────> reqPositions, its updates, the portfolio

A real Gateway reports a position some moments after the execution that changed it: who compares the two must allow for
that.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ib_simulator.market.instruments import Instrument
from ib_simulator.money.ledger import Ledger, Position


class PositionReports:
    """The positions as told. `tell` sends one that changed to whoever follows positions."""

    def __init__(self, *, ledger: Ledger, tell: Callable[[Position], None]) -> None:
        self.lag_seconds = 0.0
        self._ledger = ledger
        self._tell = tell
        self._told = {_key(held): replace(held) for held in ledger.positions()}
        self._late: deque[tuple[float, Position]] = deque()

    def positions(self, account: str | None = None) -> list[Position]:
        """Return the positions as told that are not flat."""
        return [held for held in self._told.values() if held.quantity and account in {None, held.account}]

    def changed(self, *, account: str, instrument: Instrument, now_ms: float) -> None:
        """Take note of a position that changed, and tell it: now, or when it is due."""
        held = replace(self._ledger.position(account, instrument))
        self._late.append((now_ms + self.lag_seconds * 1000, held))
        self.tell_due(now_ms)

    def tell_due(self, now_ms: float) -> None:
        """Tell what is due by now, in the order it happened."""
        while self._late and self._late[0][0] <= now_ms:
            held = self._late.popleft()[1]
            self._told[_key(held)] = held
            self._tell(held)

    def set_lag(self, seconds: float) -> None:
        """Lag by so much from now on; what waits is told first."""
        self.tell_due(float("inf"))
        self.lag_seconds = seconds


def _key(held: Position) -> tuple[str, str]:
    return held.account, held.instrument.key
