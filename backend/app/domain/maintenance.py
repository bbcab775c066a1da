"""When the broker resets its servers and a Gateway restarts: times at which an entry is better not begun.

Written as `<days> <from>-<to> <zone>`, several separated by `;`, or `none`: `Sun-Fri 00:15-01:45 America/New_York`.
A window that ends before it begins ends on the next day; the days are those on which it begins. One that ends when it
begins is refused: it could mean nothing, or a whole day without entries.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# Source: IBKR's system status page: the daily reset of North America, and the weekend's.
NORTH_AMERICA = "Sun-Fri 00:15-01:45 America/New_York; Fri 23:00-03:00 America/New_York"
NONE = "none"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, kw_only=True, slots=True)
class MaintenanceWindow:
    """A window: the days on which it begins (0 is Monday), and wall-clock times of its zone."""

    days: frozenset[int]
    begins: time
    ends: time
    zone: ZoneInfo
    text: str

    def __str__(self) -> str:
        """Return it as it was written."""
        return self.text

    def ends_at(self, now: datetime) -> datetime | None:
        """Return when the window that `now`, an aware time, is in ends; None where it is in none."""
        local = now.astimezone(self.zone)
        wall = local.replace(tzinfo=None)
        for days_ago in (0, 1):
            day = wall.date() - timedelta(days=days_ago)
            begins, ends = datetime.combine(day, self.begins), datetime.combine(day, self.ends)
            ends += timedelta(days=1) if ends <= begins else timedelta()
            if day.weekday() in self.days and begins <= wall < ends:
                return ends.replace(tzinfo=self.zone)
        return None


def maintenance_read(text: str) -> tuple[MaintenanceWindow, ...]:
    """Return the windows. Raises ValueError, with the part that cannot be read."""
    if text.strip().lower() == NONE:
        return ()
    return tuple(_window(part.strip()) for part in text.split(";") if part.strip())


def maintenance_at(windows: tuple[MaintenanceWindow, ...], *, now: datetime) -> MaintenanceWindow | None:
    """Return the window that `now` is in, or None."""
    return next((window for window in windows if window.ends_at(now)), None)


def _window(text: str) -> MaintenanceWindow:
    try:
        days, times, zone = text.split()
        begins, ends = _times(times)
        return MaintenanceWindow(days=_days(days), begins=begins, ends=ends, zone=ZoneInfo(zone), text=text)
    # A zone's name that is a folder of the zone data (`America`) is an OSError.
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError(
            f"{text!r} is no window: write it as Sun-Fri 00:15-01:45 America/New_York, or write {NONE!r} ({error})"
        ) from error


def _times(text: str) -> tuple[time, time]:
    begins, ends = (_time(part) for part in text.split("-"))
    if begins == ends:
        raise ValueError("nobody can say whether it lasts no time or a whole day")
    return begins, ends


def _time(text: str) -> time:
    found = time.fromisoformat(text)
    if found.tzinfo is not None:
        raise ValueError("the zone stands after the times, not in them")
    return found


def _days(text: str) -> frozenset[int]:
    first, _, last = text.partition("-")
    begin, end = _DAYS.index(first.title()), _DAYS.index((last or first).title())
    return frozenset((begin + number) % 7 for number in range((end - begin) % 7 + 1))
