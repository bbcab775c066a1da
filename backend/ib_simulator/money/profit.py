"""Profit and loss as IB's portfolio window shows it: of the day, not yet realised, realised.

    daily       worth now - worth of what was held at yesterday's close - what today's deals cost (commissions too)
    unrealized  worth now - what was paid for what is held
    realized    what closed deals brought, commissions taken off, since the position began

[CAMPUS] "Profit & Loss": unrealised and realised are since inception, daily is against the day's start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ib_simulator.market.prices import Market
from ib_simulator.money.ledger import Ledger, Position, units_per_contract


@dataclass(frozen=True)
class Profit:
    """Shares or contracts, and amounts in USD."""

    quantity: Decimal = Decimal(0)
    daily: Decimal = Decimal(0)
    unrealized: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    value: Decimal = Decimal(0)

    def __add__(self, other: "Profit") -> "Profit":
        return Profit(
            quantity=self.quantity + other.quantity,
            daily=self.daily + other.daily,
            unrealized=self.unrealized + other.unrealized,
            realized=self.realized + other.realized,
            value=self.value + other.value,
        )


def market_value(held: Position, *, price: Decimal) -> Decimal:
    """Return what a position is worth at a price (USD); negative when short."""
    return held.quantity * price * units_per_contract(held.instrument)


def position_profit(held: Position, *, ledger: Ledger, market: Market, today: date) -> Profit:
    """Return the figures of one position at the prices of now."""
    quote = market.quote(held.instrument)
    value = market_value(held, price=quote.last)
    flow = ledger.day_flow(held.account, held.instrument, day=today)
    begun_with = (held.quantity - flow.quantity) * quote.close * units_per_contract(held.instrument)
    return Profit(
        quantity=held.quantity,
        daily=value - begun_with - flow.spent,
        unrealized=value - held.quantity * held.average_cost,
        realized=held.realized_pnl,
        value=value,
    )


def total_profit(positions: Iterable[Position], *, ledger: Ledger, market: Market, today: date) -> Profit:
    """Return the sum over positions; its `quantity` means nothing."""
    total = Profit()
    for held in positions:
        total += position_profit(held, ledger=ledger, market=market, today=today)
    return total
