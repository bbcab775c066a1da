"""When US stocks trade in regular hours: when a plain stop works.

    09:30 to 16:00 in New York, half days to 13:00, not on weekends and holidays of the New York Stock Exchange

>>> from datetime import UTC
>>> regular_hours_next(datetime(2026, 11, 27, 13, 0, tzinfo=UTC)).isoformat()  # 08:00 in New York
'2026-11-27T09:30:00-05:00'
>>> regular_hours_next(datetime(2026, 11, 27, 17, 0, tzinfo=UTC)) is None  # 12:00, on a half day
True
>>> regular_hours_next(datetime(2026, 11, 27, 18, 0, tzinfo=UTC)).isoformat()  # 13:00, its end: Monday is next
'2026-11-30T09:30:00-05:00'
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from holidays import HolidayBase

NEW_YORK = ZoneInfo("America/New_York")
_OPEN, _CLOSE, _CLOSE_OF_HALF_DAY = time(9, 30), time(16), time(13)
_DAYS_SEARCHED_MAX = 14
_SATURDAY = 5
_PUBLIC, _HALF_DAY = "public", "half_day"  # Categories of `holidays`.


def regular_hours_next(moment: datetime) -> datetime | None:
    """Return when regular trading begins next, in New York's time; None while it goes on."""
    local = moment.astimezone(NEW_YORK)
    for ahead in range(_DAYS_SEARCHED_MAX):
        day = local.date() + timedelta(days=ahead)
        if day.weekday() >= _SATURDAY or day in _holidays(day.year, _PUBLIC):
            continue
        opens, closes = datetime.combine(day, _OPEN, NEW_YORK), datetime.combine(day, _close(day), NEW_YORK)
        if opens <= local < closes:
            return None
        if local < opens:
            return opens
    raise AssertionError(f"no session within {_DAYS_SEARCHED_MAX} days of {moment}")


def _close(day: date) -> time:
    return _CLOSE_OF_HALF_DAY if day in _holidays(day.year, _HALF_DAY) else _CLOSE


@lru_cache(maxsize=64)
def _holidays(year: int, category: str) -> "HolidayBase":
    # 12 MB of calendars, in each process that imports it: only where one is asked for.
    from holidays import financial_holidays

    return financial_holidays("NYSE", years=year, categories=(category,))
