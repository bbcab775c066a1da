"""Single ticks of before: one a second while the exchange trades, out of the same past as the bars."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from ib_simulator.market.bars import Past
from ib_simulator.market.hours import ZONE
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.past import drawn

LOT = 100
LOTS_MAX = 8
DAYS_SEARCHED_MAX = 14
EXCHANGES = ("ISLAND", "ARCA", "BATS", "NYSE")


@dataclass(frozen=True)
class PastTick:
    """One deal and the quote around it; `time` in seconds since 1970, prices in USD, sizes in shares."""

    time: int
    price: Decimal
    bid: Decimal
    ask: Decimal
    size: int
    bid_size: int
    ask_size: int
    exchange: str


def ticks_before(instrument: Instrument, past: Past, *, end: datetime, count: int, use_rth: bool) -> list[PastTick]:
    """Return the last ticks up to a moment, oldest first."""
    found: list[int] = []
    for second in _seconds_back(past, end, use_rth=use_rth):
        found.append(second)
        if len(found) == count:
            break
    return [_tick(instrument, past, second) for second in reversed(found)]


def ticks_after(instrument: Instrument, past: Past, *, start: datetime, count: int, use_rth: bool) -> list[PastTick]:
    """Return the first ticks from a moment on, up to now."""
    found = []
    for second in _seconds_on(past, start, use_rth=use_rth):
        found.append(_tick(instrument, past, second))
        if len(found) == count:
            break
    return found


def _seconds_back(past: Past, end: datetime, *, use_rth: bool) -> Iterator[int]:
    last = min(end, past.now)
    day = last.astimezone(ZONE).date()
    for back in range(DAYS_SEARCHED_MAX):
        opens, closes = _session(past, day - timedelta(days=back), use_rth=use_rth)
        yield from range(min(closes - 1, int(last.timestamp())), opens - 1, -1)


def _seconds_on(past: Past, start: datetime, *, use_rth: bool) -> Iterator[int]:
    day = start.astimezone(ZONE).date()
    for ahead in range(DAYS_SEARCHED_MAX):
        opens, closes = _session(past, day + timedelta(days=ahead), use_rth=use_rth)
        yield from range(max(opens, int(start.timestamp())), min(closes, int(past.now.timestamp()) + 1))


def _session(past: Past, day: date, *, use_rth: bool) -> tuple[int, int]:
    """Return its first second and the one after its last; nothing lies between on a day without trading."""
    trading = past.hours.day(day)
    if trading is None:
        return (0, 0)
    opens, closes = (trading.open, trading.close) if use_rth else (trading.pre_open, trading.post_close)
    return (int(opens.timestamp()), int(closes.timestamp()))


def _tick(instrument: Instrument, past: Past, second: int) -> PastTick:
    tick = instrument.tick
    price = max((Decimal(str(past.price_at(second))) / tick).quantize(Decimal(1)) * tick, tick)

    def lots(name: str) -> int:
        return LOT * (1 + int(drawn(seed=past.seed, name=f"{instrument.key}:{name}", number=second) * LOTS_MAX))

    place = EXCHANGES[lots("exchange") // LOT % len(EXCHANGES)]
    bid, ask = max(price - tick, tick), price + tick
    return PastTick(second, price, bid, ask, lots("size"), lots("bid"), lots("ask"), place)
