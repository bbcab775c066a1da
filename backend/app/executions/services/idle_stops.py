"""Shares whose stop does not work now, though the broker has it: a person is told until when.

    the entry was filled outside regular hours, and its stop works in them only
    the broker says that it keeps a stop of held shares back until the market opens
    a stop's trigger was reached, and the broker still holds it

A stop that waits for its trigger in regular hours, overnight too, is what every stop does: nothing is told of that.
"""

from datetime import datetime, timedelta

from app.domain.broker_events import FillTold, OrderMessageTold, OrderTold, ToldStatus
from app.domain.market_hours import regular_hours_next
from app.domain.order_status import TERMINAL
from app.domain.reasons import FlagCode
from app.domain.terms import Action, Leg
from app.executions.models import Execution, Fill, Order
from app.executions.services.attention import attention_add

_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)
_TRIGGER, _CHILD = "trigger", "child"  # IB's whyHeld of a stop: it waits for its price; for its entry (IB_FACTS B1).
# The broker tells the deals of a day: one that seems older is of a Gateway whose clock is not ours.
_TOLD_WITHIN = timedelta(days=1)


def entry_filled(event: FillTold, *, order: Order, execution: Execution) -> None:
    """Tell where the entry was filled while its stop does not work."""
    # Only what may work outside regular hours is filled there: where another is, the market keeps other hours.
    if order.leg != Leg.ENTRY.value or not order.outside_rth or not event.quantity or not _is_us_stock(execution):
        return
    opens = regular_hours_next(event.executed_at)
    is_over = opens is not None and opens <= event.received_at <= event.executed_at + _TOLD_WITHIN
    if opens is None or is_over or _stops_outside_hours(order):
        return
    attention_add(
        execution,
        f"{order.leg}: filled outside regular hours, and its stop works in them only: "
        f"no stop works until {opens:%Y-%m-%d %H:%M} New York",
        code=FlagCode.STOP_WAITS,
    )


def stop_kept_back(event: OrderMessageTold, *, order: Order, execution: Execution) -> None:
    """Take in that the broker ignores a stop's outside hours, or keeps it back; tell where shares are held."""
    if order.leg not in _STOPS:
        return
    if event.ignores_outside_hours:
        order.outside_rth = False
        # At once: an entry's deal that is recorded with this message asks the rows.
        Order.objects.filter(pk=order.pk).update(outside_rth=False)
        if _held(order):
            _tell_ignored(order, execution=execution, at=event.received_at)
    if event.waits_until and _held(order):
        attention_add(
            execution,
            f"{order.leg}: the broker keeps it back: no stop works until {event.waits_until}",
            code=FlagCode.STOP_WAITS,
        )


def stop_triggered(event: OrderTold, *, before: str, order: Order, execution: Execution) -> None:
    """Tell where a stop's trigger was reached and the broker still holds it; `before` is why it held it until now."""
    waited = _TRIGGER in before.split(",") and _CHILD not in before.split(",")
    waits = event.status is ToldStatus.PRE_SUBMITTED and _TRIGGER not in event.why_held.split(",")
    if order.leg not in _STOPS or not (waited and waits and _held(order)):
        return
    opens = regular_hours_next(event.received_at) if _is_us_stock(execution) else None
    until = f"{opens:%Y-%m-%d %H:%M} New York" if opens is not None else "the broker works it"
    attention_add(
        execution,
        f"{order.leg}: its trigger was reached, and the broker still holds it: no stop works until {until}",
        code=FlagCode.STOP_WAITS,
    )


def _tell_ignored(order: Order, *, execution: Execution, at: datetime) -> None:
    opens = regular_hours_next(at) if _is_us_stock(execution) else None
    if opens is not None:
        attention_add(
            execution,
            f"{order.leg}: the broker lets it work in regular hours only: "
            f"no stop works until {opens:%Y-%m-%d %H:%M} New York",
            code=FlagCode.STOP_WAITS,
        )


def _is_us_stock(execution: Execution) -> bool:
    return (execution.security_type, execution.currency) == ("STK", "USD")


def _stops_outside_hours(order: Order) -> bool:
    """Say whether a stop of the order's bracket works outside regular hours, as far as the broker has said."""
    stops = Order.objects.filter(bracket=order.bracket_id, leg__in=_STOPS, outside_rth=True)
    return stops.exclude(status__in=TERMINAL).exists()


def _held(order: Order) -> bool:
    """Say whether the bracket holds shares, by its deals: rows of orders may not be saved yet."""
    deals = Fill.objects.filter(order__bracket=order.bracket_id, superseded=False)
    signed = [
        quantity if action == Action.BUY.value else -quantity
        for action, quantity in deals.values_list("order__action", "quantity")
    ]
    return bool(sum(signed))
