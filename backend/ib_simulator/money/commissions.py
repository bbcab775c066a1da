"""What a deal costs, by IB's published schedules for clients in the United States.

fixed    stocks 0.005 USD a share, at least 1.00 USD and at most 1 % of the value per order
tiered   stocks 0.0035 USD a share down to 0.0005 by the month's volume, at least 0.35 USD and at most 1 % of the value,
         and the fees of others: clearing 0.0002 a share (at most 0.5 % of the value), NYSE and FINRA pass-through, and
         an exchange's 0.003 a share for taking liquidity. Real exchanges differ; what they pay for added liquidity is
         left out.
options  fixed: 0.65 USD a contract, tiered: less from 10,000 contracts a month on and for premiums below 0.10; at least
         1.00 USD per order
forex    0.2 basis points of the value, at least 2.00 USD per order

[IBKR] Commissions: Stocks, ETFs, Warrants and Structured Products (monthly volume, minima, maxima and third party
fees), read in 2026. The regulators' fees on sales are a switch of their own: the schedules list them beside the price.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ib_simulator.market.instruments import Instrument

PLACES = Decimal("0.0001")
CENT = Decimal("0.01")
ORDER_MAXIMUM_SHARE = Decimal("0.01")
UNLIMITED = Decimal("Infinity")

Tiers = tuple[tuple[Decimal, Decimal], ...]


class Schedule(StrEnum):
    FIXED = "fixed"
    TIERED = "tiered"


def _tiers(*rows: tuple[str, str]) -> Tiers:
    return tuple((Decimal(bound), Decimal(rate)) for bound, rate in rows)


# Up to which volume of the month, at how many USD a share or contract.
FIXED_SHARES = _tiers(("Infinity", "0.005"))
TIERED_SHARES = _tiers(
    ("300000", "0.0035"), ("3000000", "0.0020"), ("20000000", "0.0015"), ("100000000", "0.0010"), ("Infinity", "0.0005")
)
FIXED_CONTRACTS = _tiers(("Infinity", "0.65"))
TIERED_CONTRACTS = _tiers(("10000", "0.65"), ("50000", "0.50"), ("100000", "0.25"), ("Infinity", "0.15"))
# Cheap premiums (USD, below) cost less in the first tiers.
CHEAP_CONTRACTS = (
    (Decimal("0.05"), _tiers(("100000", "0.25"), ("Infinity", "0.15"))),
    (Decimal("0.10"), _tiers(("50000", "0.50"), ("100000", "0.25"), ("Infinity", "0.15"))),
)
MINIMA = {Schedule.FIXED: Decimal("1.00"), Schedule.TIERED: Decimal("0.35")}
OPTION_MINIMUM = Decimal("1.00")
FOREX_RATE, FOREX_MINIMUM = Decimal("0.00002"), Decimal("2.00")

CLEARING_RATE, CLEARING_MAXIMUM_SHARE = Decimal("0.0002"), Decimal("0.005")
PASS_THROUGH_RATE = Decimal("0.000175") + Decimal("0.000563")
TAKER_RATE = Decimal("0.003")
SEC_RATE = Decimal("0.0000278")
TRADING_ACTIVITY_RATE = Decimal("0.000166")


@dataclass(frozen=True)
class Deal:
    """One deal of an order. `volume` is what the account had traded in the month before it, in shares or contracts.

    `filled_before` and `value_before` (USD) are the order's earlier deals: minimum and maximum are the order's.
    """

    instrument: Instrument
    quantity: Decimal
    value: Decimal
    price: Decimal
    filled_before: Decimal = Decimal(0)
    value_before: Decimal = Decimal(0)
    volume: Decimal = Decimal(0)
    is_sale: bool = False
    takes_liquidity: bool = True


def deal_commission(deal: Deal, *, schedule: Schedule, regulatory_fees: bool = False) -> Decimal:
    """Return what the deal adds to the order's commission (USD, four places)."""
    first_volume = max(deal.volume - deal.filled_before, Decimal(0))
    before = _broker_share(
        deal, quantity=deal.filled_before, value=deal.value_before, first_volume=first_volume, schedule=schedule
    )
    after = _broker_share(
        deal,
        quantity=deal.filled_before + deal.quantity,
        value=deal.value_before + deal.value,
        first_volume=first_volume,
        schedule=schedule,
    )
    commission = max(after - before, Decimal(0))
    if deal.instrument.sec_type == "STK":
        if schedule is Schedule.TIERED:
            commission += _third_party_fees(deal, commission=commission)
        if regulatory_fees and deal.is_sale:
            commission += SEC_RATE * deal.value + TRADING_ACTIVITY_RATE * deal.quantity
    return commission.quantize(PLACES)


def order_commission(*, quantity: Decimal, value: Decimal) -> Decimal:
    """Return the fixed commission (USD) of an order for stocks that has filled `quantity` for `value` in all."""
    return _bounded(volume_price(quantity, tiers=FIXED_SHARES), minimum=MINIMA[Schedule.FIXED], value=value)


def volume_price(quantity: Decimal, *, tiers: Tiers, first_volume: Decimal = Decimal(0)) -> Decimal:
    """Return the price of `quantity` shares or contracts after `first_volume` in the month: each at its tier's rate."""
    price, reached, left = Decimal(0), first_volume, quantity
    for bound, rate in tiers:
        share = min(left, max(bound - reached, Decimal(0)))
        price += share * rate
        reached += share
        left -= share
    return price


def _broker_share(
    deal: Deal, *, quantity: Decimal, value: Decimal, first_volume: Decimal, schedule: Schedule
) -> Decimal:
    if not quantity:
        return Decimal(0)
    if deal.instrument.sec_type == "OPT":
        tiers = _contract_tiers(deal.price, schedule)
        return max(volume_price(quantity, tiers=tiers, first_volume=first_volume), OPTION_MINIMUM)
    if deal.instrument.sec_type == "CASH":
        return max(value * FOREX_RATE, FOREX_MINIMUM)
    tiers = FIXED_SHARES if schedule is Schedule.FIXED else TIERED_SHARES
    by_volume = volume_price(quantity, tiers=tiers, first_volume=first_volume)
    return _bounded(by_volume, minimum=MINIMA[schedule], value=value)


def _contract_tiers(price: Decimal, schedule: Schedule) -> Tiers:
    if schedule is Schedule.FIXED:
        return FIXED_CONTRACTS
    return next((tiers for bound, tiers in CHEAP_CONTRACTS if price < bound), TIERED_CONTRACTS)


def _bounded(by_size: Decimal, *, minimum: Decimal, value: Decimal) -> Decimal:
    return min(max(minimum, by_size), max(value * ORDER_MAXIMUM_SHARE, CENT)).quantize(PLACES)


def _third_party_fees(deal: Deal, *, commission: Decimal) -> Decimal:
    clearing = min(CLEARING_RATE * deal.quantity, CLEARING_MAXIMUM_SHARE * deal.value)
    exchange = TAKER_RATE * deal.quantity if deal.takes_liquidity else Decimal(0)
    return clearing + exchange + commission * PASS_THROUGH_RATE
