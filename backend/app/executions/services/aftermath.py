"""What an event that was just applied makes due at once, before any sweep finds it."""

from typing import Any

from app.domain.broker_events import AnyBrokerEvent, FillTold, MessageMeaning, OrderMessageTold, OrderTold, ToldStatus
from app.domain.command import CANCEL_REFUSED_CODES
from app.domain.order_ref import parse_order_ref
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg
from app.executions import dispatch
from app.executions.models import Order
from app.executions.open_rows import any_of, bracket_executions
from app.executions.services.match import order_match

_STILL_LIVE = (ToldStatus.PENDING_SUBMIT, ToldStatus.API_PENDING, ToldStatus.PRE_SUBMITTED, ToldStatus.SUBMITTED)


def cancel_rest_of_broken(execution_id: int, event: AnyBrokerEvent) -> bool:
    """Have the rest of a bracket cancelled as soon as a leg was refused or an open entry's stop is gone or hit.

    Says whether it was. Only by what ends an order or fills a stop: were it by the refusal of a cancel, each would ask
    for the next.
    """
    if not _may_end_an_order(event) and not _fills_a_stop(event):
        return False
    # Read by their keys and judged here: a condition for all of it is one for which the planner may read whole tables.
    of_it = any_of("executions_order.bracket_id", bracket_executions([execution_id]))
    columns = ("leg", "status", "filled_quantity", "bracket_id")
    orders = list(Order.objects.filter(of_it).order_by().values_list(*columns, named=True))
    entries_open = {one.bracket_id for one in orders if one.leg == Leg.ENTRY.value and not _is_over(one)}
    is_broken = any(
        order.status == OrderStatus.REJECTED.value
        or (order.leg == Leg.STOP_LOSS.value and _is_spent(order) and order.bracket_id in entries_open)
        for order in orders
    )
    if is_broken:
        dispatch.cancel(execution_id)
    return is_broken


def is_over_unheard(event: AnyBrokerEvent) -> bool:
    """Say whether the broker refused a cancel because the order is over, and we have not heard how it ended."""
    if not isinstance(event, OrderMessageTold) or event.code not in CANCEL_REFUSED_CODES:
        return False
    order = order_match(event)
    return order is not None and not _is_over(order)


def ended_without_a_word(event: AnyBrokerEvent) -> bool:
    """Say whether an entry of ours was cancelled by nobody here and nobody said why: the completed orders do."""
    if (
        not isinstance(event, OrderTold)
        or event.status is not ToldStatus.CANCELLED
        or event.source == "completed_order"
    ):
        return False
    entries = Order.objects.filter(order_ref=event.order_ref, leg=Leg.ENTRY.value, ended_because="")
    return entries.filter(bracket__execution__cancel_reason="").exists()


def _fills_a_stop(event: AnyBrokerEvent) -> bool:
    ref = parse_order_ref(event.order_ref) if isinstance(event, FillTold) else None
    return ref is not None and ref.leg is Leg.STOP_LOSS


def _is_over(order: Any) -> bool:
    return OrderStatus(order.status) in TERMINAL


def _is_spent(order: Any) -> bool:
    return _is_over(order) or order.filled_quantity > 0


def _may_end_an_order(event: AnyBrokerEvent) -> bool:
    if isinstance(event, OrderMessageTold):
        return event.meaning is MessageMeaning.REFUSAL
    return isinstance(event, OrderTold) and event.status not in _STILL_LIVE
