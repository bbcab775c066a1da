"""Does what must always hold, hold in the rows? Every finding names an execution, an order and what is wrong.

    (1) placed_twice         no leg is placed twice under one order_ref
    (2) overfilled           an order's deals sum up to its quantity at most
    (3) oversold             a bracket's exits close at most what its entry opened
    (4) unprotected          shares held have a working stop of their size, or are flagged with the guard at work
        orphaned             nothing held, nothing to come, and an exit still works
    (5) broker_differs       our open orders were the broker's, at the last complete reconcile
        not_reconciled       and that one is young
    (6) fills_differ         an order's filled quantity is the sum of its deals
    (7) replay_differs       the rows follow from the stored events (see replay)
    (8) overdue              what should have ended or moved on within its time limit has, whether it is flagged or not
    (9) sent_too_fast        orders were written ahead no faster than the broker takes messages
    (11) command_unsettled   what was to be sent is settled within its time limit, and once its order is over

What is younger than `SETTLE` is not judged where the broker may still put it right by itself.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import DecimalField, Exists, F, Max, OuterRef, Q, QuerySet, Sum, Value, Window
from django.db.models.functions import Coalesce, Lag

from app.accounts.models import BrokerConnection
from app.domain.command import CommandKind, CommandReason
from app.domain.execution_status import FINISHED, ExecutionStatus
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.protection import Coverage
from app.domain.terms import Leg, OnTimeout
from app.executions.models import (
    Actor,
    Bracket,
    BrokerEvent,
    Decision,
    Execution,
    Fill,
    Order,
    OrderCommand,
    ReconcileRun,
)
from app.executions.services.deals import deals_contradict
from app.executions.services.guard import bracket_protection
from app.executions.services.replay import events_replay

SETTLE = timedelta(seconds=10)
GUARD_AT_WORK = timedelta(minutes=1)
UNANSWERED_MAX = timedelta(minutes=2)
RECONCILE_AGE_MAX = timedelta(minutes=3)
MESSAGES_PER_SECOND_MAX = 50  # Half of the usual 100 market data lines (IB_FACTS: pacing).
_SHARES = DecimalField(max_digits=20, decimal_places=4)
_NONE = Decimal(0)
_UNFINISHED = [status.value for status in ExecutionStatus if status not in FINISHED]
_OVER = sorted(status.value for status in TERMINAL)
_UNANSWERED = (OrderStatus.SENT.value, OrderStatus.PENDING_SUBMIT.value, OrderStatus.PENDING_CANCEL.value)


class Invariant(StrEnum):
    """What was found not to hold."""

    PLACED_TWICE = "placed_twice"
    OVERFILLED = "overfilled"
    OVERSOLD = "oversold"
    UNPROTECTED = "unprotected"
    ORPHANED = "orphaned"
    BROKER_DIFFERS = "broker_differs"
    NOT_RECONCILED = "not_reconciled"
    FILLS_DIFFER = "fills_differ"
    REPLAY_DIFFERS = "replay_differs"
    OVERDUE = "overdue"
    SENT_TOO_FAST = "sent_too_fast"
    COMMAND_UNSETTLED = "command_unsettled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that does not hold. `execution_id` and `order_ref` are None and "" where it is about none.

    `is_flagged`: the execution waits for a person to look at it.
    """

    code: Invariant
    text: str
    execution_id: int | None = None
    order_ref: str = ""
    is_flagged: bool = False

    def __str__(self) -> str:
        flagged = " (flagged)" if self.is_flagged else ""
        return f"{self.code} {self.execution_id or '-'} {self.order_ref or '-'} {self.text}{flagged}"


def audit_findings(
    *, now: datetime, account_id: str = "", with_replay: bool = False, with_broker: bool = False
) -> list[Finding]:
    """Return everything that does not hold, of one account where it is named.

    `with_replay` adds (7), which locks each execution for a moment; `with_broker` (5) and (9), which need a broker
    worker that reconciles.
    """
    executions = Execution.objects.filter(account__account_id=account_id) if account_id else Execution.objects.all()
    orders = Order.objects.filter(bracket__execution__in=executions) if account_id else Order.objects.all()
    found = [
        *_placed_twice(orders),
        *_fills_wrong(orders),
        *_oversold(executions),
        *_unprotected(executions, now=now),
        *_overdue(executions, orders, now=now),
        *_unsettled(executions, now=now),
    ]
    if with_broker:
        found += [*_broker_differs(account_id, now=now), *_sent_too_fast(orders)]
    if with_replay:
        found += _replay_differs(executions if account_id else None)
    return found


def _placed_twice(orders: QuerySet[Order]) -> Iterable[Finding]:
    """Find names under which the broker told of two order ids, or of deals under two permanent ids."""
    told = BrokerEvent.objects.filter(kind__in=("order_told", "fill_told"), order__in=orders)
    numbers: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    facts = told.order_by().values_list(
        "order__order_ref", "execution_id", "kind", "payload__client_id", "payload__order_id", "payload__perm_id"
    )
    for ref, execution_id, kind, client_id, order_id, perm_id in facts.distinct().iterator(chunk_size=2000):
        if order_id:
            numbers[execution_id, ref, "order ids"].add(f"{client_id}/{order_id}")
        if perm_id and kind == "fill_told":
            numbers[execution_id, ref, "permanent ids with deals"].add(str(perm_id))
    for (execution_id, ref, what), told_numbers in sorted(numbers.items()):
        if len(told_numbers) > 1:
            text = f"the broker told of it under {len(told_numbers)} {what}: {', '.join(sorted(told_numbers))}"
            yield Finding(code=Invariant.PLACED_TWICE, execution_id=execution_id, order_ref=ref, text=text)


def _fills_wrong(orders: QuerySet[Order]) -> Iterable[Finding]:
    deals = Sum("fills__quantity", filter=Q(fills__superseded=False))
    summed = orders.annotate(dealt=Coalesce(deals, Value(_NONE), output_field=_SHARES)).select_related("bracket")
    wrong = summed.filter(Q(dealt__gt=F("quantity")) | ~Q(dealt=F("filled_quantity")))
    for order in wrong.order_by("id"):
        if contradiction := deals_contradict(order):
            yield _of_order(Invariant.OVERFILLED, order, contradiction)
        # Of deals that contradict each other the smaller number counts, and a person was told.
        if order.dealt != order.filled_quantity and not (contradiction and order.filled_quantity < order.dealt):
            text = f"its filled quantity is {order.filled_quantity:f}, its deals sum up to {order.dealt:f}"
            yield _of_order(Invariant.FILLS_DIFFER, order, text)


def _oversold(executions: QuerySet[Execution]) -> Iterable[Finding]:
    entry, counts = Q(order__leg__in=[Leg.ENTRY.value, Leg.SURPLUS.value]), Q(superseded=False)
    brackets = Fill.objects.filter(counts, order__bracket__execution__in=executions).order_by()
    for row in brackets.values("order__bracket", "order__bracket__execution", "order__bracket__tranche").annotate(
        entered=Coalesce(Sum("quantity", filter=entry), Value(_NONE), output_field=_SHARES),
        exited=Coalesce(Sum("quantity", filter=~entry), Value(_NONE), output_field=_SHARES),
    ):
        over = row["exited"] - row["entered"]
        if over > 0 and over > _taken_over(row["order__bracket"]):
            text = f"tranche {row['order__bracket__tranche']}: {row['exited']:f} exited, {row['entered']:f} entered"
            yield Finding(code=Invariant.OVERSOLD, execution_id=row["order__bracket__execution"], text=text)


def _taken_over(bracket_id: int) -> Decimal:
    """Return how many shares a person took over for the bracket beyond what it entered."""
    entry = Order.objects.filter(bracket=bracket_id, leg=Leg.ENTRY.value).first()
    return max(-entry.closed_elsewhere, _NONE) if entry is not None else _NONE


def _unprotected(executions: QuerySet[Execution], *, now: datetime) -> Iterable[Finding]:
    exit_left = Order.objects.filter(bracket=OuterRef("pk")).exclude(leg=Leg.ENTRY.value).exclude(status__in=_OVER)
    of_them = Bracket.objects.filter(Q(execution__open_quantity__gt=0) | Exists(exit_left), execution__in=executions)
    brackets = of_them.select_related("execution").prefetch_related("orders").order_by("id")
    for bracket in brackets.iterator(chunk_size=500):
        protection = bracket_protection(bracket)
        text = f"tranche {bracket.tranche}: {protection.held:f} held, {protection.covered:f} covered"
        if protection.held > 0 and protection.coverage is not Coverage.COVERED:
            if not _is_seen_to(bracket.execution, now=now):
                code, text = Invariant.UNPROTECTED, f"{text} ({protection.coverage})"
                yield Finding(code=code, execution_id=bracket.execution_id, text=text)
        elif protection.coverage is Coverage.ORPHANED and not _is_seen_to(bracket.execution, now=now):
            code, text = Invariant.ORPHANED, f"tranche {bracket.tranche}: nothing is held and an exit still works"
            yield Finding(code=code, execution_id=bracket.execution_id, text=text)


def _is_seen_to(execution: Execution, *, now: datetime) -> bool:
    """Say whether the broker has just spoken, or it is flagged and what we did about it is young."""
    heard = BrokerEvent.objects.filter(execution=execution).aggregate(at=Max("recorded_at"))["at"]
    if heard is not None and now - heard <= SETTLE:
        return True
    ours = Decision.objects.filter(execution=execution, actor__in=(Actor.GUARD.value, Actor.KILL_SWITCH.value))
    return bool(execution.attention) and ours.filter(decided_at__gt=now - GUARD_AT_WORK).exists()


def _overdue(executions: QuerySet[Execution], orders: QuerySet[Order], *, now: datetime) -> Iterable[Finding]:
    running = executions.filter(status__in=_UNFINISHED)
    late = now - UNANSWERED_MAX
    for execution in running.filter(status=ExecutionStatus.SUBMITTING.value, claimed_at__lte=late):
        yield _of_execution(execution, f"taken at {execution.claimed_at}, and the broker has answered to none of it")
    past = running.filter(deadline_at__lte=now - SETTLE)
    for execution in past.filter(claimed_at__isnull=True):
        yield _of_execution(execution, f"nobody took it before its deadline {execution.deadline_at}")
    entry_open = Order.objects.filter(bracket__execution=OuterRef("pk"), leg=Leg.ENTRY.value).exclude(status__in=_OVER)
    kept = past.filter(Exists(entry_open), on_timeout=OnTimeout.CANCEL.value, cancel_requested_at__isnull=True)
    for execution in kept.filter(claimed_at__isnull=False):
        yield _of_execution(execution, f"its entry works past its deadline {execution.deadline_at}")
    waiting = orders.filter(status__in=_UNANSWERED, sent_at__lte=late)
    for order in waiting.annotate(heard=Max("events__recorded_at")).select_related("bracket__execution"):
        if order.heard is None or order.heard <= late:
            text = f"{order.status} without news since {order.heard or order.sent_at}"
            is_flagged = bool(order.bracket.execution.attention)
            yield replace(_of_order(Invariant.OVERDUE, order, text), is_flagged=is_flagged)


def _unsettled(executions: QuerySet[Execution], *, now: datetime) -> Iterable[Finding]:
    """Find cancels and changes without an answer, and commands about orders that are over by now."""
    over = Q(order__status__in=_OVER, order__finished_at__lte=now - SETTLE)
    over &= ~Q(reason_code=CommandReason.LEFT_BEHIND)
    # Of a placing the first order may be over while another is not answered yet.
    over &= ~Q(kind=CommandKind.PLACE) | Q(order__finished_at__lte=now - UNANSWERED_MAX)
    late = Q(requested_at__lte=now - UNANSWERED_MAX) & ~Q(kind=CommandKind.PLACE)
    unsettled = OrderCommand.objects.filter(over | late, settled_at__isnull=True, execution__in=executions)
    for command in unsettled.select_related("order", "execution").order_by("id"):
        text = f"{command.kind} ({command.reason_code}) of {command.requested_at}, sent at {command.sent_at}, unsettled"
        yield Finding(
            code=Invariant.COMMAND_UNSETTLED,
            execution_id=command.execution_id,
            order_ref=command.order.order_ref,
            text=f"{text}, the order is {command.order.status}",
            is_flagged=bool(command.execution.attention),
        )


def _broker_differs(account_id: str, *, now: datetime) -> Iterable[Finding]:
    """Compare with what the last complete reconcile was answered, but for what has changed since."""
    holders = BrokerConnection.objects.select_related("account").order_by("account_id").distinct("account_id")
    for holder in holders.filter(account__account_id=account_id) if account_id else holders:
        run = ReconcileRun.objects.filter(account=holder.account, is_complete=True).first()
        if run is None or run.started_at < now - RECONCILE_AGE_MAX:
            when = f"at {run.started_at}" if run else "never"
            yield Finding(code=Invariant.NOT_RECONCILED, text=f"{holder.account} was last reconciled completely {when}")
            continue
        open_there = set(run.answered.get("open_refs", []))
        unchanged = ~Exists(BrokerEvent.objects.filter(order=OuterRef("pk"), recorded_at__gte=run.started_at))
        ours = Order.objects.filter(unchanged, account=holder.account).select_related("bracket")
        known_open = ours.exclude(status__in=[*_OVER, OrderStatus.CREATED.value]).filter(sent_at__lt=run.started_at)
        for order in known_open.exclude(order_ref__in=open_there).exclude(sent_at__gte=run.started_at - SETTLE):
            yield _of_order(Invariant.BROKER_DIFFERS, order, f"{order.status} here, not open at the broker")
        over = ours.filter(order_ref__in=open_there, status__in=_OVER).filter(finished_at__lt=run.started_at)
        for order in over:
            yield _of_order(Invariant.BROKER_DIFFERS, order, f"{order.status} here, open at the broker")


def _sent_too_fast(orders: QuerySet[Order]) -> Iterable[Finding]:
    """Find the moments at which one order more than the broker takes in a second was written ahead."""
    before = Window(
        Lag("sent_at", offset=MESSAGES_PER_SECOND_MAX),
        partition_by=[F("account_id"), F("client_id")],
        order_by=[F("sent_at").asc(), F("id").asc()],
    )
    sent = orders.filter(sent_at__isnull=False).order_by().annotate(before=before)
    rows = sent.values_list("order_ref", "bracket__execution_id", "sent_at", "before")
    for ref, execution_id, sent_at, sent_before in rows.iterator(chunk_size=2000):
        if sent_before is not None and sent_at - sent_before < timedelta(seconds=1):
            text = f"more than {MESSAGES_PER_SECOND_MAX} orders were written ahead in the second before {sent_at}"
            yield Finding(code=Invariant.SENT_TOO_FAST, execution_id=execution_id, order_ref=ref, text=text)
            return


def _replay_differs(executions: QuerySet[Execution] | None) -> Iterable[Finding]:
    ids = None if executions is None else list(executions.order_by("id").values_list("id", flat=True))
    for difference in events_replay(execution_ids=ids):
        yield Finding(code=Invariant.REPLAY_DIFFERS, execution_id=difference.execution_id, text=str(difference))


def _of_execution(execution: Execution, text: str) -> Finding:
    return Finding(
        code=Invariant.OVERDUE,
        execution_id=execution.pk,
        text=f"{execution.status}: {text}",
        is_flagged=bool(execution.attention),
    )


def _of_order(code: Invariant, order: Order, text: str) -> Finding:
    return Finding(code=code, execution_id=order.bracket.execution_id, order_ref=order.order_ref, text=text)
