"""What must happen even when a message was lost or a process died: run every few seconds, from rows alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from app.domain.command import CommandKind, CommandReason
from app.domain.execution_status import FINISHED, ExecutionStatus
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OnTimeout
from app.executions import dispatch, selectors
from app.executions.models import Execution, Order, OrderCommand
from app.executions.moments import is_past
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


def execution_sweep(*, now: datetime, resend_after_seconds: float = RESEND_AFTER_SECONDS) -> SweepReport:
    """Apply deadlines, send again what nobody took, send cancels that are still due, flag what waits too long."""
    before = now - timedelta(seconds=resend_after_seconds)
    # Read before anything is sent here: else what this sweep sends would keep it from sending what was lost.
    is_queue_empty = not dispatch.broker_queue_length()
    kill_switch_enforce(now=now)
    for execution_id in _ids(_unfinished().filter(flatten_requested_at__isnull=False, open_quantity__gt=0)):
        dispatch.flatten(execution_id)
    expired = [pk for pk in _ids(_past_deadline(now)) if execution_expire(execution_id=pk, now=now)]
    # What waits in the queue is not lost: sent again every second, a burst would bury the worker in its own copies.
    resent = _ids(_not_taken(before=before, now=now)) if is_queue_empty else []
    for execution_id in resent:
        dispatch.submit(execution_id)
    commands_settle_rest(now=now)
    for execution_id in _moves_unsent(before=before):
        dispatch.changes(execution_id)
    cancels = [execution.pk for execution in _cancels_due(before=before, now=now)]
    for execution_id in cancels:
        dispatch.cancel(execution_id)
    waiting = overdue_find(now=now)
    overdue = overdue_tell(waiting, now=now)
    return SweepReport(resent=resent, expired=expired, cancels=cancels, overdue=overdue, asks_broker=bool(waiting))


def requested_resend() -> list[int]:
    """Send every execution that no worker has taken, at once: after a connection became ready."""
    waiting = _ids(_unfinished().filter(status=ExecutionStatus.REQUESTED.value, claimed_at__isnull=True))
    for execution_id in waiting:
        dispatch.submit(execution_id)
    return waiting


def _unfinished() -> QuerySet[Execution]:
    return Execution.objects.exclude(status__in=[status.value for status in FINISHED]).order_by("id")


def _ids(executions: QuerySet[Execution]) -> list[int]:
    return list(executions.values_list("pk", flat=True)[:BATCH_MAX])


def _past_deadline(now: datetime) -> QuerySet[Execution]:
    to_give_up = Q(claimed_at__isnull=True)
    to_cancel = Q(on_timeout=OnTimeout.CANCEL.value, cancel_requested_at__isnull=True)
    entry_open = Exists(_entries().filter(bracket__execution=OuterRef("pk")).exclude(status__in=_DONE))
    return _unfinished().filter(entry_open, to_give_up | to_cancel, deadline_at__lte=now)


def _not_taken(*, before: datetime, now: datetime) -> QuerySet[Execution]:
    waiting = _unfinished().filter(status=ExecutionStatus.REQUESTED.value, claimed_at__isnull=True)
    return waiting.filter(is_past("requested_at", before=before, now=now))


def _moves_unsent(*, before: datetime) -> list[int]:
    """Return the executions with moves that nobody has sent: the task was lost, or there was no connection."""
    unsent = OrderCommand.objects.filter(settled_at__isnull=True, sent_at__isnull=True, kind=CommandKind.MODIFY)
    unsent = unsent.filter(reason_code__in=[CommandReason.MOVED, CommandReason.PUT_BACK], requested_at__lte=before)
    return sorted(set(unsent.values_list("execution_id", flat=True)[:BATCH_MAX]))


def _cancels_due(*, before: datetime, now: datetime) -> Iterable[Execution]:
    """Return executions with a cancel that was asked for, or became due with a refused leg, and shows no effect."""
    just_tried = OrderCommand.objects.filter(
        order=OuterRef("pk"), kind=CommandKind.CANCEL, settled_at__isnull=True, tried_at__gt=before, tried_at__lte=now
    )
    # Narrowed here to what can be due, so that the batch is never full of executions on which nothing is.
    legs_over = Order.objects.filter(is_past("finished_at", before=before, now=now), bracket=OuterRef("bracket"))
    entry_doomed = Q(leg=Leg.ENTRY.value) & (
        is_past("bracket__execution__cancel_requested_at", before=before, now=now)
        | Exists(legs_over.filter(Q(status=OrderStatus.REJECTED.value) | Q(leg=Leg.STOP_LOSS.value)))
    )
    entry_over = ~Q(leg=Leg.ENTRY.value) & Exists(legs_over.filter(leg=Leg.ENTRY.value, filled_quantity=0))
    open_orders = Order.objects.filter(bracket__execution=OuterRef("pk"), order_id__isnull=False).exclude(
        status__in=[*_DONE, OrderStatus.PENDING_CANCEL.value]
    )
    in_vain = cancelled_in_vain().filter(order=OuterRef("pk"))
    can_be_cancelled = open_orders.filter(~Exists(just_tried), ~Exists(in_vain))
    due = _unfinished().filter(Exists(can_be_cancelled.filter(entry_doomed | entry_over)))
    for execution in selectors.with_orders(due)[:BATCH_MAX]:
        if orders_to_cancel(execution):
            yield execution


def _entries() -> QuerySet[Order]:
    return Order.objects.filter(leg=Leg.ENTRY.value)


_DONE = sorted(status.value for status in TERMINAL)
