"""Time: the only place that asks what time it is, a clock that can be led, and how clients write times."""

import math
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MOMENT = re.compile(r"(\d{8})([ -])(\d{2}:\d{2}:\d{2})(?: ([A-Za-z][A-Za-z0-9_+/-]*))?")


class Clock(Protocol):
    """Two clocks: of the wall (UTC) and one that never goes back (milliseconds)."""

    def now(self) -> datetime: ...

    def monotonic_ms(self) -> float: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ms(self) -> float:
        return time.monotonic() * 1000


class SimulatedClock:
    """A clock of the wall that can run faster, stand still and be set forward; it never goes back.

    Until something is asked of it, it is the clock beneath. `monotonic_ms` always is: delays and time-outs stay real.
    """

    def __init__(self, *, start: datetime | None = None, speed: float = 1.0, beneath: Clock | None = None) -> None:
        """`start` has a time zone; `speed` is simulated seconds per real second, 0 stands still."""
        self._beneath: Clock = beneath or SystemClock()
        self._start, self._start_speed = start, speed
        self.begin()

    def begin(self) -> None:
        """Be as just made: at the start and at the first speed. Only for when everything else begins anew as well."""
        self._base: datetime | None = None
        self._base_ms = 0.0
        self.speed = 1.0
        # Whether `set_speed` led it away from how it was started, and whether that is to be written down.
        self.led = self.touched = False
        if self._start is not None or self._start_speed != 1.0:
            self._anchor(self._start or self._beneath.now(), self._start_speed)

    @property
    def is_simulated(self) -> bool:
        """Say whether it is anything else than the clock beneath."""
        return self._base is not None

    def now(self) -> datetime:
        """Return the simulated time in UTC."""
        if self._base is None:
            return self._beneath.now()
        passed_ms = (self._beneath.monotonic_ms() - self._base_ms) * self.speed
        return self._base + timedelta(milliseconds=passed_ms)

    def monotonic_ms(self) -> float:
        return self._beneath.monotonic_ms()

    def set(self, moment: datetime) -> None:
        """Go to a later moment (with its time zone) and on from there. Raises ValueError for an earlier one."""
        if moment < self.now():
            raise ValueError(f"the clock does not go back: it is {self.now().isoformat()}")
        self._anchor(moment, self.speed)
        self.touched = True

    def set_speed(self, speed: float) -> None:
        """Go on at another speed, 0 to stand still. Raises ValueError for what is no speed."""
        if not math.isfinite(speed) or speed < 0:
            raise ValueError(f"a speed is a number from 0 on, not {speed}")
        self._anchor(self.now(), speed)
        self.led = self.touched = True

    def resume(self, moment: datetime, *, speed: float | None) -> None:
        """Go on from a moment unless it is over, at a speed unless None."""
        self._anchor(max(moment, self.now()), self.speed if speed is None else speed)
        self.led = speed is not None

    def _anchor(self, moment: datetime, speed: float) -> None:
        self._base, self._base_ms, self.speed = moment.astimezone(UTC), self._beneath.monotonic_ms(), speed


def parse_moment(text: str, *, zone: ZoneInfo) -> datetime | None:
    """Read `yyyymmdd hh:mm:ss [zone]` (in `zone` without one) or `yyyymmdd-hh:mm:ss` (UTC); None when it is neither."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        return None
    named = "UTC" if match[2] == "-" else match[4]
    try:
        moment = datetime.strptime(f"{match[1]} {match[3]}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - the zone follows.
        return moment.replace(tzinfo=ZoneInfo(named) if named else zone)
    except (ValueError, ZoneInfoNotFoundError):
        return None
