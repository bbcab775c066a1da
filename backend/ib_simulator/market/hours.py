"""When the exchange trades: always, or by the calendar of US equities.

    04:00 ─ PRE ─ 09:30 ─ REGULAR ─ 16:00 ─ POST ─ 20:00       half days: REGULAR to 13:00, POST to 17:00
    weekends and holidays: CLOSED all day

Holidays and half days are those of the New York Stock Exchange as the `holidays` library keeps them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from holidays import HALF_DAY, PUBLIC, financial_holidays

ZONE = ZoneInfo("US/Eastern")
DAYS_SEARCHED_MAX = 14


class Phase(StrEnum):
    CLOSED = "closed"
    PRE = "pre"
    REGULAR = "regular"
    POST = "post"


@dataclass(frozen=True)
class TradingDay:
    """One day's sessions, in the exchange's time zone."""

    pre_open: datetime
    open: datetime
    close: datetime
    post_close: datetime


class TradingHours(Protocol):
    """Answers about any moment that has a time zone. `has_sessions`: trading begins and ends, day follows day."""

    has_sessions: bool

    def phase(self, moment: datetime) -> Phase: ...

    def day(self, day: date) -> TradingDay | None:
        """Return the sessions of a day, None when it has none."""

    def next_open(self, moment: datetime, *, outside_rth: bool) -> datetime:
        """Return when trading goes on: the moment itself while it is open, else the next session's begin."""

    def next_close(self, moment: datetime, *, outside_rth: bool) -> datetime | None:
        """Return when the running or the next session ends; None when it never does."""


class AlwaysOpen:
    """Every moment is regular trading: for tests and demonstrations at any hour. Bars still follow the calendar."""

    has_sessions = False

    def phase(self, moment: datetime) -> Phase:
        return Phase.REGULAR

    def day(self, day: date) -> TradingDay | None:
        return _trading_day(day)

    def next_open(self, moment: datetime, *, outside_rth: bool) -> datetime:
        return moment

    def next_close(self, moment: datetime, *, outside_rth: bool) -> datetime | None:
        return None


class UsEquityHours:
    """The calendar of the New York Stock Exchange, with IB's extended hours."""

    has_sessions = True

    def phase(self, moment: datetime) -> Phase:
        local = moment.astimezone(ZONE)
        day = _trading_day(local.date())
        if day is None or not day.pre_open <= local < day.post_close:
            return Phase.CLOSED
        if local < day.open:
            return Phase.PRE
        return Phase.REGULAR if local < day.close else Phase.POST

    def day(self, day: date) -> TradingDay | None:
        return _trading_day(day)

    def next_open(self, moment: datetime, *, outside_rth: bool) -> datetime:
        local = moment.astimezone(ZONE)
        for day in _days_from(local.date()):
            opens, closes = (day.pre_open, day.post_close) if outside_rth else (day.open, day.close)
            if local < closes:
                return max(local, opens)
        raise AssertionError("no session within two weeks")

    def next_close(self, moment: datetime, *, outside_rth: bool) -> datetime | None:
        local = moment.astimezone(ZONE)
        for day in _days_from(local.date()):
            closes = day.post_close if outside_rth else day.close
            if local < closes:
                return closes
        raise AssertionError("no session within two weeks")


HOURS: dict[str, type[AlwaysOpen] | type[UsEquityHours]] = {"always": AlwaysOpen, "us_equities": UsEquityHours}


@lru_cache(maxsize=4096)
def _trading_day(day: date) -> TradingDay | None:
    if day.weekday() >= 5 or day in _holidays(day.year):
        return None
    short = day in _half_days(day.year)
    return TradingDay(
        pre_open=datetime.combine(day, time(4), tzinfo=ZONE),
        open=datetime.combine(day, time(9, 30), tzinfo=ZONE),
        close=datetime.combine(day, time(13) if short else time(16), tzinfo=ZONE),
        post_close=datetime.combine(day, time(17) if short else time(20), tzinfo=ZONE),
    )


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(financial_holidays("NYSE", years=year, categories=PUBLIC))


@lru_cache(maxsize=64)
def _half_days(year: int) -> frozenset[date]:
    return frozenset(financial_holidays("NYSE", years=year, categories=HALF_DAY))


def _days_from(first: date) -> Iterator[TradingDay]:
    for ahead in range(DAYS_SEARCHED_MAX):
        day = _trading_day(first + timedelta(days=ahead))
        if day is not None:
            yield day
