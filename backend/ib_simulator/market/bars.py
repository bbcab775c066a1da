"""Historical bars: deterministic under the seed, ending at the current price.

Each bar's move is drawn from (seed, symbol, bar size, start of the bar), so asking twice gives the same bars; the
series is anchored at its end. Sessions are 09:30 to 16:00 New York time, Monday to Friday; holidays are not known here.
"""

import random
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from decimal import Decimal

from ib_simulator.errors import Refusal
from ib_simulator.market.instruments import Instrument

BARS_MAX = 20_000
SESSIONS_SEARCHED_MAX = 30
SESSION_OPEN, SESSION_CLOSE = time(9, 30), time(16, 0)
EXTENDED_OPEN, EXTENDED_CLOSE = time(4, 0), time(20, 0)

BAR_SECONDS: dict[str, int] = {
    **{f"{n} secs": n for n in (1, 5, 10, 15, 30)},
    "1 min": 60,
    **{f"{n} mins": n * 60 for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3600,
    **{f"{n} hours": n * 3600 for n in (2, 3, 4, 8)},
    "1 day": 86400,
    "1 week": 7 * 86400,
    "1 month": 30 * 86400,
}
# Trading days in a duration: "1 W" are five sessions.
DURATION_SESSIONS = {"S": 0, "D": 1, "W": 5, "M": 21, "Y": 252}
DURATION_SECONDS = {"S": 1, "D": 86400, "W": 7 * 86400, "M": 30 * 86400, "Y": 365 * 86400}
WHAT_TO_SHOW = frozenset({"TRADES", "MIDPOINT", "BID", "ASK", "ADJUSTED_LAST"})
_DAY_SECONDS = 86400


@dataclass(frozen=True)
class Bar:
    """One bar; `start` in the exchange's time zone, prices in USD, volume in shares."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    count: int


@dataclass(frozen=True)
class BarRequest:
    """What to make bars of. `end` is in the exchange's time zone."""

    instrument: Instrument
    end: datetime
    bar_size: str
    duration: str
    use_rth: bool


def check_bar_size(bar_size: str) -> int:
    """Return its seconds. Raises Refusal 321 for a size IB doesn't have."""
    if bar_size not in BAR_SECONDS:
        raise Refusal(
            code=321,
            text="Error validating request.-'bP' : cause - Historical data bar size setting is invalid. "
            f"Legal ones are: {', '.join(BAR_SECONDS)}",
        )
    return BAR_SECONDS[bar_size]


def check_duration(duration: str) -> int:
    """Return its seconds. Raises Refusal 321 for anything but `<number> S|D|W|M|Y`."""
    amount, _, unit = duration.strip().partition(" ")
    if not amount.isdecimal() or unit not in DURATION_SECONDS or not 0 < int(amount) <= 100_000:
        raise Refusal(
            code=321,
            text="Error validating request.-'bP' : cause - Historical data query end date/time or duration is invalid. "
            "Format is '<integer>{SPACE}unit (S|D|W|M|Y)'.",
        )
    return int(amount) * DURATION_SECONDS[unit]


def historical_bars(request: BarRequest, *, seed: int, last: Decimal) -> list[Bar]:
    """Return the bars in order of time; the last one closes at `last`.

    Raises Refusal 321 for a bad size or duration and 162 for more bars than IB would give.
    """
    seconds = check_bar_size(request.bar_size)
    starts = _bar_starts(request, seconds=seconds, span=check_duration(request.duration))
    bars: list[Bar] = []
    close = last
    for start in reversed(starts):
        bar = _bar(request, start, seconds=seconds, seed=seed, close=close)
        bars.append(bar)
        close = bar.open
    bars.reverse()
    return bars


def _bar(request: BarRequest, start: datetime, *, seconds: int, seed: int, close: Decimal) -> Bar:
    key = f"{seed}:{request.instrument.symbol}:{request.bar_size}:{int(start.timestamp())}"
    chance = random.Random(key)  # noqa: S311 - reproducible prices, not secrets.
    tick = request.instrument.tick
    # A day moves by about one per cent, shorter bars by the square root of their share of it.
    reach = float(close) * 0.01 * min(seconds / _DAY_SECONDS, 9) ** 0.5
    ticks = max(1, round(reach / float(tick)))
    opened = max(tick, close - chance.randint(-ticks, ticks) * tick)
    high = max(opened, close) + chance.randint(0, ticks) * tick
    low = max(tick, min(opened, close) - chance.randint(0, ticks) * tick)
    volume = chance.randint(1, 100) * max(1, seconds // 6)
    return Bar(start, opened, high, low, close, volume, count=max(1, volume // 50))


def _bar_starts(request: BarRequest, *, seconds: int, span: int) -> list[datetime]:
    if span // seconds > BARS_MAX * 4:
        raise _too_long()
    if seconds >= _DAY_SECONDS:
        return _daily_starts(request, seconds=seconds, span=span)
    zone = request.end.tzinfo
    opens, closes = (SESSION_OPEN, SESSION_CLOSE) if request.use_rth else (EXTENDED_OPEN, EXTENDED_CLOSE)
    # "N D" means N sessions, "N S" means the last N seconds of trading.
    amount, _, unit = request.duration.strip().partition(" ")
    in_seconds = unit == "S"
    sessions_left = SESSIONS_SEARCHED_MAX if in_seconds else int(amount) * DURATION_SESSIONS[unit]
    bars_left = max(1, span // seconds) if in_seconds else BARS_MAX
    starts: list[datetime] = []
    day = request.end.date()
    while sessions_left and bars_left > 0:
        if day.weekday() < 5:
            first = datetime.combine(day, opens, tzinfo=zone)
            end = min(datetime.combine(day, closes, tzinfo=zone), request.end)
            session = _spaced(first, end, seconds)
            session = session[-bars_left:]
            starts = session + starts
            bars_left -= len(session)
            sessions_left -= 1 if session else 0
        day -= timedelta(days=1)
    if bars_left <= 0 and not in_seconds:
        raise _too_long()
    return starts


def _spaced(first: datetime, end: datetime, seconds: int) -> list[datetime]:
    count = int((end - first).total_seconds() // seconds) + 1 if end > first else 0
    starts = [first + timedelta(seconds=seconds * n) for n in range(count)]
    return [start for start in starts if start < end]


def _daily_starts(request: BarRequest, *, seconds: int, span: int) -> list[datetime]:
    zone: tzinfo | None = request.end.tzinfo
    first = request.end.date() - timedelta(seconds=span)
    day = request.end.date()
    step = timedelta(seconds=seconds)
    starts: list[datetime] = []
    while day > first or not starts:
        if seconds > _DAY_SECONDS or day.weekday() < 5:
            starts.append(datetime.combine(day, time(0), tzinfo=zone))
        day -= step
    starts.reverse()
    return starts


def _too_long() -> Refusal:
    return Refusal(
        code=162,
        text="Historical Market Data Service error message:Time length exceed max.",
    )
