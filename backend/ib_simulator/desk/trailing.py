"""Trailing stops: where the stop is, given the last price. Pure arithmetic.

The stop of a SELL follows the price up at its distance and never comes down; of a BUY the other way round. TRAIL LIMIT
keeps its limit at an offset from the stop.
"""

from decimal import ROUND_HALF_UP, Decimal

from ib_simulator.desk.orders import TRAIL_TYPES, Order

HUNDRED = Decimal(100)


def distance(order: Order, last: Decimal) -> Decimal:
    """Return how far the stop is from the price (USD), by amount or by percentage."""
    if order.trail_amount is not None:
        return order.trail_amount
    share = (order.trail_percent or Decimal(0)) / HUNDRED
    tick = order.instrument.tick
    return (last * share / tick).quantize(Decimal(1), rounding=ROUND_HALF_UP) * tick


def follow(order: Order, last: Decimal) -> bool:
    """Move the stop of a trailing order after the price; returns whether it moved."""
    if order.order_type not in TRAIL_TYPES:
        return False
    fix_limit(order)
    away = distance(order, last)
    wanted = last + away if order.is_buy else last - away
    stop = order.stop_price
    if stop is not None and (wanted >= stop if order.is_buy else wanted <= stop):
        return False
    order.stop_price = max(wanted, order.instrument.tick)
    fix_limit(order)
    return True


def fix_limit(order: Order) -> None:
    """Set the limit of a TRAIL LIMIT order from its stop, or its offset from a limit given at the start."""
    if order.order_type != "TRAIL LIMIT" or order.stop_price is None:
        return
    if order.limit_offset is None and order.limit_price is not None:
        gap = order.limit_price - order.stop_price
        order.limit_offset = gap if order.is_buy else -gap
    if order.limit_offset is not None:
        offset = order.limit_offset
        order.limit_price = order.stop_price + (offset if order.is_buy else -offset)
