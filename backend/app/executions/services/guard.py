"""Promise 2: every filled share has a working stop, or something is being done about it and a person is told.

    facts ── domain.protection ──> repairs ── written down under the execution's lock, with the reason ──> sent

A repair is an order like any other: leg PROTECT with its own `order_ref`, a row before the first byte. At most
`REPAIRS_MAX` per bracket and minute; then a person is asked and nothing more is done until the minute is over. Only
orders of ours, placed by this connection's client id, are touched; nothing is done on UNKNOWN.

The broker does much of this by itself (children wake, siblings are cancelled), a moment after it told the fill: a
repair is carried out when it has been due for `grace_seconds` without a change of the facts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from django.db import OperationalError, transaction

from app.accounts.fencing import fence_check
from app.accounts.statement_limit import is_held_up
from app.brokers.base import BlockingBroker
from app.brokers.errors import NotConnected
from app.core.errors import Conflict, RetryLater
from app.core.logging import bind_order, get_logger
from app.domain.close import Bareness, CloseStep
from app.domain.command import CommandReason
from app.domain.order_status import OrderStatus
from app.domain.protection import Coverage, Protection, Repair, RepairKind, assess
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news, selectors
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Execution, Order
from app.executions.open_rows import any_of, executions_held, of_account, orders_open
from app.executions.outbox import Outbox
from app.executions.services.attention import attention_add
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.close_facts import bareness_of, closing_step_of, is_flattening, keep_of
from app.executions.services.commands_send import cancels_send, changes_send, order_send
from app.executions.services.commands_write import cancels_write, change_write, place_of
from app.executions.services.connection_row import connection_of, holding_of, is_foreign
from app.executions.services.exits_settle import exits_settle
from app.executions.services.exposure import ANSWER_GOOD_SECONDS, exposure_doubts
from app.executions.services.guard_asks import left_to_a_person, person_ask
from app.executions.services.guard_orders import is_a_persons, protect_create, repair_discard, was_made_larger
from app.executions.services.guard_room import has_room_for_stop, no_room_for, room_make
from app.executions.services.guard_watch import ANSWER_SECONDS, ASK_AGAIN_SECONDS, Watch
from app.executions.services.guard_words import asked_sentence, protection_evidence
from app.executions.services.leg_facts import leg_facts
from app.executions.services.outbox_rows import OutboxRows

logger = get_logger(__name__)

# What the broker may still put right by itself. A stop that is certainly gone is replaced at once.
GRACE_SECONDS = {RepairKind.CANCEL_ENTRY: 0.5, RepairKind.RESIZE: 0.2, RepairKind.CANCEL: 0.5, RepairKind.ASK: 5.0}
# About how many symbols the account is asked at once before stops are placed, and for how long a look goes on so.
SYMBOLS_AT_ONCE = 2
PLACING_SECONDS_MAX = 1.0
# For how long an order may be in doubt before the broker is asked for it, and how often it is asked.
UNANSWERED_SECONDS = 2.0
_DOUBTS = {
    OrderStatus.SENT.value: (UNANSWERED_SECONDS, ANSWER_SECONDS),
    OrderStatus.PENDING_SUBMIT.value: (1.0, ASK_AGAIN_SECONDS),
    OrderStatus.INACTIVE.value: (1.0, ASK_AGAIN_SECONDS),
}
_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardLook:
    """What one look found: brackets judged, repairs carried out, whether only the broker can tell more.

    `again`: executions to look at again soon, because something is due unless the broker does it by itself. `closing`:
    those whose shares are without a stop because they are closed: the next step of that is due. `left`: stops are due
    that this look had no time for.
    """

    brackets: int = 0
    repaired: int = 0
    asks_broker: bool = False
    again: frozenset[int] = frozenset()
    closing: frozenset[int] = frozenset()
    left: bool = False


def execution_ids_to_guard(account_id: str) -> list[int]:
    """Return the executions of the account that hold shares, or have orders that are not finished."""
    brackets = any_of("executions_bracket.id", set(of_account(orders_open(), account_id, key="bracket_id")))
    unfinished = Bracket.objects.filter(brackets).order_by().values_list("execution_id", flat=True)
    found = {*of_account(executions_held(), account_id), *unfinished}
    taken = Execution.objects.filter(any_of("executions_execution.id", found), claimed_at__isnull=False).order_by()
    return sorted(taken.values_list("pk", flat=True))


def guard_look(*, execution_ids: Sequence[int], broker: BlockingBroker, watch: Watch, now: datetime) -> GuardLook:
    """Judge the brackets of these executions and carry out what is due. Never raises for one bracket's sake."""
    looked, to_judge, doubts = _needing(execution_ids, watch=watch, outbox=OutboxRows(broker=broker))
    found = _judge(to_judge - doubts.keys(), broker=broker, watch=watch, now=now)
    # What is certain was repaired first: it does not wait for the broker's answers about what is not.
    of_doubts = {order_pk: status for orders in doubts.values() for order_pk, status in orders.items()}
    _doubts_settle(of_doubts, broker=broker, watch=watch, now=now)
    in_doubt = _judge(to_judge & doubts.keys(), broker=broker, watch=watch, now=now)
    return GuardLook(
        brackets=looked,
        repaired=found.repaired + in_doubt.repaired,
        asks_broker=found.asks_broker or in_doubt.asks_broker,
        again=found.again | in_doubt.again,
        closing=found.closing | in_doubt.closing,
        left=found.left or in_doubt.left,
    )


def _judge(to_judge: set[int], *, broker: BlockingBroker, watch: Watch, now: datetime) -> GuardLook:
    """Judge the brackets of these executions, read anew, and carry out what is due."""
    asks_broker = False
    again: set[int] = set()
    closing: set[int] = set()
    due_now: list[_DueRepairs] = []
    if not to_judge:
        return GuardLook()
    for execution in selectors.with_orders(Execution.objects.filter(pk__in=to_judge).order_by("id")):
        for bracket in execution.brackets.all():
            if (step := closing_step_of(execution, bracket)) is not None:
                watch.forget(bracket.pk)  # Its exits are cancelled on purpose; a stop beside the CLOSE could fill too.
                if step is not CloseStep.WAIT and bareness_of(execution, bracket) is Bareness.BARE:
                    closing.add(execution.pk)
                continue
            protection = bracket_protection(bracket)
            if not protection.repairs and not protection.asks_broker:
                watch.forget(bracket.pk)
                continue
            age = watch.seconds(bracket.pk, (protection.coverage, protection.repairs))
            again.add(execution.pk)
            asks_broker = (protection.asks_broker and watch.may_ask(bracket.pk)) or asks_broker
            # We closed it: what is left of its exits goes with the closing fill, whatever the broker does by itself.
            is_closed = protection.coverage is Coverage.ORPHANED and keep_of(execution, bracket) is not None
            due = list(protection.repairs) if is_closed else _due(protection.repairs, age=age)
            if due and watch.may_act(bracket.pk):
                due_now.append(_DueRepairs(execution, bracket, due, age=age))
    done = _carry_out_all(due_now, broker=broker, watch=watch, now=now)
    return replace(
        done, asks_broker=asks_broker or done.asks_broker, again=frozenset(again), closing=frozenset(closing)
    )


class _DueRepairs(NamedTuple):
    execution: Execution
    bracket: Bracket
    repairs: list[Repair]
    age: float  # For how many seconds it has needed them.

    @property
    def asks_first(self) -> bool:
        """Whether the account is asked before all of it is done."""
        return any(_asks_first(repair, self.bracket) for repair in self.repairs)


def _carry_out_all(due_now: Sequence[_DueRepairs], *, broker: BlockingBroker, watch: Watch, now: datetime) -> GuardLook:
    """Carry out what is due; return what was done, and whether the account may not hold some shares.

    The account is asked before a stop is placed, which opens a position where the shares are not ours any more, and
    before an exit is cut that is larger than its entry was, because the shares may have been split: for a few symbols
    at once, whoever has been without a stop for longest first. What needs no question goes before. What comes later
    than the answer is good for, and further symbols after a while, is left to the next look.
    """
    repaired, asks_broker, left = 0, False, False
    for each in due_now:
        if not each.asks_first:
            watch.note_acted(each.bracket.pk)
            repaired += _carry_out(each.execution, each.bracket, each.repairs, broker=broker, watch=watch, now=now)
    asking = sorted((each for each in due_now if each.asks_first), key=attrgetter("age"), reverse=True)
    begun = watch.monotonic()
    for together in _by_symbols(asking):
        left = left or watch.monotonic() - begun > PLACING_SECONDS_MAX
        if left:
            break
        doubtful = exposure_doubts(
            executions={each.execution.pk: each.execution for each in together}.values(), broker=broker, now=now
        )
        asks_broker = asks_broker or bool(doubtful)
        asked_at = watch.monotonic()
        for each in together:
            left = watch.monotonic() - asked_at > ANSWER_GOOD_SECONDS
            if left:
                break
            watch.note_acted(each.bracket.pk)
            is_sure = each.execution.pk not in doubtful
            allowed = [one for one in each.repairs if is_sure or not _asks_first(one, each.bracket)]
            repaired += _carry_out(each.execution, each.bracket, allowed, broker=broker, watch=watch, now=now)
    return GuardLook(repaired=repaired, asks_broker=asks_broker, left=left)


def _by_symbols(asking: Sequence[_DueRepairs]) -> Iterable[list[_DueRepairs]]:
    """Return all of a few symbols together: each of them is asked for by itself, one after the other."""
    symbols = list(dict.fromkeys(each.execution.symbol for each in asking))
    for first in range(0, len(symbols), SYMBOLS_AT_ONCE):
        some = symbols[first : first + SYMBOLS_AT_ONCE]
        yield [each for each in asking if each.execution.symbol in some]


def _due(repairs: Sequence[Repair], *, age: float) -> list[Repair]:
    """Return what is due by now. Where a stop has to be placed at once, the rest of its entry goes at once too."""
    at_once = {RepairKind.CANCEL_ENTRY} if _places(repairs) else set()
    return [one for one in repairs if one.kind in at_once or age >= GRACE_SECONDS.get(one.kind, 0.0)]


def _places(repairs: Iterable[Repair]) -> bool:
    return any(repair.kind in (RepairKind.PLACE_STOP, RepairKind.SEND) for repair in repairs)


def _asks_first(repair: Repair, bracket: Bracket) -> bool:
    """Say whether the account is asked before this: it places a stop, or cuts an exit that somebody has made larger."""
    return _places([repair]) or (repair.kind is RepairKind.RESIZE and was_made_larger(bracket, repair.key))


def _doubts_settle(doubts: Mapping[int, str], *, broker: BlockingBroker, watch: Watch, now: datetime) -> None:
    """Ask the broker for the orders, given with their statuses, of which only its answers tell whether they live."""
    due = []
    for order_pk, status in doubts.items():
        after, every = _DOUBTS.get(status, (0.0, ANSWER_SECONDS))
        due += [order_pk] if watch.may_settle(order_pk, after=after, every=every) else []
    if not due:
        return
    try:
        exits_settle(order_pks=due, broker=broker, now=now, may_send=watch.sent_again.take)
    except (NotConnected, RetryLater, Conflict) as error:
        logger.warning("exits_not_settled", reason=error.code)


def _needing(
    execution_ids: Sequence[int], *, watch: Watch, outbox: Outbox
) -> tuple[int, set[int], dict[int, dict[int, str]]]:
    """Return how many brackets there are, the executions of those that need something, and the exits in doubt.

    The exits by execution, with their statuses. Nearly all need nothing, and stand as they stood a second ago: to read
    each whole, or to judge it again, every second, would take the time of those that do.
    """
    looked, needing, doubts = 0, set(), dict[int, dict[int, str]]()
    for execution_id, bracket_id, rows in outbox.legs(execution_ids):
        looked += 1
        if watch.stands_as_it_stood(bracket_id, rows):
            continue
        legs = [leg_facts(row) for row in rows]
        protection = assess(legs)
        if protection.in_doubt:
            of_it = doubts.setdefault(execution_id, {})
            of_it |= {leg.key: leg.status for leg in legs if leg.key in protection.in_doubt}
        if protection.repairs or protection.asks_broker:
            needing.add(execution_id)
        else:
            watch.forget(bracket_id)
            if not protection.in_doubt:
                watch.note_quiet(bracket_id, rows)
    return looked, needing, doubts


def bracket_protection(bracket: Bracket) -> Protection:
    """Judge a bracket whose orders were read."""
    return assess(leg_facts(order) for order in bracket.orders.all())


def _carry_out(
    execution: Execution,
    bracket: Bracket,
    due: Iterable[Repair],
    *,
    broker: BlockingBroker,
    watch: Watch,
    now: datetime,
) -> int:
    done = 0
    with bind_order(execution=execution.pk):
        for repair in due:
            try:
                written = _write_down(execution.pk, bracket.pk, repair, broker=broker, now=now)
                if written is not None:
                    kind, order_pk = written
                    _send(
                        kind,
                        order_pk=order_pk,
                        replaces=repair.cancels,
                        execution_id=execution.pk,
                        broker=broker,
                        now=now,
                    )
                    done += 1
            except (NotConnected, RetryLater, Conflict) as error:
                # Nothing is lost: what is still needed is found again at the next look.
                logger.warning("repair_not_sent", kind=repair.kind.value, reason=error.code)
            except OperationalError as error:
                if not is_held_up(error):
                    raise
                watch.held_up = f"execution {execution.pk}: {str(error).strip()}"
                logger.warning("repair_held_up", kind=repair.kind.value, error=str(error).strip())
    return done


@transaction.atomic
def _write_down(
    execution_id: int, bracket_id: int, repair: Repair, *, broker: BlockingBroker, now: datetime
) -> tuple[RepairKind, int] | None:
    """Judge again under the lock and write down the repair, or what has to come before it.

    Return what is to be sent, and of which order; None where nothing is due.
    """
    holder = connection_of(broker)
    fence_check(holder, fence=broker.fence)
    executions = Execution.objects.select_related("account").select_for_update(no_key=True, of=("self",))
    execution = executions.get(pk=execution_id)
    bracket = Bracket.objects.prefetch_related("orders").get(pk=bracket_id)
    protection = bracket_protection(bracket)
    # Looked at again under the lock: somebody may have asked for closing it since.
    if repair not in protection.repairs or is_flattening(execution, bracket) or is_a_persons(repair, bracket_id):
        return None
    order = next((order for order in bracket.orders.all() if order.pk == repair.key), None)
    lacks_room = _places([repair]) and not has_room_for_stop(bracket, now=now)
    if left_to_a_person(execution, bracket, repair, order=order, lacks_room=lacks_room, holder=holder, now=now):
        return None
    if lacks_room:
        of_tranche = f"tranche {bracket.tranche}: {repair.reason}"
        giving = room_make(execution, bracket, holder=holder, reason=of_tranche, now=now)
        if giving is None:
            person_ask(execution, f"{of_tranche}, and {no_room_for(bracket)}", now=now)
        return (RepairKind.CANCEL, giving.pk) if giving is not None else None
    if repair.kind is RepairKind.PLACE_STOP:
        order = protect_create(execution, bracket, quantity=repair.quantity or Decimal(0))
        place_of([order], actor=Actor.GUARD, reason=CommandReason.BARE_SHARES, now=now).save()
        attention_add(execution, asked_sentence(bracket, order, now=now), code=FlagCode.STOP_GONE)
    targets = [leg for leg in bracket.orders.all() if leg.pk in repair.cancels]
    for target in targets:
        foreign = f"only client id {target.client_id} can cancel it"
        can = foreign if is_foreign(target, holder) else "its cancel was asked for"
        unlinked = f"{target.order_ref}: {can}; nothing links it with the stop that was asked for"
        attention_add(execution, unlinked, code=FlagCode.TARGET_UNLINKED)
    execution.save(update_fields=["attention"])
    if order is None:
        raise AssertionError(f"{repair} is about no order")
    decision_record(
        actor=Actor.GUARD,
        action=repair.kind.value,
        reason=repair.reason,
        evidence=protection_evidence(protection, bracket) | {"cancels": [target.order_ref for target in targets]},
        account=execution.account,
        execution=execution,
        bracket=bracket,
        order=order,
        now=now,
    )
    _command_write(repair, order, execution=execution, now=now)
    news.publish_on_commit(execution.pk)
    return repair.kind, order.pk


def _command_write(repair: Repair, order: Order, *, execution: Execution, now: datetime) -> None:
    """Write down what is to be sent about an order that exists."""
    if repair.kind is RepairKind.CANCEL:
        left = CommandReason.EXIT_LEFT
        cancels_write(orders=[order], execution_id=execution.pk, actor=Actor.GUARD, reason=left, now=now)
    if repair.kind is RepairKind.RESIZE and repair.quantity is not None:
        change_write(
            order=order,
            execution=execution,
            change={"quantity": repair.quantity},
            actor=Actor.GUARD,
            reason=CommandReason.RESIZED,
            now=now,
        )
    if repair.kind is RepairKind.DISCARD:
        repair_discard(order, account_id=order.account.account_id, reason=repair.reason, now=now)


def _send(
    kind: RepairKind,
    *,
    order_pk: int,
    replaces: Sequence[int],
    execution_id: int,
    broker: BlockingBroker,
    now: datetime,
) -> None:
    if kind in (RepairKind.PLACE_STOP, RepairKind.SEND):
        order_send(order_pk=order_pk, broker=broker, replaces=list(Order.objects.filter(pk__in=replaces)))
    elif kind is RepairKind.CANCEL_ENTRY:
        execution_cancel_request(
            execution_id=execution_id,
            reason=CommandReason.STOP_LOST,
            actor=Actor.GUARD,
            holding=holding_of(broker),
            now=now,
        )
        execution_cancel_send(execution_id=execution_id, broker=broker, now=now)
    elif kind is RepairKind.CANCEL:
        left = Order.objects.get(pk=order_pk)
        cancels_send(execution_id=execution_id, orders=[left], broker=broker, now=now)
    elif kind is RepairKind.RESIZE:
        cut = Order.objects.get(pk=order_pk)
        changes_send(execution_id=execution_id, orders=[cut], broker=broker, now=now)
