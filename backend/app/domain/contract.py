"""What is traded: the contract an order names, and what the broker knows about it."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """A tradable instrument as an order names it. Stocks for now: `security_type` is "STK".

    `con_id` is the broker's own number of it, 0 where it is not known; an order that carries it trades just that.
    """

    symbol: str
    security_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    con_id: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceIncrement:
    """From `low_edge` upwards a price must be a multiple of `increment`."""

    low_edge: Decimal
    increment: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class SymbolInfo:
    """The broker's own description of a contract. `price_increments` is sorted by `low_edge`, never empty."""

    contract: Contract
    con_id: int
    long_name: str
    primary_exchange: str
    price_increments: tuple[PriceIncrement, ...] = field(
        default=(PriceIncrement(low_edge=Decimal(0), increment=Decimal("0.01")),)
    )
