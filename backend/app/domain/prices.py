"""Ticks and R: the arithmetic of prices, in `Decimal` throughout."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TypeGuard

from app.domain.contract import PriceIncrement
from app.domain.terms import Side


def is_price(value: Decimal | None) -> TypeGuard[Decimal]:
    """Say whether `value` is a price at all: a positive number. A feed without data says NaN, -1 or 0."""
    return value is not None and value.is_finite() and value > 0


def tick_at(price: Decimal, increments: Sequence[PriceIncrement]) -> Decimal:
    """Return the smallest price step that holds at `price`."""
    tick = increments[0].increment
    for step in increments:
        if price >= step.low_edge:
            tick = step.increment
    return tick


def is_on_tick(price: Decimal, increments: Sequence[PriceIncrement]) -> bool:
    """Say whether an order at `price` is not refused for its price step."""
    return price % tick_at(price, increments) == 0


def round_to_tick(price: Decimal, increments: Sequence[PriceIncrement], *, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Return the allowed price nearest to `price` (`rounding` is one of decimal's)."""
    tick = tick_at(price, increments)
    return (price / tick).quantize(Decimal(1), rounding=rounding) * tick


def risk_per_share(*, side: Side, entry_price: Decimal, stop_price: Decimal) -> Decimal:
    """Return 1 R in money per share: what one share loses when the stop fills at its price. Negative when misplaced."""
    return (entry_price - stop_price) * side.sign


def r_multiple(*, side: Side, entry_price: Decimal, stop_price: Decimal, price: Decimal) -> Decimal:
    """Return the profit at `price` as a multiple of the risk. The stop must not equal the entry."""
    risk = risk_per_share(side=side, entry_price=entry_price, stop_price=stop_price)
    return (price - entry_price) * side.sign / risk
