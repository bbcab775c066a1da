"""The order book behind a quote: seeded levels, so that the same quote always has the same book."""

import random
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.market.instruments import Instrument
from ib_simulator.market.paths import Quote

STEP_TICKS_MAX = 2
LOTS_MAX = 12
LOT = 100


@dataclass(frozen=True)
class Level:
    """One price (USD) and what waits there (shares)."""

    price: Decimal
    size: int


def book_levels(
    instrument: Instrument, quote: Quote, *, rows: int, seed: int
) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Return bids and asks, best first: at most `rows` each, fewer bids where the price comes to an end."""
    bids = _side(instrument, Level(quote.bid, quote.bid_size), step=-instrument.tick, rows=rows, seed=seed)
    asks = _side(instrument, Level(quote.ask, quote.ask_size), step=instrument.tick, rows=rows, seed=seed)
    return bids, asks


def _side(instrument: Instrument, best: Level, *, step: Decimal, rows: int, seed: int) -> tuple[Level, ...]:
    levels, price = [best], best.price
    while len(levels) < rows:
        # Drawn from the price, so that a level keeps its size while the quote moves towards it.
        chance = random.Random(f"{seed}:{instrument.key}:{step}:{price}")  # noqa: S311 - reproducible, not secret.
        price += chance.randint(1, STEP_TICKS_MAX) * step
        if price < instrument.tick:
            break
        levels.append(Level(price, chance.randint(1, LOTS_MAX) * LOT))
    return tuple(levels[:rows])
