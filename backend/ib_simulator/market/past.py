"""Prices before now: a seeded path for every moment, that ends where the quote is.

The path is a sum of waves of chance, from a month long to some seconds long, each as high as a price usually moves in
its time. Every moment has one price, so bars of all sizes and single ticks tell the same story, and asking twice gives
the same answer. What the quote is off the path now fades out backwards within days.
"""

import random
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from math import exp, floor, sqrt

from ib_simulator.market.instruments import Instrument
from ib_simulator.market.option_market import OptionMarket
from ib_simulator.market.prices import Quote

DAY_SECONDS = 86400
# Length of each wave; a day's is about one per cent high, the others by the square root of their length.
WAVE_SECONDS = (30 * DAY_SECONDS, 7 * DAY_SECONDS, DAY_SECONDS, 3 * 3600, 1200, 180, 20, 3)
DAY_REACH = 0.008
FADE_SECONDS = 2 * DAY_SECONDS
PRICE_SHARE_MIN = 0.05

_MASK = (1 << 64) - 1


class PastPrices:
    """The path of one instrument, as it looks from `now`."""

    def __init__(self, instrument: Instrument, *, seed: int, now: float, last: Decimal) -> None:
        self.instrument = instrument
        self._now = now
        self._last = float(last)
        self._base = float(instrument.base_price)
        self._keys = [_key(f"{seed}:{instrument.key}:{wave}") for wave in WAVE_SECONDS]
        self._offset = self._last - self._walk(now)

    def price(self, seconds: float) -> float:
        """Return the price (USD) at a moment (seconds since 1970); after now it is the quote's."""
        if seconds >= self._now:
            return self._last
        faded = self._offset * exp((seconds - self._now) / FADE_SECONDS)
        return max(self._walk(seconds) + faded, self._base * PRICE_SHARE_MIN)

    def _walk(self, seconds: float) -> float:
        share = 0.0
        for key, wave in zip(self._keys, WAVE_SECONDS, strict=True):
            position = seconds / wave
            before = floor(position)
            left, right = noise(key, before), noise(key, before + 1)
            share += DAY_REACH * sqrt(wave / DAY_SECONDS) * (left + (right - left) * (position - before))
        return self._base * (1 + share)


PriceAt = Callable[[float], float]


class PriceHistory:
    """Past prices of everything that has a quote. `quote_of` gives the quote, `now` the time with its zone."""

    def __init__(
        self,
        *,
        seed: int,
        quote_of: Callable[[Instrument], Quote],
        now: Callable[[], datetime],
        options: OptionMarket,
    ) -> None:
        self._seed = seed
        self._quote_of = quote_of
        self._now = now
        self._options = options

    def path(self, instrument: Instrument) -> PriceAt:
        """Return the instrument's price (USD) as a function of the moment (seconds since 1970)."""
        if instrument.legs:
            paths = [(leg.signed_ratio, self.path(leg.instrument)) for leg in instrument.legs]
            return lambda seconds: sum(ratio * path(seconds) for ratio, path in paths)
        if instrument.sec_type == "OPT":
            return self._option_path(instrument)
        last = self._quote_of(instrument).last
        return PastPrices(instrument, seed=self._seed, now=self._now().timestamp(), last=last).price

    def _option_path(self, option: Instrument) -> PriceAt:
        stock = self.path(self._options.chains.underlying(option))
        return lambda seconds: self._options.worth(option, spot=stock(seconds), seconds=seconds)


def noise(key: int, number: int) -> float:
    """Return a reproducible number from -1 to 1 for each pair."""
    mixed = (key + number * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)) / (1 << 63) - 1


@lru_cache(maxsize=4096)
def _key(text: str) -> int:
    return random.Random(text).getrandbits(64)  # noqa: S311 - reproducible prices, not secrets.


def drawn(*, seed: int, name: str, number: int) -> float:
    """Return a reproducible number from 0 to 1 for one event of a named series."""
    return (noise(_key(f"{seed}:{name}"), number) + 1) / 2
