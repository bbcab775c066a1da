"""The price of one instrument: where it is, what moves it, and what bounds it.

    process ──moves──> path ──────> quote          walk, fixed, replay; a scripted tick comes from outside
                        │
                        └─ pinned or halted: nothing moves it; bands: nothing takes it beyond them

Whatever happens to a path is noted in `News`, so that nobody has to look at what did not change.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from ib_simulator.market.instruments import Instrument

STEP_TICKS_MAX = 3
# A step away from the base price is refused beyond this share of it, so that AAPL stays "about 190" for ever.
DRIFT_MAX = Decimal("0.03")
SPREAD_TICKS = 2
QUOTE_SIZE = 100


@dataclass(frozen=True)
class Quote:
    """One instrument's prices (USD) and sizes (shares) now. `size` is that of the last deal."""

    last: Decimal
    bid: Decimal
    ask: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    size: int = QUOTE_SIZE
    bid_size: int = QUOTE_SIZE
    ask_size: int = QUOTE_SIZE
    halted: bool = False


@dataclass(frozen=True)
class Tick:
    """One change of an instrument's market, gaps included. What is None follows from the last price or stays.

    `volume` is the day's so far, `traded` is added to it.
    """

    last: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    volume: int | None = None
    traded: int = 0


@dataclass
class News:
    """The symbols whose quote changed, and of these the ones whose orders may deal now."""

    changed: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)


class Process(Protocol):
    """What moves a path at every step."""

    name: str

    def step(self, path: "PricePath") -> None: ...


class Walk:
    """A random walk that stays near the base price.

    Randomness is used up by every step, also while the path stands, so that pinning doesn't change what follows.
    """

    name = "walk"

    def __init__(self, *, step_ticks: int = STEP_TICKS_MAX) -> None:
        self.step_ticks = step_ticks

    def draw(self, chance: random.Random) -> tuple[int, int]:
        """Return the ticks and the shares of one step."""
        return chance.randint(-self.step_ticks, self.step_ticks), chance.randint(1, 50) * 100

    def step(self, path: "PricePath") -> None:
        ticks, traded = self.draw(path.chance)
        if path.stands:
            return
        tick, base = path.instrument.tick, path.instrument.base_price
        moved = path.last + ticks * tick
        if abs(moved - base) > base * DRIFT_MAX and abs(moved - base) > abs(path.last - base):
            moved = path.last - ticks * tick
        path.move(moved, traded=traded)


class Fixed:
    """The price stands."""

    name = "fixed"

    def step(self, path: "PricePath") -> None:
        return


class Replay:
    """Plays prices (USD) one per step, with the shares traded at each; the last one stands."""

    name = "replay"

    def __init__(self, prices: Sequence[tuple[Decimal, int]], *, position: int = 0, by_command: bool = False) -> None:
        self.prices = prices
        # Those that were not read from the file named at the start have to be kept elsewhere.
        self.by_command = by_command
        self.position = position

    def step(self, path: "PricePath") -> None:
        if path.stands or self.position >= len(self.prices):
            return
        price, traded = self.prices[self.position]
        self.position += 1
        path.move(price, traded=traded)


class PricePath:
    """The path of one instrument. `bent` says that seed and steps no longer tell where it is."""

    def __init__(self, instrument: Instrument, *, seed: int, process: Process | None = None, news: News) -> None:
        self.instrument = instrument
        self._seed = f"{seed}:{instrument.symbol}"
        self.chance = random.Random(self._seed)  # noqa: S311 - reproducible prices, not secrets.
        # At which step randomness began anew because another process took over.
        self.seeded_at: int | None = None
        self.process: Process = process or Walk()
        self._news = news
        self.steps = 0
        self._bent = False
        self.pinned = False
        self.halted = False
        self.spread_ticks = SPREAD_TICKS
        self.liquidity: Decimal | None = None
        self.bands: tuple[Decimal | None, Decimal | None] = (None, None)
        self.close = instrument.base_price
        start = instrument.base_price + self.chance.randint(-50, 50) * instrument.tick
        self.last = start if isinstance(self.process, Walk) else instrument.base_price
        self.open = self.high = self.low = self.official = self.last
        self.volume = self.chance.randint(1_000_000, 5_000_000)
        self.told = Tick(self.last)
        self.left: dict[bool, Decimal] = {}
        self._quote: Quote | None = None

    # --- what moves it ---------------------------------------------------------------------------------------

    @property
    def bent(self) -> bool:
        return self._bent

    @property
    def stands(self) -> bool:
        return self.pinned or self.halted

    def step(self) -> None:
        """Let the process make one step, and new orders come to the market."""
        self.steps += 1
        self.process.step(self)
        if self.liquidity is not None and not self.halted:
            self.left.clear()
            self._news.moved.add(self.instrument.symbol)

    def move(self, price: Decimal, *, traded: int) -> None:
        """Go to a price (USD; within the bands) by a deal of `traded` shares."""
        self._go(Tick(price, traded=traded))

    def tick(self, tick: Tick) -> None:
        """Take one change from outside as it is. Its sizes count as liquidity where that is limited."""
        self.left.clear()
        self._go(tick)
        self._bent = True

    def pin(self, price: Decimal) -> None:
        # A walk goes on under the pin, a replay waits.
        self.pinned, self._bent = True, self._bent or not isinstance(self.process, Walk)
        self._go(Tick(price.quantize(self.instrument.tick)))

    def release(self) -> None:
        self.pinned = False

    def fast_forward(self, steps: int) -> None:
        """Catch up with a path that had already made `steps` steps."""
        while self.steps < steps:
            self.step()

    def _go(self, tick: Tick) -> None:
        lower, upper = self.bands
        price = max(tick.last, self.instrument.tick)
        price = max(price, lower) if lower is not None else price
        price = min(price, upper) if upper is not None else price
        self.last, self.told = price, tick
        self.volume = (self.volume if tick.volume is None else tick.volume) + tick.traded
        self.high, self.low = max(self.high, price), min(self.low, price)
        self._changed(moved=True)

    def _changed(self, *, moved: bool) -> None:
        self._quote = None
        self._news.changed.add(self.instrument.symbol)
        if moved:
            self._news.moved.add(self.instrument.symbol)

    # --- what bounds it --------------------------------------------------------------------------------------

    def follow(self, process: Process) -> None:
        """Let another process move it from here on."""
        self.seed_anew(self.steps)
        self.process, self._bent = process, True

    def seed_anew(self, at_step: int) -> None:
        """Begin randomness anew, so that what follows doesn't depend on what another process used up."""
        self.seeded_at = at_step
        self.chance = random.Random(f"{self._seed}:{at_step}")  # noqa: S311 - as above.

    def set_spread(self, ticks: int) -> None:
        """Set the distance of bid and ask in ticks, at least 1."""
        self.spread_ticks, self._bent = ticks, True
        self.told = Tick(self.last)
        self._changed(moved=True)

    def set_liquidity(self, size: Decimal | None) -> None:
        """Limit what can be dealt on each side per step or tick; None is without limit."""
        self.liquidity, self._bent = size, True
        self.left.clear()
        self._changed(moved=True)

    def set_bands(self, lower: Decimal | None, upper: Decimal | None) -> None:
        """Set limit down and limit up (USD); the price goes to the nearer one when it is beyond."""
        self.bands, self._bent = (lower, upper), True
        self._go(Tick(self.last))

    def halt(self, *, halted: bool) -> None:
        self.halted, self._bent = halted, True
        self._changed(moved=True)

    def end_regular_session(self) -> None:
        """Note the official close."""
        self.official, self._bent = self.last, True

    def begin_day(self) -> None:
        """Begin a trading day: yesterday's official close becomes the close, the day's figures begin anew."""
        self.close = self.official
        self.open = self.high = self.low = self.last
        self.volume, self._bent = 0, True
        self._changed(moved=False)

    def restore(
        self,
        *,
        told: Tick,
        prices: dict[str, Decimal],
        volume: int,
        spread_ticks: int,
        liquidity: Decimal | None,
        left: dict[bool, Decimal],
        bands: tuple[Decimal | None, Decimal | None],
        halted: bool,
    ) -> None:
        """Take over all that was kept; `prices` are those of the day by name."""
        self.told, self.volume, self.spread_ticks, self.halted = told, volume, spread_ticks, halted
        self.liquidity, self.left, self.bands = liquidity, left, bands
        self.last, self.open, self.high = prices["last"], prices["open"], prices["high"]
        self.low, self.close, self.official = prices["low"], prices["close"], prices["official"]
        self._bent = True
        self._changed(moved=True)

    # --- what it offers --------------------------------------------------------------------------------------

    def available(self, *, is_buy: bool) -> Decimal | None:
        """Return what a buyer or a seller can still get at this step, None without limit."""
        if self.liquidity is None:
            return None
        return self.left.get(is_buy, Decimal(self._size(is_buy=not is_buy)))

    def take(self, quantity: Decimal, *, is_buy: bool) -> None:
        """Use up what a deal of a buyer or a seller took."""
        left = self.available(is_buy=is_buy)
        if left is not None:
            self.left[is_buy] = max(left - quantity, Decimal(0))

    def quote(self) -> Quote:
        """Return the quote; the same object until something changes."""
        if self._quote is None:
            self._quote = self._make_quote()
        return self._quote

    def _make_quote(self) -> Quote:
        bid, ask = self._sides()
        return Quote(
            last=self.last,
            bid=bid,
            ask=ask,
            open=self.open,
            high=self.high,
            low=self.low,
            close=self.close,
            volume=self.volume,
            bid_size=self._size(is_buy=True),
            ask_size=self._size(is_buy=False),
            halted=self.halted,
        )

    def _sides(self) -> tuple[Decimal, Decimal]:
        tick, (lower, upper) = self.instrument.tick, self.bands
        below = self.spread_ticks // 2
        bid = self.last - below * tick if self.told.bid is None else self.told.bid
        ask = self.last + (self.spread_ticks - below) * tick if self.told.ask is None else self.told.ask
        # Nobody may bid or offer beyond the bands.
        bid = max(bid, tick if lower is None else lower)
        return bid, (ask if upper is None else min(ask, upper))

    def _size(self, *, is_buy: bool) -> int:
        told = self.told.bid_size if is_buy else self.told.ask_size
        if told is not None:
            return told
        return QUOTE_SIZE if self.liquidity is None else int(self.liquidity)
