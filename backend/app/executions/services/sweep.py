"""What must happen even when a message was lost or a process died: run every few seconds, from rows alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from app.accounts.fencing import Holding
from app.domain.command import CommandKind, CommandReason
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg, OnTimeout
from app.executions import dispatch, selectors
from app.executions.models import Execution, Order, OrderCommand
from app.executions.moments import is_past
from app.executions.open_rows import executions_of_orders, executions_unfinished, orders_open
from app.executions.services.acts_send import acts_unsent
from app.executions.services.cancel import execution_expire, orders_to_cancel
from app.executions.services.commands_settle import commands_settle_rest
from app.executions.services.commands_write import cancelled_in_vain
from app.executions.services.kill_switch import kill_switch_enforce
from app.executions.services.overdue import overdue_find, overdue_tell

RESEND_AFTER_SECONDS = 5
BATCH_MAX = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepReport:
    """The executions that were sent again, expired, had a cancel sent again, or were flagged as overdue.

    `asks_broker`: something waits for an answer so long that the broker should be asked for everything.
    """

    resent: list[int]
    expired: list[int]
    cancels: list[int]
    overdue: list[int] = field(default_factory=list)
    asks_broker: bool = False


def execution_sweep(
    *, now: datetime, resend_after_seconds: float = RESEND_AFTER_SECONDS, holding: Holding | None = None
) -> SweepReport:
    """Apply deadlines, send again what nobody took, send cancels that are still due, flag what waits too long.

    With `holding`, of the worker that holds the connection, raises Fenced: one that was stopped in the middle of it
    writes nothing more when another has taken over.
    """
    before = now - timedelta(seconds=resend_after_seconds)
    # Read before anything is sent here: else what this sweep sends would keep it from sending what was lost.
    is_queue_empty = not dispatch.broker_queue_length()
    kill_switch_enforce(now=now, holding=holding)
    for execution_id in _closing().values_list("pk", flat=True):  # All: who waits for room keeps nobody else waiting.
        dispatch.flatten(execution_id)
    expired = [pk for pk in _past_deadline(now) if execution_expire(execution_id=pk, now=now, holding=holding)]
    # What waits in the queue is not lost: sent again every second, a burst would bury the worker in its own copies.
    resent = _ids(_not_taken(before=before, now=now)) if is_queue_empty else []
    for execution_id in resent:
        dispatch.submit(execution_id)
    commands_settle_rest(now=now, holding=holding)
    for execution_id in [*_moves_unsent(before=before), *acts_unsent().values_list("execution_id", flat=True)]:
        dispatch.changes(execution_id)
    cancels = [execution.pk for execution in _cancels_due(before=before, now=now)]
    for execution_id in cancels:
        dispatch.cancel(execution_id)
    waiting = overdue_find(now=now)
    overdue = overdue_tell(waiting, now=now, holding=holding)
    return SweepReport(resent=resent, expired=expired, cancels=cancels, overdue=overdue, asks_broker=bool(waiting))


def requested_resend() -> list[int]:
    """Send every execution that no worker has taken, at once: after a connection became ready."""
    waiting = _ids(executions_unfinished().filter(status=ExecutionStatus.REQUESTED.value, claimed_at__isnull=True))
    for execution_id in waiting:
        dispatch.submit(execution_id)
    return waiting


def _ids(executions: QuerySet[Execution]) -> list[int]:
    return list(executions.values_list("pk", flat=True)[:BATCH_MAX])


def _past_deadline(now: datetime) -> list[int]:
    to_give_up = Q(claimed_at__isnull=True)
    to_cancel = Q(on_timeout=OnTimeout.CANCEL.value, cancel_requested_at__isnull=True)
    late = executions_unfinished().filter(to_give_up | to_cancel, deadline_at__lte=now).values_list("pk", flat=True)
    entry_open = executions_of_orders(orders_open().filter(leg=Leg.ENTRY.value))
    return [pk for pk in late if pk in entry_open][:BATCH_MAX]


def _closing() -> QuerySet[Execution]:
    wanted = Q(flatten_requested_at__isnull=False) | Q(close_requested_at__isnull=False)
    return executions_unfinished().filter(wanted, open_quantity__gt=0)


def _not_taken(*, before: datetime, now: datetime) -> QuerySet[Execution]:
    waiting = executions_unfinished().filter(status=ExecutionStatus.REQUESTED.value, claimed_at__isnull=True)
    return waiting.filter(is_past("requested_at", before=before, now=now))


def _moves_unsent(*, before: datetime) -> list[int]:
    """Return the executions with moves that nobody has sent: the task was lost, or there was no connection."""
    unsent = OrderCommand.objects.filter(settled_at__isnull=True, sent_at__isnull=True, kind=CommandKind.MODIFY)
    unsent = unsent.filter(reason_code__in=[CommandReason.MOVED, CommandReason.PUT_BACK], requested_at__lte=before)
    return sorted(set(unsent.values_list("execution_id", flat=True)[:BATCH_MAX]))


def _cancels_due(*, before: datetime, now: datetime) -> Iterable[Execution]:
    """Return executions with a cancel that was asked for, or became due with a refused leg, and shows no effect."""
    sent = orders_open().filter(order_id__isnull=False).exclude(status=OrderStatus.PENDING_CANCEL.value)
    # A few columns: nearly all of them need nothing, and are read every second.
    columns = ("pk", "leg", "filled_quantity", "bracket_id", "bracket__execution_id")
    orders = list(sent.values_list(*columns, named=True))
    # Narrowed here to what can be due, so that the batch is never full of executions on which nothing is.
    brackets = {order.bracket_id for order in orders}
    over = Order.objects.filter(is_past("finished_at", before=before, now=now), bracket__in=brackets).order_by()
    lost = Q(status=OrderStatus.REJECTED.value) | Q(leg=Leg.STOP_LOSS.value)
    broken = set(over.filter(lost).values_list("bracket_id", flat=True))
    broken |= {order.bracket_id for order in orders if order.leg == Leg.STOP_LOSS.value and order.filled_quantity > 0}
    empty = set(over.filter(leg=Leg.ENTRY.value, filled_quantity=0).values_list("bracket_id", flat=True))
    past_cancel = is_past("cancel_requested_at", before=before, now=now)
    asked = set(executions_unfinished().filter(past_cancel).values_list("pk", flat=True))
    not_now = _not_now([order.pk for order in orders], before=before, now=now)
    can_be_due = {
        order.bracket__execution_id
        for order in orders
        if (
            order.bracket_id in broken or order.bracket__execution_id in asked
            if order.leg == Leg.ENTRY.value
            else order.bracket_id in empty
        )
        and order.pk not in not_now
    }
    unfinished = executions_unfinished().filter(pk__in=can_be_due)
    for execution in selectors.with_orders(unfinished)[:BATCH_MAX]:
        if orders_to_cancel(execution):
            yield execution


def _not_now(keys: Sequence[int], *, before: datetime, now: datetime) -> set[int]:
    """Return those of the orders, by their keys, whose cancel was tried a moment ago, or is of no use any more."""
    cancels = OrderCommand.objects.filter(order__in=keys, settled_at__isnull=True).order_by()
    tried = cancels.filter(kind=CommandKind.CANCEL, tried_at__gt=before, tried_at__lte=now)
    in_vain = cancelled_in_vain().filter(order__in=keys).order_by()
    return {*tried.values_list("order_id", flat=True), *in_vain.values_list("order_id", flat=True)}
