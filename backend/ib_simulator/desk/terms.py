"""The terms of an order: its type, time in force, prices and moments, read from what a client sent.

Codes and texts are IB's where its documentation or a recording has them: 110, 111, 113, 158, 159, 321, 334, 337, 434.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ib_simulator.clock import parse_moment
from ib_simulator.desk.orders import (
    CLOSE_TYPES,
    LIMIT_TYPES,
    ORDER_TYPES,
    TIMES_IN_FORCE,
    TRAIL_TYPES,
    TRIGGERED_TYPES,
)
from ib_simulator.errors import Refusal
from ib_simulator.fields import parse_decimal
from ib_simulator.market.hours import ZONE
from ib_simulator.messages.place_order import PlaceOrder

VALIDATING = "Error validating request.-'bN' : cause - "
NO_OFFSET = "You must specify an offset amount or a percent offset value."
BAD_PERCENT = "The percent offset value must be between 0% and 100%."
BAD_MOMENT = (
    "The date, time, or time-zone entered is invalid. The correct format is yyyymmdd hh:mm:ss xxx where yyyymmdd and "
    "xxx are optional. E.g.: 20031126 15:59:00 EST"
)
DAY_ONLY = "The Tif option should be set to DAY for MOC and LOC orders."
OFF_TICK = "The price does not conform to the minimum price variation for this contract."
OPENING_TYPES = frozenset({"MKT", "LMT"})


@dataclass(frozen=True)
class Terms:
    """Prices are USD. `stop_price` is where the order triggers; of a trailing order where its stop begins, if given."""

    order_type: str
    tif: str = "DAY"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    good_after: datetime | None = None
    good_till: datetime | None = None


def read_terms(request: PlaceOrder) -> Terms:
    """Read the terms as sent, unchecked but for times. Raises Refusal 337 for a time that cannot be read."""
    trails = request.order_type in TRAIL_TYPES
    fields = request.fields
    tif = request.tif or "DAY"
    return Terms(
        order_type=request.order_type,
        tif=tif,
        limit_price=_positive(request.limit_price) if trails else request.limit_price,
        stop_price=_positive(parse_decimal(fields.get("trailStopPrice", ""))) if trails else request.aux_price,
        trail_amount=_positive(request.aux_price) if trails else None,
        trail_percent=parse_decimal(fields.get("trailingPercent", "")) if trails else None,
        limit_offset=parse_decimal(fields.get("lmtPriceOffset", "")) if request.order_type == "TRAIL LIMIT" else None,
        good_after=_moment(fields.get("goodAfterTime", "")),
        good_till=_moment(fields.get("goodTillDate", "")) if tif == "GTD" else None,
    )


def _positive(price: Decimal | None) -> Decimal | None:
    # Clients that have no word for "not set" send 0.
    return price if price else None


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    moment = parse_moment(text, zone=ZONE)
    if moment is None:
        raise Refusal(code=337, text=BAD_MOMENT)
    return moment


def check_terms(
    terms: Terms, *, action: str, quantity: Decimal, tick: Decimal, now: datetime, is_signed: bool = False
) -> None:
    """Raises Refusal for what IB would not take, whatever the market does. A combination's price may be negative."""
    if terms.order_type not in ORDER_TYPES:
        raise Refusal(code=321, text=f"{VALIDATING}Invalid order type was entered")
    if action not in {"BUY", "SELL"}:
        raise Refusal(code=321, text=f"{VALIDATING}Invalid side")
    _check_time_in_force(terms, now)
    if quantity <= 0:
        raise Refusal(code=434, text="The order size cannot be zero.")
    if quantity != quantity.to_integral_value():
        raise Refusal(code=10243, text="Fractional-sized order cannot be placed via API.")
    if terms.order_type in TRAIL_TYPES:
        _check_trail(terms, tick)
        return
    if terms.order_type in LIMIT_TYPES:
        _check_price(terms.limit_price, name="limit", tick=tick, is_signed=is_signed)
    if terms.order_type in TRIGGERED_TYPES:
        _check_price(terms.stop_price, name="stop", tick=tick, is_signed=is_signed)


def _check_time_in_force(terms: Terms, now: datetime) -> None:
    if terms.tif not in TIMES_IN_FORCE:
        raise Refusal(code=321, text=f"{VALIDATING}Invalid time in force:{terms.tif}")
    if terms.order_type in CLOSE_TYPES and terms.tif != "DAY":
        raise Refusal(code=113, text=DAY_ONLY)
    if terms.tif == "OPG" and terms.order_type not in OPENING_TYPES:
        raise Refusal(code=111, text="The TIF (OPG) and the order type are incompatible.")
    if terms.tif == "GTD" and (terms.good_till is None or terms.good_till <= now):
        raise Refusal(code=334, text="Invalid Good Till Date order")


def _check_trail(terms: Terms, tick: Decimal) -> None:
    if (terms.trail_amount is None) == (terms.trail_percent is None):
        raise Refusal(code=158, text=NO_OFFSET)
    if terms.trail_percent is not None and not 0 < terms.trail_percent < 100:
        raise Refusal(code=159, text=BAD_PERCENT)
    if terms.trail_amount is not None:
        _check_price(terms.trail_amount, name="trailing amount", tick=tick)
    if terms.stop_price is not None:
        _check_price(terms.stop_price, name="stop", tick=tick)
    if terms.order_type != "TRAIL LIMIT":
        return
    if (terms.limit_price is None) == (terms.limit_offset is None):
        raise Refusal(code=321, text=f"{VALIDATING}Either the limit price or the limit price offset must be set")
    if terms.limit_price is not None:
        _check_price(terms.limit_price, name="limit", tick=tick)
    if terms.limit_offset is not None and terms.limit_offset % tick:
        raise Refusal(code=110, text=OFF_TICK)


def _check_price(price: Decimal | None, *, name: str, tick: Decimal, is_signed: bool = False) -> None:
    if price is None or (price <= 0 and not is_signed):
        raise Refusal(code=321, text=f"{VALIDATING}The {name} price is missing or not positive")
    if price % tick:
        raise Refusal(code=110, text=OFF_TICK)
