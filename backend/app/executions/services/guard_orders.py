"""The guard's own orders: a stop for shares that have none, and the end of one that was never sent."""

from datetime import datetime
from decimal import Decimal

from app.domain.broker_events import AbsenceProved
from app.domain.command import CommandKind, CommandReason
from app.domain.order_ref import OrderRef
from app.domain.order_status import OrderStatus
from app.domain.protection import Repair, RepairKind
from app.domain.terms import Leg, OrderType, TimeInForce
from app.executions.models import Bracket, Execution, Order, OrderCommand
from app.executions.services.apply import broker_event_record

_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


def protect_create(execution: Execution, bracket: Bracket, *, quantity: Decimal) -> Order:
    """Write down a stop like the bracket's own, under the next free name, where the last one was at the broker."""
    order = protect_of(execution, bracket, quantity=quantity)
    order.save()
    return order


def protect_of(
    execution: Execution, bracket: Bracket, *, quantity: Decimal, stop_price: Decimal | None = None
) -> Order:
    """Return such a stop, not saved yet; at `stop_price` where that is given."""
    legs = sorted(bracket.orders.all(), key=lambda order: order.pk)
    own = next(order for order in legs if order.leg == Leg.STOP_LOSS.value)
    at_broker = [order for order in legs if order.leg in _STOPS and order.acknowledged_at is not None]
    last = at_broker[-1] if at_broker else own
    number = 1 + sum(order.leg == Leg.PROTECT.value for order in legs)
    ref = OrderRef(execution_key=execution.key, tranche=bracket.tranche, leg=Leg.PROTECT, number=number)
    return Order(
        account=execution.account,
        bracket=bracket,
        leg=Leg.PROTECT.value,
        order_ref=str(ref),
        action=own.action,
        order_type=OrderType.STOP.value,
        quantity=quantity,
        stop_price=last.stop_price if stop_price is None else stop_price,
        time_in_force=TimeInForce.GTC.value,
        outside_rth=own.outside_rth,
    )


def repair_discard(order: Order, *, account_id: str, reason: str, now: datetime) -> None:
    """End a repair that was never sent."""
    broker_event_record(
        AbsenceProved(
            dedupe_key=f"absence:{order.order_ref}:discarded",
            account=account_id,
            received_at=now,
            order_ref=order.order_ref,
            evidence=f"It was written down and never sent: {reason}.",
        ),
        now=now,
    )


def is_a_persons(repair: Repair, bracket_id: int) -> bool:
    """Say whether a stop that a person asked for is about to be sent (see `acts_send`), so that this repair waits.

    Nothing is placed beside it, nor is it thrown away.
    """
    if repair.kind not in (RepairKind.PLACE_STOP, RepairKind.SEND, RepairKind.DISCARD):
        return False
    asked = OrderCommand.objects.filter(bracket=bracket_id, settled_at__isnull=True, kind=CommandKind.PLACE)
    return asked.filter(reason_code=CommandReason.PROTECTED, order__status=OrderStatus.CREATED).exists()


def was_made_larger(bracket: Bracket, order_pk: int | None) -> bool:
    """Say whether an exit of the bracket, whose orders were read, is larger than its entry: by a split, or by hand."""
    orders = list(bracket.orders.all())
    entry = next(order for order in orders if order.leg == Leg.ENTRY.value)
    return any(order.pk == order_pk and order.quantity > entry.quantity for order in orders)
