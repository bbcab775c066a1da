"""When an order may trade, and what the clock does to it. Pure rules: nothing here is told to anybody.

    placed outside its hours ──> parked until wakes_at ──> at the exchange until closes_at ──> parked again (GTC, GTD)
                                                                      └──> ended at expires_at (DAY, GTD)
    MOC, LOC: at the exchange, deal only at due_at, the official close     OPG: parked until due_at, the official open

Outside regular hours IB accepts orders and parks them [CAPTURE B3]; `outsideRth` lets an order "trigger or fill" there
[DOC], but not one whose type has no price to hold on to (MKT, MIT, MOC, LOC).
"""

from datetime import datetime, timedelta

from ib_simulator.desk.orders import CLOSE_TYPES, Order, Stage
from ib_simulator.market.hours import DAYS_SEARCHED_MAX, ZONE, Phase, TradingHours

STOCK = "STK"  # Only stocks have early and late sessions.
OUTSIDE_TYPES = frozenset({"LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "LIT"})


def goes_outside(order: Order) -> bool:
    """Say whether the order may trigger and fill in the sessions before and after the regular one."""
    able = order.order_type in OUTSIDE_TYPES and order.tif != "OPG" and order.instrument.sec_type == STOCK
    return order.outside_rth and able


def may_trade(order: Order, phase: Phase) -> bool:
    """Say whether the order's hours are running."""
    return phase is Phase.REGULAR or (phase is not Phase.CLOSED and goes_outside(order))


def next_official(hours: TradingHours, moment: datetime, *, opening: bool) -> datetime:
    """Return the first official opening or close after the moment, by the calendar (also where trading never stops)."""
    first = moment.astimezone(ZONE).date()
    for ahead in range(DAYS_SEARCHED_MAX):
        day = hours.day(first + timedelta(days=ahead))
        if day is not None:
            official = day.open if opening else day.close
            if official > moment:
                return official
    raise AssertionError("no session within two weeks")


def set_moments(order: Order, hours: TradingHours, now: datetime) -> None:
    """Work out what the clock will do to an order that was just transmitted, changed, woken or parked."""
    starts = max(now, order.good_after or now)
    outside = goes_outside(order)
    order.due_at = order.wakes_at = order.closes_at = None
    order.expires_at = _expiry(order, hours, starts)
    if order.stage is Stage.HELD:
        return
    if order.tif == "OPG":
        order.due_at = next_official(hours, starts, opening=True)
        order.wakes_at = order.due_at
        return
    opens = hours.next_open(starts, outside_rth=outside)
    if opens > now:
        order.wakes_at = opens
    elif order.expires_at is None or order.tif == "GTD":
        order.closes_at = hours.next_close(now, outside_rth=outside)
    if order.order_type in CLOSE_TYPES:
        order.due_at = next_official(hours, opens, opening=False)
        order.closes_at = None


def _expiry(order: Order, hours: TradingHours, starts: datetime) -> datetime | None:
    if order.tif == "GTD":
        return order.good_till
    if order.tif == "DAY" and order.order_type not in CLOSE_TYPES:
        return hours.next_close(starts, outside_rth=goes_outside(order))
    return None


def waits_for_hours(order: Order, now: datetime) -> bool:
    """Say whether it is the exchange's hours that keep the order back, and not its own goodAfterTime."""
    return order.wakes_at is not None and (order.good_after is None or order.good_after <= now)
