"""Time limits on answers, from rows alone, so that they hold after a restart: first the broker is asked, then a person.

    an order sent, or a cancel told to be on its way     no news of it
    an order parked (INACTIVE)                           no news of it        ASK_BROKER_AFTER  a reconcile on demand
    an execution taken                                   nothing was sent     TELL_PERSON_AFTER attention
    a command                                            nothing has settled it

An entry's own deadline is a column of the execution and does more than tell (see `cancel.execution_expire`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from django.db import transaction
from django.db.models import Max

from app.accounts.fencing import Holding, fence_require_of
from app.domain.command import CommandKind, CommandReason
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, BrokerEvent, Execution, ExecutionFlag, OrderCommand
from app.executions.open_rows import executions_unfinished, orders_of_executions, orders_open
from app.executions.services.attention import attention_add

ASK_BROKER_AFTER = timedelta(seconds=30)
TELL_PERSON_AFTER = timedelta(seconds=90)
BATCH_MAX = 200
_WAITS_FOR_NEWS = {
    OrderStatus.SENT.value: "the broker has not answered to it",
    OrderStatus.PENDING_SUBMIT.value: "the Gateway has it, and the broker has not answered",
    OrderStatus.PENDING_CANCEL.value: "its cancel has not been answered",
    OrderStatus.INACTIVE.value: "the broker has parked it and says nothing more",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Overdue:
    """Something that waits for the broker since a moment that is too long ago."""

    execution_id: int
    text: str
    since: datetime


def overdue_find(*, now: datetime) -> list[Overdue]:
    """Return what has waited longer than `ASK_BROKER_AFTER`, in a fixed number of queries."""
    before = now - ASK_BROKER_AFTER
    return [*_without_news(before), *_not_sent(before), *_commands(before)]


def overdue_tell(found: Iterable[Overdue], *, now: datetime, holding: Holding | None = None) -> list[int]:
    """Flag the executions of what has waited longer than `TELL_PERSON_AFTER`; return those that were not flagged so.

    At most a batch; what is flagged already is passed over, so that the next sweep goes on with the others. With
    `holding` raises Fenced.
    """
    late = [overdue for overdue in found if overdue.since <= now - TELL_PERSON_AFTER]
    flags = ExecutionFlag.objects.filter(resolved_at__isnull=True, code=FlagCode.UNANSWERED)
    known = set(flags.order_by().values_list("execution_id", "sentence"))
    new = [overdue for overdue in late if (overdue.execution_id, overdue.text) not in known]
    return [overdue.execution_id for overdue in new[:BATCH_MAX] if _tell(overdue, holding=holding, now=now)]


def _without_news(before: datetime) -> Iterable[Overdue]:
    waiting = orders_open().filter(status__in=list(_WAITS_FOR_NEWS), sent_at__lte=before).prefetch_related("bracket")
    orders = sorted(waiting, key=attrgetter("pk"))
    heard = BrokerEvent.objects.filter(order__in=[order.pk for order in orders]).order_by().values("order_id")
    heard_at = dict(heard.annotate(last=Max("recorded_at")).values_list("order_id", "last"))
    heard_or_sent = [(order, heard_at.get(order.pk) or order.sent_at) for order in orders]
    silent = [(order, since) for order, since in heard_or_sent if since is not None and since <= before]
    for order, since in silent:
        text = f"{order.order_ref}: {_WAITS_FOR_NEWS[order.status]}"
        yield Overdue(execution_id=order.bracket.execution_id, text=text, since=since)


def _not_sent(before: datetime) -> Iterable[Overdue]:
    taken = executions_unfinished().filter(status=ExecutionStatus.SUBMITTING.value, claimed_at__lte=before)
    rows = list(taken.values_list("pk", "claimed_at"))
    sent = {order.bracket.execution_id for order in orders_of_executions(pk for pk, _at in rows) if order.sent_at}
    for pk, claimed_at in rows:
        if claimed_at is not None and pk not in sent:
            yield Overdue(execution_id=pk, text="a worker took it and has sent nothing", since=claimed_at)


def _commands(before: datetime) -> Iterable[Overdue]:
    """Return the cancels and changes that nothing has settled; what is placed is looked for by its orders."""
    waiting = OrderCommand.objects.filter(settled_at__isnull=True, requested_at__lte=before)
    waiting = waiting.exclude(kind=CommandKind.PLACE).select_related("order")
    for command in waiting.order_by("id"):
        order = command.order
        if command.reason_code == CommandReason.LEFT_BEHIND:
            text = f"{order.order_ref}: it may rest in the Gateway untransmitted, and its cancel was not answered"
        elif command.kind == CommandKind.MODIFY:
            text = f"{order.order_ref}: its change has not been answered"
        elif order.leg == Leg.ENTRY.value:
            text = "its cancel was asked for, and its entry is still open"
        else:
            text = f"{order.order_ref}: its cancel has not been answered"
        yield Overdue(execution_id=command.execution_id, text=text, since=command.requested_at)


@transaction.atomic
def _tell(overdue: Overdue, *, holding: Holding | None, now: datetime) -> bool:
    execution = Execution.objects.select_for_update(no_key=True).get(pk=overdue.execution_id)
    fence_require_of(holding)
    before = execution.attention
    attention_add(execution, overdue.text, code=FlagCode.UNANSWERED)
    if execution.attention == before:
        return False
    execution.save(update_fields=["attention"])
    decision_record(
        actor=Actor.SWEEP,
        action="ASK",
        reason=overdue.text,
        evidence={"since": overdue.since.isoformat()},
        account=execution.account,
        execution=execution,
        now=now,
    )
    news.publish_on_commit(execution.pk)
    return True
