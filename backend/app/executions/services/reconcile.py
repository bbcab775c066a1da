"""Make our rows agree with the broker's complete answer.

    ask: open orders ─> deals ─> completed orders      each complete, or the whole run raises and changes nothing
         ─> positions                                  held against our claims (see positions)
    tell: every answer as an ordinary event on the up road (what is known already changes nothing). What the recorder
          heard of the same answers is recorded first, the rest here, many events at once
    conclude: an order of ours that no answer knows     nothing heard of it  -> AbsenceProved -> NOT_PLACED
                                                        known to be live once -> a person must look
              an order that is open though we finished  a person must look
              an order told filled, but not by deals    a person must look
              shares held, and no stop in any answer    a person must look

The questions are asked in this order because an order may finish between two of them: what is no longer open at the
first has its deals in the second and its end in the third.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from django.db import DatabaseError, DataError, IntegrityError, OperationalError, transaction

from app.accounts.fencing import Holding, fence_require
from app.brokers.base import BlockingBroker, OpenOrder, Position
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, RequestRefused
from app.core import clock
from app.core.errors import TradingError
from app.core.logging import get_logger
from app.domain.broker_events import AbsenceProved, AnyBrokerEvent, CommissionTold, FillTold, OrderTold, ToldStatus
from app.domain.command import CANCEL_REFUSED_CODES, CommandReason
from app.domain.order_ref import parse_order_ref
from app.domain.order_status import TERMINAL, UNANSWERED, OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions.models import Actor, Bracket, Execution, Order, ReconcileRun, open_quantity_of
from app.executions.moments import lies_past
from app.executions.open_rows import (
    executions_held,
    of_account,
    orders_lacking_deals,
    orders_of_executions,
    orders_open,
)
from app.executions.services.apply import broker_event_keep, broker_event_record
from app.executions.services.close_facts import is_flattening
from app.executions.services.commands_write import cancels_write
from app.executions.services.connection_row import holding_of
from app.executions.services.exits_settle import as_news
from app.executions.services.match import batches, orders_match, recorded_at
from app.executions.services.positions import positions_settle
from app.executions.services.reconcile_run import (
    reconcile_run_begin,
    reconcile_run_complete,
    reconcile_run_fail,
    reconcile_run_note,
)
from app.executions.services.record import broker_events_record
from app.executions.services.retake import execution_give_back, rest_tell
from app.executions.services.vanished import order_flag, vanished_settle

logger = get_logger(__name__)

# What one transaction takes at most: more would hold its executions locked for long.
BATCH_MAX = 64
OTHERS_BATCH_MAX = 1000
# Of the open orders that are not ours a run names so many; all are counted.
EXTERNAL_NAMED_MAX = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileReport:
    """What one run found. `external` are open orders that are not ours: shown, never touched.

    `drifts` say how positions that were not what we knew of were judged; `look_again` are instruments whose position
    disagrees, and which another complete answer, ten seconds later, settles. `left_behind` are order ids of entries
    that may rest in the Gateway, received but never transmitted: no question shows them, but a person could transmit
    them from TWS, naked. Their cancels are written down, and sent once the connection is READY.
    """

    asked_at: datetime
    open_orders: int
    told: int
    changed: list[int] = field(default_factory=list)
    not_placed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    external: list[OpenOrder] = field(default_factory=list)
    left_behind: list[int] = field(default_factory=list)
    drifts: list[str] = field(default_factory=list)
    look_again: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answers:
    open_orders: Sequence[OpenOrder]
    deals: Sequence[FillTold | CommissionTold]
    completed: Sequence[OrderTold]
    positions: Sequence[Position] | None


def execution_reconcile(
    *, broker: BlockingBroker, now: datetime, settle_seconds: float, drain: Callable[[], object] = lambda: None
) -> ReconcileReport:
    """Ask the broker for everything and settle each difference; a ReconcileRun row says what was found and done.

    An order written ahead less than `settle_seconds` before `now` may be on its way to the broker while the questions
    are: nothing is concluded about it. Give 0 where nothing can be on its way (after a connect, before any sending).
    `drain` returns when what was heard while asking is recorded: most answers come by that road too, and two who record
    the same events at once are in each other's way. Raises what the questions raise; then nothing was concluded.
    """
    run = reconcile_run_begin(account_id=broker.account_id, connection_id=broker.connection_id, now=now)
    lacking_before = {order.pk for order in _lacking_deals(broker.account_id)}
    try:
        answers = _ask(broker)
        drain()
        holding = holding_of(broker)
        report = _settle(answers, holding=holding, now=now, settle_seconds=settle_seconds, run=run)
        for order in _lacking_deals(broker.account_id):
            if order.pk in lacking_before:
                text = f"the broker says that {order.told_filled.normalize():f} are filled, and its deals do not"
                order_flag(order, text, holding=holding, now=now)
        reconcile_run_complete(run, holding=holding, now=clock.now())
    except TradingError as error:
        reconcile_run_fail(run, error_code=error.code, error=error.message, now=clock.now())
        raise
    except DatabaseError as error:
        with suppress(DatabaseError):  # Where the database is away, the run stays unfinished.
            reconcile_run_fail(run, error_code="database", error=str(error).strip(), now=clock.now())
        raise
    logger.info(
        "reconciled",
        open_orders=report.open_orders,
        told=report.told,
        changed=len(report.changed),
        not_placed=len(report.not_placed),
        vanished=len(report.vanished),
        external=len(report.external),
        drifts=len(report.drifts),
    )
    return report


def _ask(broker: BlockingBroker) -> _Answers:
    open_orders = broker.open_orders()
    deals = broker.fills_since()
    completed = broker.completed_orders()
    try:
        positions = broker.positions()
    except (BrokerTimeout, IncompleteAnswer, RequestRefused) as error:
        # Orders are settled without them: what is held follows from deals, and stops must not wait for this answer.
        logger.warning("positions_not_told", reason=error.code)
        positions = None
    return _Answers(open_orders=open_orders, deals=deals, completed=completed, positions=positions)


def _settle(
    answers: _Answers, *, holding: Holding, now: datetime, settle_seconds: float, run: ReconcileRun
) -> ReconcileReport:
    """Tell the answers, conclude from them, and note it all in `run`."""
    account = run.account
    events: list[AnyBrokerEvent] = [order.told for order in answers.open_orders]
    events += [*answers.deals, *answers.completed]
    stored_at = recorded_at(events)
    news = [e for e in events if e.dedupe_key not in stored_at or stored_at[e.dedupe_key] > now]
    unknown = [event for event in events if event.dedupe_key not in stored_at]
    changed = _record_all(unknown, now=now, holding=holding)
    # Matched once all is told: a foreign-looking order may have become known by a number told meanwhile.
    ours_open = orders_match([order.told for order in answers.open_orders])
    ours_completed = orders_match(answers.completed)
    known = {order.pk for order in [*ours_open, *ours_completed] if order is not None}
    report = ReconcileReport(
        asked_at=now,
        open_orders=len(answers.open_orders),
        told=len(events),
        changed=sorted(changed),
        external=[order for order, ours in zip(answers.open_orders, ours_open, strict=True) if ours is None],
    )
    before = now - timedelta(seconds=settle_seconds)
    for order in _unfinished(account.account_id, asked_at=now, settle_seconds=settle_seconds):
        if order.pk not in known:
            _conclude(order, report=report, answers=answers, holding=holding, client_id=run.client_id)
    for open_order, ours in zip(answers.open_orders, ours_open, strict=True):
        if ours is not None and ours.status == OrderStatus.REJECTED and (ours.finished_at or before) <= before:
            # The words may be stored already, from before the refusal: here they say that it lives.
            broker_event_record(as_news(open_order.told, order=ours, now=now), now=now, holding=holding)
    for order in _open_though_finished(answers.open_orders, ours_open, before=before):
        order_flag(order, "it is open at the broker though it was finished here", holding=holding, now=now)
    for order in _filled_without_deals(ours_open, answers.completed, ours_completed):
        order_flag(order, "the broker lists it as filled, but its deals are not all known", holding=holding, now=now)
    for order in _entries_without_stop(account.account_id, before=before):
        bare = "its shares have no working stop at the broker"
        order_flag(order, bare, code=FlagCode.SHARES_BARE, holding=holding, now=now)
    if answers.positions is not None:
        seen = positions_settle(account=account, positions=answers.positions, holding=holding, now=now)
        report.drifts.extend(seen.judged)
        report.look_again.extend(seen.doubts)
        run.answered |= {"positions": len(answers.positions), "in_doubt": seen.doubts}
    reconcile_run_note(
        run,
        answered={
            "open_orders": len(answers.open_orders),
            "deals": len(answers.deals),
            "completed_orders": len(answers.completed),
            "open_refs": [order.order_ref for order in ours_open if order is not None],
            "external": [_name_of(order) for order in report.external[:EXTERNAL_NAMED_MAX]],
            "external_sides": _sides_of(report.external),
        },
        news=news,
        not_placed=report.not_placed,
        vanished=report.vanished,
        left_behind=report.left_behind,
        drifts=report.drifts,
    )
    return report


def _sides_of(orders: Iterable[OpenOrder]) -> dict[str, dict[str, int]]:
    """Count orders by contract and action, for whoever must know how much room is left."""
    counted: dict[str, dict[str, int]] = {}
    for order in orders:
        sides = counted.setdefault(str(order.contract.con_id), {})
        sides[order.action.value] = sides.get(order.action.value, 0) + 1
    return counted


def _name_of(order: OpenOrder) -> str:
    return f"{order.action} {order.quantity.normalize():f} {order.contract.symbol}, permanent id {order.told.perm_id}"


def _conclude(order: Order, *, report: ReconcileReport, answers: _Answers, holding: Holding, client_id: int) -> None:
    """Settle an order of ours that no answer knows."""
    if OrderStatus(order.status) not in UNANSWERED or order.filled_quantity:
        vanished_settle(order, holding=holding, now=report.asked_at)
        report.vanished.append(order.order_ref)
        return
    if order.sent_at is None and execution_give_back(order=order, holding=holding, now=report.asked_at):
        return
    counted = f"{report.open_orders} open, {len(answers.completed)} completed orders, and the day's deals"
    # Another client id's is not ours to cancel: the number would be another order's.
    ours = order.order_id is not None and order.client_id == client_id
    left_behind = ours and order.leg == Leg.ENTRY.value
    if _conclude_absent(order, asked_at=report.asked_at, answers=counted, left_behind=left_behind, holding=holding):
        report.not_placed.append(order.order_ref)
        if left_behind and order.order_id is not None:
            report.left_behind.append(order.order_id)


def _unfinished(account_id: str, *, asked_at: datetime, settle_seconds: float) -> Iterable[Order]:
    """Return our orders that a worker took, are not finished, and cannot be on their way at `asked_at`."""
    settle = timedelta(seconds=settle_seconds)
    orders = Order.objects.filter(pk__in=of_account(orders_open(), account_id)).order_by()
    found = sorted(orders.prefetch_related("bracket__execution"), key=attrgetter("pk"))
    of_them = Execution.objects.filter(pk__in={order.bracket.execution_id for order in found}).order_by()
    claimed_at = dict(of_them.values_list("pk", "claimed_at"))
    # Looked at after the rows were read: what was noted since the questions were asked does not lie ahead.
    limits = {"before": asked_at - settle, "now": max(asked_at + settle, clock.now())}
    over = {order.bracket.execution_id for order in found if order.acknowledged_at is not None}
    taken = over | {pk for pk, at in claimed_at.items() if at is not None and lies_past(at, **limits)}
    # What the guard or a close wrote down while the questions were asked is about to be sent.
    about_to_leave = settle_seconds > 0
    return [
        order
        for order in found
        if order.bracket.execution_id in taken
        and _not_just_sent(order, **limits)
        and (Leg(order.leg).is_native or order.sent_at is not None or not about_to_leave)
    ]


def _not_just_sent(order: Order, *, before: datetime, now: datetime) -> bool:
    # What the broker has answered, and refuses to cancel because it is over, is not on its way either.
    is_over = order.acknowledged_at is not None and order.last_error_code in CANCEL_REFUSED_CODES
    return order.sent_at is None or is_over or lies_past(order.sent_at, before=before, now=now)


@transaction.atomic
def _conclude_absent(order: Order, *, asked_at: datetime, answers: str, left_behind: bool, holding: Holding) -> bool:
    """Prove the order absent, and have one that is left behind cancelled; say whether it was proved."""
    fence_require(holding)
    execution = Execution.objects.select_for_update(no_key=True).get(pk=order.bracket.execution_id)
    now_is = Order.objects.get(pk=order.pk)
    if (now_is.status, now_is.sent_at) != (order.status, order.sent_at):
        return False  # Sent, or heard of, since the questions were asked: the answers say nothing about it.
    if execution.claimed_at is None or execution.claimed_at != order.bracket.execution.claimed_at:
        return False  # Given back, or taken anew, since: it is to be sent, and not to be given up.
    evidence = (
        "The worker, or its line to the broker, was gone before the first byte; nothing was sent."
        if order.sent_at is None
        else f"Written ahead as order {order.order_id}, but the broker's complete answers of {asked_at:%H:%M:%S} UTC "
        f"({answers}) do not know it."
    )
    if order.sent_at is None:
        rest_tell(execution, order)
        execution.save(update_fields=["attention"])
    broker_event_record(
        AbsenceProved(
            dedupe_key=f"absence:{order.order_ref}",
            account=order.account.account_id,
            received_at=asked_at,
            order_ref=order.order_ref,
            evidence=evidence,
        ),
        now=asked_at,
    )
    if left_behind:
        cancels_write(
            orders=[order],
            execution_id=execution.pk,
            actor=Actor.RECONCILE,
            reason=CommandReason.LEFT_BEHIND,
            evidence={"order_id": order.order_id, "absent": evidence},
            now=asked_at,
        )
    return True


def _open_though_finished(
    open_orders: Sequence[OpenOrder], ours: Sequence[Order | None], *, before: datetime
) -> Iterable[Order]:
    """Return orders that were finished `before` the questions and are open at the broker all the same."""
    for open_order, order in zip(open_orders, ours, strict=True):
        if order is None or parse_order_ref(open_order.told.order_ref) is None:
            continue
        if OrderStatus(order.status) in TERMINAL and (order.finished_at or before) <= before:
            yield order


def _filled_without_deals(
    ours_open: Sequence[Order | None], completed: Sequence[OrderTold], ours: Sequence[Order | None]
) -> Iterable[Order]:
    """Return orders that finished before the deals were asked for, filled, and lack deals: only today's are told."""
    open_then = {order.pk for order in ours_open if order is not None}
    for told, order in zip(completed, ours, strict=True):
        if order is None or told.status is not ToldStatus.FILLED:
            continue
        if order.pk not in open_then and order.status != OrderStatus.FILLED.value:
            yield order


def _lacking_deals(account_id: str) -> Iterable[Order]:
    """Return the orders of which the broker's status messages say more than the deals that are known."""
    orders = Order.objects.filter(pk__in=of_account(orders_lacking_deals(), account_id)).order_by()
    return sorted(orders.prefetch_related("bracket"), key=attrgetter("pk"))


def _entries_without_stop(account_id: str, *, before: datetime) -> Iterable[Order]:
    """Return the filled entries whose stop was over `before` the questions, or is parked, with shares still held.

    Where closing takes the stop away, that is meant.
    """
    held = of_account(executions_held().filter(open_quantity__gt=0), account_id)
    bare: dict[int, Order] = {}
    for bracket_id, orders in groupby(orders_of_executions(held), key=attrgetter("bracket_id")):
        legs = list(orders)
        stop = next(leg for leg in legs if leg.leg == Leg.STOP_LOSS.value)
        over = stop.finished_at is not None and stop.finished_at <= before
        guarded = any(leg.leg == Leg.PROTECT.value and OrderStatus(leg.status) not in TERMINAL for leg in legs)
        if (over or stop.status == OrderStatus.INACTIVE.value) and open_quantity_of(legs) > 0 and not guarded:
            bare[bracket_id] = next(leg for leg in legs if leg.leg == Leg.ENTRY.value)
    brackets = Bracket.objects.filter(pk__in=bare).select_related("execution__account").prefetch_related("orders")
    return [bare[bracket.pk] for bracket in brackets if not is_flattening(bracket.execution, bracket)]


def _record_all(events: Sequence[AnyBrokerEvent], *, now: datetime, holding: Holding) -> set[int]:
    """Store and apply answers, many in one transaction; where that fails, each by itself. Return what changed."""
    changed: set[int] = set()
    named = [event for event in events if parse_order_ref(getattr(event, "order_ref", "")) is not None]
    # What carries no name of ours comes after, when the numbers of our orders are known: it locks hardly anything.
    rest = [event for event in events if parse_order_ref(getattr(event, "order_ref", "")) is None]
    for batch in (*batches(named, length=BATCH_MAX), *batches(rest, length=OTHERS_BATCH_MAX)):
        try:
            changed |= {pk for pk, _event in broker_events_record(batch, now=now, holding=holding)}
        except (IntegrityError, DataError, OperationalError) as error:  # The last: a deadlock with the recorder.
            logger.warning("answers_recorded_singly", count=len(batch), because=f"{type(error).__name__}: {error}")
            changed |= {pk for event in batch if (pk := _record(event, now=now, holding=holding)) is not None}
    return changed


def _record(event: AnyBrokerEvent, *, now: datetime, holding: Holding) -> int | None:
    """Store and apply one answer; one that cannot be applied is kept and flagged, and does not stop the others."""
    try:
        return broker_event_record(event, now=now, holding=holding)
    except (IntegrityError, DataError):
        logger.warning("answer_tried_again", dedupe_key=event.dedupe_key)
    try:  # Another thread stored the same event meanwhile: the second try finds it.
        return broker_event_record(event, now=now, holding=holding)
    except (IntegrityError, DataError) as error:
        broker_event_keep(event, because=f"{type(error).__name__}: {error}", now=now)
        return None
