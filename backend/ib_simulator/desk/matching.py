"""Would this order deal at these prices, and at which price? Pure arithmetic.

MKT deals at the other side of the quote. A stop triggers on the last price and then deals like MKT, so a gap costs what
it costs; STP LMT becomes LMT. MIT and LIT trigger on the other side of the market. LMT deals once the last price has
reached its limit: on arrival at the quote if that is better, later at its limit.
"""

from decimal import Decimal

from ib_simulator.desk.orders import LIMIT_TYPES, STOP_TYPES, Order
from ib_simulator.market.prices import Quote


def is_triggered(order: Order, quote: Quote) -> bool:
    """Say whether the last price has reached the stop, or touched the price of MIT and LIT."""
    if order.stop_price is None:
        return False
    above = order.is_buy if order.order_type in STOP_TYPES else not order.is_buy
    return quote.last >= order.stop_price if above else quote.last <= order.stop_price


def auction_price(order: Order, quote: Quote) -> Decimal | None:
    """Return the price at which the order deals in an auction, all at the last price. None: beyond its limit."""
    if order.order_type in LIMIT_TYPES:
        limit = order.limit_price
        if limit is None or (quote.last > limit if order.is_buy else quote.last < limit):
            return None
    return quote.last


def bounded(price: Decimal, bands: tuple[Decimal | None, Decimal | None]) -> Decimal:
    """Return the price, or limit down or limit up (USD) where it is beyond; None is no band."""
    lower, upper = bands
    if lower is not None:
        price = max(price, lower)
    return price if upper is None else min(price, upper)


def is_out_of_reach(order: Order, last: Decimal) -> bool:
    """Say whether a plain limit order rests for sure at this last price (USD): the quick look at a long book."""
    limit = order.limit_price
    if order.order_type != "LMT" or limit is None:
        return False
    return last > limit if order.is_buy else last < limit


def deal_price(order: Order, quote: Quote, *, arriving: bool) -> Decimal | None:
    """Return the price (USD) at which a triggered or untriggerable order deals now, or None."""
    other_side = quote.ask if order.is_buy else quote.bid
    if order.order_type not in LIMIT_TYPES:
        return other_side
    limit = order.limit_price
    if limit is None:
        return None
    if order.is_buy:
        reached = quote.last <= limit
        better = min(limit, other_side)
    else:
        reached = quote.last >= limit
        better = max(limit, other_side)
    if not reached:
        return None
    return better if arriving else limit
