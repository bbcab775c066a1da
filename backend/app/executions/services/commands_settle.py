"""Settle commands by evidence: by what was just told, and by what the rows and complete answers say.

CANCEL   whatever ends the order, a fill included; of an entry left behind in the Gateway: the answer to the cancel;
         that it was refused because the order is over, and no complete answer knows the order
MODIFY   the echo, which makes the order what was wanted; its end; a refusal; a complete answer that knows no change
PLACE    that each of its orders was answered, or proved absent
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from app.accounts.fencing import Holding, fence_require_of
from app.accounts.models import BrokerConnection
from app.domain.broker_events import AnyBrokerEvent
from app.domain.command import (
    CANCEL_REFUSED_CODES,
    GONE,
    NOT_TAKEN,
    WITHDRAWN,
    CommandKind,
    CommandReason,
    cancel_settled,
    change_settled,
    place_settled,
)
from app.domain.order_status import TERMINAL, OrderStatus
from app.executions.models import Execution, Order, OrderCommand, ReconcileRun
from app.executions.services.change_outcome import change_outcome_tell
from app.executions.services.commands_write import command_settle, wanted_value

UNWANTED_AFTER = timedelta(seconds=30)
# By so much a complete answer must have been asked for after a change was sent, to know of it.
ON_ITS_WAY = timedelta(seconds=5)
# Whoever wants one of the first three sends it when it is written, and again as long as it is needed. A move is meant
# for the market as a person saw it.
_SENT_WITHIN = {
    CommandReason.CLOSING: UNWANTED_AFTER,
    CommandReason.EXIT_LEFT: UNWANTED_AFTER,
    CommandReason.RESIZED: UNWANTED_AFTER,
    CommandReason.MOVED: UNWANTED_AFTER,
}


def commands_settle(told: Sequence[tuple[AnyBrokerEvent, Order]], *, now: datetime, read: Iterable[Order] = ()) -> None:
    """Settle what these events are evidence for; each with its order as it stands after them.

    `read` are other orders that were read, and stand as the database has them by now.
    """
    if not told:
        return
    orders = {order.pk: order for _event, order in told}
    by_ref = {order.order_ref: order for order in (*read, *orders.values())}
    of_brackets = OrderCommand.objects.filter(
        order__bracket__in={order.bracket_id for order in orders.values()}, settled_at__isnull=True
    )
    for command in of_brackets.select_related("order"):
        if command.kind == CommandKind.PLACE:
            how = place_settled(_statuses_of(command.change["orders"], known=by_ref))
        else:
            order = orders.get(command.order_id)
            events = [event for event, about in told if about.pk == command.order_id]
            how = next((how for event in events if order and (how := _how(command, order, event))), "")
        if how:
            command.order = orders.get(command.order_id, command.order)
            command_settle(command, how, now=now)
            change_outcome_tell(command, how, now=now)


def commands_settle_rest(*, now: datetime, holding: Holding | None = None) -> None:
    """Settle what no event settles: of what is over by now, what a complete answer contradicts, what is given up.

    With `holding` raises Fenced.
    """
    # By the index of what is unsettled alone, and the orders by their keys: never by way of all orders that are over.
    unsettled = OrderCommand.objects.filter(settled_at__isnull=True).exclude(kind=CommandKind.PLACE)
    unsettled = unsettled.exclude(reason_code=CommandReason.LEFT_BEHIND).order_by("requested_at")
    for command in unsettled.prefetch_related("order"):
        if _how_by_rows(command, now=now):
            _settle_and_tell(command, holding=holding, now=now)


@transaction.atomic
def _settle_and_tell(command: OrderCommand, *, holding: Holding | None, now: datetime) -> None:
    """Judge again under the execution's lock, as everybody settles: what was heard meanwhile has the word."""
    Execution.objects.select_for_update(no_key=True).get(pk=command.execution_id)
    fence_require_of(holding)
    unsettled = OrderCommand.objects.select_related("order").filter(pk=command.pk, settled_at__isnull=True)
    still = unsettled.first()
    if still is not None and (how := _how_by_rows(still, now=now)):
        command_settle(still, how, now=now)
        change_outcome_tell(still, how, now=now)


def _how_by_rows(command: OrderCommand, *, now: datetime) -> str:
    order = command.order
    if OrderStatus(order.status) in TERMINAL:
        return f"order_{order.status.lower()}"
    if command.sent_at is None:
        limit = _SENT_WITHIN.get(CommandReason(command.reason_code))
        return WITHDRAWN if limit is not None and command.requested_at <= now - limit else ""
    if command.kind == CommandKind.CANCEL:
        return GONE if _is_gone(order, refused_since=command.sent_at) else ""
    if command.kind != CommandKind.MODIFY:
        return ""
    answers = BrokerConnection.objects.filter(account=order.account_id, client_id=order.client_id or 0)
    if not answers.filter(reconciled_at__gt=command.sent_at + ON_ITS_WAY).exists():
        return ""
    return "echoed" if _is_as_wanted(command, order) else NOT_TAKEN


def _is_gone(order: Order, *, refused_since: datetime) -> bool:
    """Say whether the broker refused a cancel because the order is over, and does not know it in a later answer."""
    if order.last_error_code not in CANCEL_REFUSED_CODES:
        return False
    complete = ReconcileRun.objects.filter(account=order.account_id, is_complete=True, started_at__gt=refused_since)
    run = complete.first()
    return run is not None and order.order_ref not in run.answered.get("open_refs", ())


def _how(command: OrderCommand, order: Order, event: AnyBrokerEvent) -> str:
    status = OrderStatus(order.status)
    if command.kind == CommandKind.CANCEL:
        return cancel_settled(
            reason=CommandReason(command.reason_code),
            status=status,
            event=event,
            was_sent=command.sent_at is not None,
        )
    heard = event if command.sent_at is not None else None
    return change_settled(status=status, is_as_wanted=_is_as_wanted(command, order), event=heard)


def _is_as_wanted(command: OrderCommand, order: Order) -> bool:
    return all(getattr(order, name) == wanted_value(name, value) for name, value in command.change.items())


def _statuses_of(order_refs: Sequence[str], *, known: Mapping[str, Order]) -> list[OrderStatus]:
    """Return how the orders that are placed together stand."""
    statuses = {ref: known[ref].status for ref in order_refs if ref in known}
    if len(statuses) < len(order_refs):
        unread = [ref for ref in order_refs if ref not in statuses]
        statuses |= dict(Order.objects.filter(order_ref__in=unread).values_list("order_ref", "status"))
    return [OrderStatus(status) for status in statuses.values()]
