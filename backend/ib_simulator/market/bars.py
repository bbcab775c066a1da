"""Historical bars: cut out of the past prices by the exchange's calendar; the running one closes at the quote."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from ib_simulator.errors import Refusal
from ib_simulator.market.durations import (
    BARS_MAX,
    DAY_SECONDS,
    DURATION_SESSIONS,
    VALIDATING,
    VOLATILITIES,
    WHAT_TO_SHOW,
    check_bar_size,
    check_duration,
    check_span,
    split_duration,
    too_long,
)
from ib_simulator.market.hours import TradingDay, TradingHours
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.past import PriceAt, drawn

DAYS_SEARCHED_MAX = 45
SAMPLES = 6
SHARES_PER_SECOND = 40
SHARES_PER_DEAL = 50
UNKNOWN = -1
VOLATILITY_PLACES = Decimal("0.0001")


@dataclass(frozen=True)
class Bar:
    """One bar; `start` in the exchange's time zone, prices in USD, volume in shares (-1: not of deals)."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    weighted: Decimal
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
    what_to_show: str = "TRADES"


@dataclass(frozen=True)
class Past:
    """Where bars come from: the price at any second, the calendar, the quote of now and the seed of the volumes."""

    price_at: PriceAt
    hours: TradingHours
    now: datetime
    last: Decimal
    seed: int


Span = tuple[datetime, datetime]


def historical_bars(request: BarRequest, past: Past) -> list[Bar]:
    """Return the bars in order of time; one that runs now closes at the quote's last price.

    Raises Refusal 321 for a bad size, duration or kind and 162 for more bars than IB would give.
    """
    check_what_to_show(request.what_to_show)
    seconds = check_bar_size(request.bar_size)
    check_span(bar_seconds=seconds, span=check_duration(request.duration))
    spans = _daily_spans(request, past.hours) if seconds >= DAY_SECONDS else _spans(request, past.hours, seconds)
    bars = [_bar(request, past, span) for span in spans]
    if bars and request.end >= past.now:
        bars[-1] = _closed_at(bars[-1], request, past.last)
    return bars


def sessions(request: BarRequest, hours: TradingHours) -> list[tuple[date, Span]]:
    """Return the trading days of a request's duration with their opening hours, oldest first.

    "5 D" are five trading days; weeks, months and years are those of the calendar.
    """
    number, unit = split_duration(request.duration)
    wanted = number if unit == "D" else 1
    back = timedelta(0) if unit == "D" else timedelta(seconds=check_duration(request.duration))
    first = request.end.date() - back
    found: list[tuple[date, Span]] = []
    day = request.end.date()
    while day > first or len(found) < wanted:
        trading = hours.day(day)
        if trading is not None:
            opens, closes = _session(trading, use_rth=request.use_rth)
            if opens < request.end:
                found.append((day, (opens, min(closes, request.end))))
        day -= timedelta(days=1)
    return found[::-1]


def check_what_to_show(what_to_show: str) -> None:
    """Raises Refusal 321 for a kind of data IB doesn't have."""
    if what_to_show not in WHAT_TO_SHOW:
        raise Refusal(code=321, text=f"{VALIDATING}What to show field is missing or incorrect.")


def _session(day: TradingDay, *, use_rth: bool) -> Span:
    return (day.open, day.close) if use_rth else (day.pre_open, day.post_close)


def _spans(request: BarRequest, hours: TradingHours, seconds: int) -> list[Span]:
    # "N D" means N sessions, "N S" means the last N seconds of trading.
    number, unit = split_duration(request.duration)
    in_seconds = unit == "S"
    sessions_left = DAYS_SEARCHED_MAX if in_seconds else number * DURATION_SESSIONS[unit]
    bars_left = max(1, number // seconds) if in_seconds else BARS_MAX
    spans: list[Span] = []
    day = request.end.date()
    while sessions_left > 0 and bars_left > 0:
        trading = hours.day(day)
        if trading is not None:
            opens, closes = _session(trading, use_rth=request.use_rth)
            cut = _cut(opens, min(closes, request.end), seconds)[-bars_left:]
            spans = cut + spans
            bars_left -= len(cut)
            sessions_left -= 1 if cut else 0
        day -= timedelta(days=1)
    if bars_left <= 0 and not in_seconds:
        raise too_long()
    return spans


def _cut(opens: datetime, closes: datetime, seconds: int) -> list[Span]:
    """Cut a session at the full hours, minutes and so on of the clock; the first bar may be shorter."""
    if closes <= opens:
        return []
    midnight = opens.replace(hour=0, minute=0, second=0, microsecond=0)
    first = int((opens - midnight).total_seconds() // seconds)
    last = int((closes - midnight).total_seconds() / seconds)
    starts = [max(opens, midnight + timedelta(seconds=seconds * number)) for number in range(first, last + 1)]
    ends = [midnight + timedelta(seconds=seconds * number) for number in range(first + 1, last + 2)]
    return [(start, min(end, closes)) for start, end in zip(starts, ends, strict=True) if start < closes]


def _daily_spans(request: BarRequest, hours: TradingHours) -> list[Span]:
    """Return days, or weeks and months of days; those are named after their last day, as IB does."""
    group = {7: _week, 30: _month}.get(check_bar_size(request.bar_size) // DAY_SECONDS, _day)
    grouped: dict[tuple[int, int], list[Span]] = {}
    for day, span in sessions(request, hours):
        grouped.setdefault(group(day), []).append(span)
    return [(spans[0][0], spans[-1][1]) for spans in grouped.values()]


def _day(day: date) -> tuple[int, int]:
    return (day.toordinal(), 0)


def _week(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def _month(day: date) -> tuple[int, int]:
    return (day.year, day.month)


def _bar(request: BarRequest, past: Past, span: Span) -> Bar:
    begin, end = span[0].timestamp(), span[1].timestamp()
    shown = _shown(request, past)
    step = (end - begin) / SAMPLES
    samples = [shown(begin + step * number) for number in range(SAMPLES + 1)]
    seconds = check_bar_size(request.bar_size)
    start = span[1] if seconds > DAY_SECONDS else span[0]
    volume = count = UNKNOWN
    weighted = Decimal(UNKNOWN)
    if request.what_to_show in {"TRADES", "ADJUSTED_LAST"}:
        chance = drawn(seed=past.seed, name=f"{request.instrument.key}:volume:{seconds}", number=int(begin))
        volume = max(1, int((0.2 + 1.6 * chance) * SHARES_PER_SECOND * (int(end) - int(begin))))
        count = max(1, volume // SHARES_PER_DEAL)
        weighted = (sum(samples, Decimal(0)) / len(samples)).quantize(Decimal("0.0001"))
    if request.what_to_show == "BID_ASK":
        return _bid_ask_bar(request, start, samples)
    return Bar(start, samples[0], max(samples), min(samples), samples[-1], weighted, volume, count)


def _bid_ask_bar(request: BarRequest, start: datetime, samples: list[Decimal]) -> Bar:
    """Open is the average bid, close the average ask, low the lowest bid, high the highest ask [DOC]."""
    tick = request.instrument.tick
    average = (sum(samples, Decimal(0)) / len(samples)).quantize(tick)
    low, high = min(samples) - tick, max(samples) + tick
    return Bar(start, average - tick, high, low, average + tick, Decimal(UNKNOWN), UNKNOWN, UNKNOWN)


def _shown(request: BarRequest, past: Past) -> Callable[[float], Decimal]:
    tick = request.instrument.tick
    if request.what_to_show in VOLATILITIES:
        name = f"{request.instrument.symbol}:{request.what_to_show}"
        level = 0.2 + 0.2 * drawn(seed=past.seed, name=name, number=0)

        def volatility(seconds: float) -> Decimal:
            day = drawn(seed=past.seed, name=name, number=int(seconds // DAY_SECONDS))
            return Decimal(str(level * (0.9 + 0.2 * day))).quantize(VOLATILITY_PLACES)

        return volatility
    shift = {"BID": -tick, "ASK": tick}.get(request.what_to_show, Decimal(0))

    def price(seconds: float) -> Decimal:
        on_tick = (Decimal(str(past.price_at(seconds))) / tick).quantize(Decimal(1), ROUND_HALF_EVEN) * tick
        # Only a combination's price may be nothing or less.
        return on_tick + shift if request.instrument.legs else max(on_tick + shift, tick)

    return price


def _closed_at(bar: Bar, request: BarRequest, last: Decimal) -> Bar:
    if request.what_to_show in VOLATILITIES or request.what_to_show == "BID_ASK":
        return bar
    tick = request.instrument.tick
    close = last + {"BID": -tick, "ASK": tick}.get(request.what_to_show, Decimal(0))
    return replace(bar, close=close, high=max(bar.high, close), low=min(bar.low, close))
