"""Write down what is to be sent about an order, and what settled it.

    a policy wants ──> OrderCommand, one unsettled of a kind and order ──> commands_send ──> broker's word ──> settled

Written under the execution's lock. Who asks for what was asked already changes nothing: the first reason stays. A newer
change takes the place of an older one, a cancel that of a change that was not sent. The placing of a native bracket is
one command, about its entry, with the names of all its orders.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet

from app.core.decimal_text import plain
from app.core.logging import get_logger
from app.domain.broker_events import OrderTold
from app.domain.command import GONE, SUPERSEDED, WITHDRAWN, CommandKind, CommandReason
from app.executions.models import Actor, BrokerEvent, Execution, Order, OrderCommand

logger = get_logger(__name__)

_PRICES = ("limit_price", "stop_price")


def place_of(
    orders: Sequence[Order], *, actor: Actor, reason: CommandReason, now: datetime, user: User | None = None
) -> OrderCommand:
    """Return the command, not saved yet, to place these orders of one bracket together; the first leads them."""
    first = orders[0]
    return OrderCommand(
        kind=CommandKind.PLACE,
        execution_id=first.bracket.execution_id,
        bracket_id=first.bracket_id,
        order=first,
        actor=actor,
        user=user,
        reason_code=reason,
        change={"orders": [order.order_ref for order in orders]},
        requested_at=now,
    )


def change_write(
    *,
    order: Order,
    execution: Execution,
    change: Mapping[str, Decimal | str],
    actor: Actor,
    reason: CommandReason,
    now: datetime,
    user: User | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> OrderCommand:
    """Write a MODIFY of the order, or return the one that wants it already. The caller has locked the execution.

    `change` is what it is to be, by column. What an older one wants beside that, the new one wants too: a stop that is
    being cut and is moved meanwhile is cut and moved. As evidence stands what it was, with its prices in any case.
    """
    wanted = {name: _text(value) for name, value in change.items()}
    older = unsettled([order], CommandKind.MODIFY).first()
    if older is not None and wanted.items() <= older.change.items():
        return older
    known = dict(evidence or {})
    if older is not None:
        command_settle(older, SUPERSEDED, now=now)
        wanted = older.change | wanted
        if older.reason_code == CommandReason.MOVED:  # What comes of a move is told to whoever asked for it.
            reason, user, known = CommandReason.MOVED, user or older.user, older.evidence | known
    before = {name: _text(value) for name in {*wanted, *_PRICES} if (value := getattr(order, name)) is not None}
    command = OrderCommand.objects.create(
        kind=CommandKind.MODIFY,
        execution=execution,
        bracket_id=order.bracket_id,
        order=order,
        actor=actor,
        user=user,
        reason_code=reason,
        evidence=known | before,
        change=wanted,
        requested_at=now,
    )
    logger.info("change_written", order_ref=order.order_ref, actor=str(actor), **wanted)
    return command


def _text(value: Decimal | str) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def wanted_value(column: str, text: str) -> Decimal | str:
    """Return what a change wants a column of the order to be: its type is a word, all else are numbers."""
    return text if column == "order_type" else Decimal(text)


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
    missing = {order.pk: order for order in orders}
    if missing:
        for order_id in cancelled_in_vain().filter(order__in=orders).values_list("order_id", flat=True):
            missing.pop(order_id, None)
        for order_id in unsettled(orders, CommandKind.CANCEL).values_list("order_id", flat=True):
            missing.pop(order_id, None)
    if not missing:
        return
    for change in unsettled(missing.values(), CommandKind.MODIFY).filter(sent_at__isnull=True):
        command_settle(change, WITHDRAWN, now=now)
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


def unsettled(orders: Iterable[Order], kind: CommandKind) -> QuerySet[OrderCommand]:
    """Return the commands of this kind about these orders that nothing has settled, oldest first."""
    return OrderCommand.objects.filter(order__in=orders, kind=kind, settled_at__isnull=True)


def cancelled_in_vain() -> QuerySet[OrderCommand]:
    """Return the cancels of orders that the broker does not know any more, and has not spoken of since.

    To cancel such an order again says nothing new: a person has to say what became of it.
    """
    told = BrokerEvent.objects.filter(kind=OrderTold.kind, order=OuterRef("order"))
    heard = told.filter(recorded_at__gt=OuterRef("settled_at"))
    return OrderCommand.objects.filter(~Exists(heard), kind=CommandKind.CANCEL, settled_how=GONE)


def command_settle(command: OrderCommand, how: str, *, now: datetime) -> None:
    """Note what settled a command. Where somebody else settled it since it was read, that stands."""
    values = {"settled_at": now, "settled_how": how}
    if command.kind == CommandKind.PLACE:
        # The ids of its orders are what is written ahead of them; this only repeats when that was.
        values["sent_at"] = command.order.sent_at
    if OrderCommand.objects.filter(pk=command.pk, settled_at__isnull=True).update(**values):
        logger.info("command_settled", kind=command.kind, command=command.pk, how=how)
