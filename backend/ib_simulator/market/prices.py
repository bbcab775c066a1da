"""The price of every instrument: a seeded path that moves in small steps, or a price pinned from outside.

Bid and ask are one tick around the last price. The same seed gives the same path; a pinned price stays until released
and the path goes on from there.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.market.instruments import Instrument, InstrumentList

STEP_TICKS_MAX = 3
# A step away from the base price is refused beyond this share of it, so that AAPL stays "about 190" for ever.
DRIFT_MAX = Decimal("0.03")


@dataclass(frozen=True)
class Quote:
    """One instrument's prices (USD) and sizes (shares) now."""

    last: Decimal
    bid: Decimal
    ask: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    size: int = 100


class PricePath:
    """The path of one instrument."""

    def __init__(self, instrument: Instrument, *, seed: int) -> None:
        self.instrument = instrument
        self._random = random.Random(f"{seed}:{instrument.symbol}")  # noqa: S311 - reproducible prices, not secrets.
        self.steps = 0
        self.pinned = False
        self.close = instrument.base_price
        self.last = instrument.base_price + self._random.randint(-50, 50) * instrument.tick
        self.open = self.high = self.low = self.last
        self.volume = self._random.randint(1_000_000, 5_000_000)

    def step(self) -> None:
        """Move by a few ticks, unless pinned. Randomness is used up either way, so pinning doesn't change the path."""
        ticks = self._random.randint(-STEP_TICKS_MAX, STEP_TICKS_MAX)
        traded = self._random.randint(1, 50) * 100
        self.steps += 1
        if self.pinned:
            return
        self.volume += traded
        base = self.instrument.base_price
        moved = self.last + ticks * self.instrument.tick
        if abs(moved - base) > base * DRIFT_MAX and abs(moved - base) > abs(self.last - base):
            moved = self.last - ticks * self.instrument.tick
        self._set(moved)

    def pin(self, price: Decimal) -> None:
        self.pinned = True
        self._set(price.quantize(self.instrument.tick))

    def release(self) -> None:
        self.pinned = False

    def fast_forward(self, steps: int) -> None:
        """Catch up with a path that had already made `steps` steps."""
        while self.steps < steps:
            self.step()

    def quote(self) -> Quote:
        tick = self.instrument.tick
        return Quote(
            last=self.last,
            bid=max(self.last - tick, tick),
            ask=self.last + tick,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
        )

    def _set(self, price: Decimal) -> None:
        self.last = max(price, self.instrument.tick)
        self.high = max(self.high, self.last)
        self.low = min(self.low, self.last)


class Market:
    """All price paths; `step` moves each by one."""

    def __init__(self, instruments: InstrumentList, *, seed: int) -> None:
        self._paths = {instrument.key: PricePath(instrument, seed=seed) for instrument in instruments}
        # By security type: what has no path of its own but follows from others.
        self.pricers: dict[str, Callable[[Instrument], Quote]] = {}

    def path(self, instrument: Instrument) -> PricePath:
        return self._paths[instrument.key]

    def quote(self, instrument: Instrument) -> Quote:
        pricer = self.pricers.get(instrument.sec_type)
        return self._paths[instrument.key].quote() if pricer is None else pricer(instrument)

    def step(self) -> None:
        for path in self._paths.values():
            path.step()

    def prices(self) -> dict[str, Decimal]:
        return {symbol: path.last for symbol, path in self._paths.items()}

    def state(self) -> dict[str, object]:
        """Return what a restart needs to go on: steps made, and prices that are pinned."""
        pinned = {symbol: str(path.last) for symbol, path in self._paths.items() if path.pinned}
        return {"steps": next(iter(self._paths.values())).steps, "pinned": pinned}

    def restore(self, *, steps: int, pinned: dict[str, str]) -> None:
        """Go on where `state` was taken."""
        for symbol, path in self._paths.items():
            path.fast_forward(steps)
            if symbol in pinned:
                path.pin(Decimal(pinned[symbol]))
