"""What the exchange's day does to prices: they rest while it is closed, and each day's figures begin anew."""

from collections.abc import Iterable
from datetime import date, datetime

from ib_simulator.market.hours import ZONE, Phase, TradingHours
from ib_simulator.market.paths import PricePath

_UP_TO_CLOSE = frozenset({Phase.PRE, Phase.REGULAR})


class Sessions:
    """Follows the phases of the day. Where trading never stops it does nothing."""

    def __init__(self, hours: TradingHours | None) -> None:
        self._hours = hours if hours is not None and hours.has_sessions else None
        self._phase: Phase | None = None
        self.day: date | None = None

    @property
    def is_closed(self) -> bool:
        return self._phase is Phase.CLOSED

    def clock_moved(self, now: datetime, paths: Iterable[PricePath]) -> bool:
        """Note the last prices of a regular session that has ended, and begin a day whose first session has.

        Returns whether a session began or ended.
        """
        if self._hours is None:
            return False
        phase, day = self._hours.phase(now), now.astimezone(ZONE).date()
        if phase is self._phase and day == self.day:
            return False
        if self._phase in _UP_TO_CLOSE and (phase not in _UP_TO_CLOSE or day != self.day):
            for path in paths:
                path.end_regular_session()
        if self.day is None:
            # Begun while the exchange is closed, the next session is the first of its day.
            self.day = date.min if phase is Phase.CLOSED else day
        elif phase is not Phase.CLOSED and day != self.day:
            self.day = day
            for path in paths:
                path.begin_day()
                if phase is Phase.POST:
                    path.end_regular_session()
        changed, self._phase = phase is not self._phase, phase
        return changed

    def state(self) -> dict[str, str] | None:
        """Return the phase and the day it is; None before the first look at the clock."""
        if self._phase is None or self.day is None:
            return None
        return {"phase": self._phase.value, "day": self.day.isoformat()}

    def restore(self, state: dict[str, str] | None) -> None:
        """Go on in the day in which the state was kept."""
        if state is not None:
            self._phase, self.day = Phase(state["phase"]), date.fromisoformat(state["day"])
