"""Write down what is to be sent about an order, and what settled it.

    a policy wants ──> OrderCommand, one unsettled of a kind and order ──> commands_send ──> broker's word ──> settled

Written under the execution's lock. Who asks for what was asked already changes nothing: the first reason stays. What
was not sent and is not wanted any more is withdrawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet

from app.core.logging import get_logger
from app.domain.broker_events import AnyBrokerEvent
from app.domain.command import CommandKind, CommandReason, cancel_settled
from app.domain.order_status import TERMINAL, OrderStatus
from app.executions.models import Actor, Order, OrderCommand

logger = get_logger(__name__)

WITHDRAWN = "withdrawn"
UNWANTED_AFTER = timedelta(seconds=30)


def cancels_write(
    *,
    orders: Sequence[Order],
    execution_id: int,
    actor: Actor,
    reason: CommandReason,
    now: datetime,
    user: User | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Write a CANCEL of each of the orders that has none unsettled. The caller has locked their execution."""
    asked = unsettled_cancels(orders).values_list("order_id", flat=True)
    missing = {order.pk: order for order in orders}
    for order_id in asked:
        missing.pop(order_id)
    OrderCommand.objects.bulk_create(
        OrderCommand(
            kind=CommandKind.CANCEL,
            execution_id=execution_id,
            bracket_id=order.bracket_id,
            order=order,
            actor=actor,
            user=user,
            reason_code=reason,
            evidence={"status": order.status, "filled": str(order.filled_quantity)} | dict(evidence or {}),
            requested_at=now,
        )
        for order in missing.values()
    )
    for order in missing.values():
        logger.info("cancel_written", order_ref=order.order_ref, actor=str(actor), reason=str(reason))


def unsettled_cancels(orders: Iterable[Order]) -> QuerySet[OrderCommand]:
    """Return the cancels of these orders that nothing has settled, oldest first."""
    return OrderCommand.objects.filter(order__in=orders, kind=CommandKind.CANCEL, settled_at__isnull=True)


def commands_settle(told: Iterable[tuple[AnyBrokerEvent, Order]], *, now: datetime) -> None:
    """Settle what these events are evidence for; each with its order as it stands after them."""
    told = list(told)
    orders = {order.pk: order for _event, order in told}
    if not orders:
        return
    for command in unsettled_cancels(orders.values()):
        order = orders[command.order_id]
        for event in (event for event, about in told if about.pk == order.pk):
            how = cancel_settled(
                reason=CommandReason(command.reason_code),
                status=OrderStatus(order.status),
                event=event,
                was_sent=command.sent_at is not None,
            )
            if how:
                _settle(command, how, now=now)
                break


def commands_withdraw(*, now: datetime) -> None:
    """Settle what no event settled: cancels of what is over by now, and those that were given up before they were sent.

    Whoever repairs or closes sends what it writes at once, and again as long as that is needed: what was not sent for
    so long is not wanted any more.
    """
    open_cancels = OrderCommand.objects.filter(kind=CommandKind.CANCEL, settled_at__isnull=True)
    open_cancels = open_cancels.exclude(reason_code=CommandReason.LEFT_BEHIND).select_related("order")
    for command in open_cancels.filter(order__status__in=TERMINAL):
        _settle(command, f"order_{command.order.status.lower()}", now=now)
    repeated = (CommandReason.CLOSING, CommandReason.EXIT_LEFT)
    for command in open_cancels.filter(
        reason_code__in=repeated, sent_at__isnull=True, requested_at__lte=now - UNWANTED_AFTER
    ):
        _settle(command, WITHDRAWN, now=now)


def _settle(command: OrderCommand, how: str, *, now: datetime) -> None:
    # Somebody else may have settled it since it was read; what settled it first stands.
    unsettled = OrderCommand.objects.filter(pk=command.pk, settled_at__isnull=True)
    if unsettled.update(settled_at=now, settled_how=how):
        logger.info("command_settled", kind=command.kind, command=command.pk, how=how)
