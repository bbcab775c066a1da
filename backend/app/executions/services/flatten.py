"""Close what is held, or a part of it: one step after the other, each after the broker's word about the last.

    wish (rows) ──> facts ── domain.close ──> step ── written down under the lock ──> sent by commands_send
                       └───────────── the broker's word <────────────────────────────────┘

The wish is a row of each bracket: to how many open shares it is to be reduced. The next step is taken at once where the
broker has spoken of shares that have no stop meanwhile, and every second by the sweep. A CLOSE that the broker refuses
is sent anew, at most `CLOSES_MAX` times; then a person is asked, and the guard protects what is held again.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from app.accounts.fencing import Holding, fence_require, fence_require_of
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.core.errors import RetryLater
from app.core.logging import bind_order, get_logger
from app.domain.broker_events import AbsenceProved
from app.domain.close import CLOSES_MAX, CloseFacts, ClosePlan, CloseStep, gives_up_a_stop, plan_close
from app.domain.command import CommandReason
from app.domain.order_ref import OrderRef
from app.domain.order_status import OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg, OrderType, TimeInForce
from app.executions import dispatch, news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, BrokerEvent, Decision, Execution, Order, open_quantity_of
from app.executions.services.apply import broker_event_record
from app.executions.services.attention import attention_add
from app.executions.services.close_facts import close_facts, keep_of
from app.executions.services.close_wish import wish_end
from app.executions.services.closes_refused import others_refused, stop_kept
from app.executions.services.commands_send import cancels_send, changes_send, order_send
from app.executions.services.commands_write import cancels_write, change_write, place_of
from app.executions.services.connection_row import connection_of, holding_of
from app.executions.services.exits_settle import exits_settle
from app.executions.services.exposure import ANSWER_GOOD_SECONDS, exposure_doubts
from app.executions.services.tranches_net import tranches_net

logger = get_logger(__name__)

POSITION_IN_DOUBT = "position_in_doubt"  # The code of a close that waits until the account was asked once more.
CLOSES_REFUSED = "closes_refused"  # Of one that waits with its stop, because the broker refuses those of others.
_WAITS = {
    POSITION_IN_DOUBT: (
        FlagCode.CLOSE_WAITS,
        (
            "it is to be closed and waits: the account may not hold it. It is closed once the account's position "
            "agrees; if it does not, look at TWS and settle the difference (resolve)"
        ),
    ),
    CLOSES_REFUSED: (
        FlagCode.CLOSES_REFUSED,
        (
            "it is to be closed and waits, with its stop: the broker refuses the orders that close other positions. "
            "One is tried every half minute; read why they were refused, or close it in TWS"
        ),
    ),
}
FLATTEN, CLOSE_REQUESTED = "FLATTEN", "CLOSE_REQUESTED"  # The decisions that begin it.


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosingAnswer:
    """What the broker said of the account a moment ago: `doubts` are executions of which nothing may be closed.

    `asked` are those it was asked about; `events_to` is the last event that was stored when it was: what is stored
    since, the answer need not know.
    """

    asked: frozenset[int]
    doubts: frozenset[int]
    events_to: int
    asked_at: float  # by a clock that no jump of the machine's moves, in seconds

    @property
    def is_young(self) -> bool:
        """Whether something may still be sent by it."""
        return time.monotonic() - self.asked_at < ANSWER_GOOD_SECONDS

    def is_good_for(self, execution_id: int) -> bool:
        """Say whether it is about the execution and young, and nothing was told since: an exit may have filled."""
        if execution_id not in self.asked or not self.is_young:
            return False
        return not BrokerEvent.objects.filter(execution=execution_id, id__gt=self.events_to).exists()


@dataclass(slots=True)
class _Due:
    """What is to be sent next: cancels and changes of these orders, and these orders themselves."""

    cancels: list[Order] = field(default_factory=list)
    changes: list[Order] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    keeps: bool = False  # a stop for now, because the broker refuses what closes other positions


@transaction.atomic
def execution_flatten_request(
    *,
    execution_id: int,
    actor: Actor,
    user: User | None,
    reason: str,
    now: datetime,
    holding: Holding | None = None,
) -> bool:
    """Note that what the execution holds is to be closed at the market, and have it done; say whether that is new.

    With `holding`, of a worker that asks for it by itself, raises Fenced.
    """
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    fence_require_of(holding)
    if execution.flatten_requested_at is not None or execution.is_finished:
        return False
    execution.flatten_requested_at = now
    execution.save(update_fields=["flatten_requested_at"])
    execution.brackets.update(keep_quantity=0, close_limit_price=None, close_tries=0)
    decision_record(
        actor=actor,
        user=user,
        action=FLATTEN,
        reason=reason,
        evidence={"open_quantity": str(execution.open_quantity)},
        account=execution.account,
        execution=execution,
        now=now,
    )
    dispatch.flatten_on_commit(execution.pk)
    news.publish_on_commit(execution.pk)
    return True


def closing_ask(*, execution_ids: Iterable[int], broker: BlockingBroker, now: datetime) -> ClosingAnswer:
    """Ask the broker once about all shares of these executions that are to be closed: are they still held?"""
    events_to = BrokerEvent.objects.order_by("-id").values_list("pk", flat=True).first() or 0
    asked_at = time.monotonic()
    asked = frozenset(execution_ids)
    held = Execution.objects.filter(pk__in=asked).exclude(open_quantity=0)
    closing = [one for one in held if any(keep_of(one, bracket) is not None for bracket in one.brackets.all())]
    doubts = exposure_doubts(executions=closing, broker=broker, now=now) if closing else frozenset[int]()
    return ClosingAnswer(asked=asked, doubts=doubts, events_to=events_to, asked_at=asked_at)


def execution_flatten_send(
    *, execution_id: int, broker: BlockingBroker, now: datetime, answer: ClosingAnswer | None = None
) -> int:
    """Take the next step of closing; return how many messages were sent. Safe to repeat and to call at any time.

    `answer` is one that was asked for with others; the broker is asked anew where it is not good enough.

    Raises NotConnected, QueueFull, OrderIdTooLow, RetryLater where nothing was sent (`position_in_doubt`: ask
    the broker for everything first; `closes_refused`: it keeps its stop, because the broker refuses what closes other
    positions); BrokerTimeout where it is unknown.
    """
    connection = connection_of(broker)
    with bind_order(execution=execution_id):
        if answer is None or not answer.is_good_for(execution_id):
            answer = closing_ask(execution_ids=[execution_id], broker=broker, now=now)
        if execution_id in answer.doubts:
            raise RetryLater("The account may not hold what is to be closed.", code=POSITION_IN_DOUBT)
        if not exits_settle(order_pks=_refused_exits(execution_id), broker=broker, now=now):
            raise RetryLater("It is not known whether an exit that was refused lives.", code=POSITION_IN_DOUBT)
        due = _write_down(execution_id, connection=connection, holding=holding_of(broker), now=now)
        sent = changes_send(execution_id=execution_id, orders=due.changes, broker=broker, now=now)
        sent += cancels_send(execution_id=execution_id, orders=due.cancels, broker=broker, now=now)
        for order_pk in due.places:
            order_send(order_pk=order_pk, broker=broker)
        if due.keeps and not sent and not due.places:
            raise RetryLater("The broker refuses the orders that close other positions.", code=CLOSES_REFUSED)
    return sent + len(due.places)


@transaction.atomic
def flatten_wait_tell(*, execution_id: int, reason: str, holding: Holding) -> None:
    """Tell a person that closing waits, and why; once. Raises Fenced."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    fence_require(holding)
    code, text = _WAITS[reason]
    attention_add(execution, text, code=code)
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)


def _refused_exits(execution_id: int) -> list[int]:
    """Return the exits that were refused, which may live all the same: beside a CLOSE they would close it twice."""
    refused = Order.objects.filter(status=OrderStatus.REJECTED, refusal_proved=False).exclude(leg=Leg.ENTRY)
    of_it = refused.filter(bracket__execution=execution_id).select_related("bracket__execution")
    return [order.pk for order in of_it if keep_of(order.bracket.execution, order.bracket) is not None]


@transaction.atomic
def _write_down(execution_id: int, *, connection: BrokerConnection, holding: Holding, now: datetime) -> _Due:
    """Decide the next step under the lock, and write down what it places, changes and cancels. Raises Fenced."""
    due = _Due()
    fence_require(holding)
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    if execution.is_finished:
        return due
    tranches_net(execution, now=now)
    brackets = Bracket.objects.filter(execution=execution).prefetch_related("orders").order_by("tranche")
    if all(keep_of(execution, bracket) is None for bracket in brackets):
        return due
    asked = Decision.objects.filter(execution=execution, action__in=(FLATTEN, CLOSE_REQUESTED)).last()
    actor = Actor(asked.actor) if asked else Actor.KILL_SWITCH
    steps = {_bracket_due(due, execution, bracket, connection=connection, actor=actor, now=now) for bracket in brackets}
    due.keeps = CloseStep.KEEP in steps
    if steps <= {CloseStep.NOTHING}:
        execution.close_requested_at = None
    elif steps <= {CloseStep.NOTHING, CloseStep.GIVE_UP}:
        wish_end(execution)  # Who wants it closed all the same asks anew.
    execution.save(update_fields=["attention", "close_requested_at", "flatten_requested_at"])
    return due


def _plan(facts: CloseFacts, execution: Execution, *, now: datetime) -> ClosePlan:
    """Return the next step; while the broker refuses what closes other positions none that takes a stop away.

    And not a second order for what lost its stop all the same: it gets a stop again.
    """
    plan = plan_close(facts)
    if gives_up_a_stop(plan, facts) and stop_kept(execution, now=now):
        return ClosePlan(step=CloseStep.KEEP)
    if plan.step is CloseStep.CLOSE and facts.tries and others_refused(execution, now=now):
        return ClosePlan(step=CloseStep.GIVE_UP)
    return plan


def _bracket_due(
    due: _Due, execution: Execution, bracket: Bracket, *, connection: BrokerConnection, actor: Actor, now: datetime
) -> CloseStep:
    """Write down the next step for a bracket, and return it."""
    facts = close_facts(execution, bracket, connection=connection)
    if facts is None:
        return CloseStep.NOTHING
    orders = {order.pk: order for order in bracket.orders.all()}
    plan = _plan(facts, execution, now=now)
    named = [orders[key] for key in plan.keys]
    if plan.step is CloseStep.NOTHING:
        _end(bracket)
    elif plan.step is CloseStep.SEND:
        due.places += plan.keys
    elif plan.step is CloseStep.DISCARD:
        _discard_unsent(bracket, execution, now=now)
    elif plan.step is CloseStep.MOVE_TARGET:
        target, price = named[0], facts.limit_price
        change = {"order_type": OrderType.MARKET} if price is None else {"limit_price": price}
        change_write(
            order=target, execution=execution, change=change, actor=actor, reason=CommandReason.CLOSING, now=now
        )
        due.changes.append(target)
    elif plan.step in (CloseStep.JOIN, CloseStep.CLOSE):
        _discard_unsent(bracket, execution, now=now)
        due.places.append(_close_create(execution, bracket, plan, actor=actor, now=now))
    elif plan.step in (CloseStep.CANCEL, CloseStep.CUT):
        _discard_unsent(bracket, execution, now=now)
        for key, quantity in plan.sizes:
            wanted = {"quantity": quantity}
            change_write(
                order=orders[key],
                execution=execution,
                change=wanted,
                actor=actor,
                reason=CommandReason.CLOSING,
                now=now,
            )
            due.changes.append(orders[key])
        cancels_write(orders=named, execution_id=execution.pk, actor=actor, reason=CommandReason.CLOSING, now=now)
        due.cancels += named
    elif plan.step is CloseStep.FOREIGN:
        for order in named:
            attention_add(
                execution,
                f"{order.order_ref}: only client id {order.client_id}, which placed it, can cancel it",
                code=FlagCode.NOT_OURS_TO_CHANGE,
            )
    elif plan.step is CloseStep.GIVE_UP:
        _give_up(execution, bracket)
    return plan.step


def _give_up(execution: Execution, bracket: Bracket) -> None:
    """Tell a person. The guard protects the shares again from here on; to cancel its stop would leave them naked."""
    if bracket.close_limit_price is not None:
        price = f"{bracket.close_limit_price.normalize():f}"
        attention_add(
            execution,
            f"tranche {bracket.tranche}: it cannot be closed at {price}: no target at work could be moved",
            code=FlagCode.CLOSE_FAILED,
        )
        _end(bracket, whole=True)
        return
    orders = list(bracket.orders.all())
    tried, held = sum(order.leg == Leg.CLOSE.value for order in orders), open_quantity_of(orders)
    orders_text = "1 order" if tried == 1 else f"{tried} orders"
    attention_add(
        execution,
        f"tranche {bracket.tranche}: {orders_text} to close {held.normalize():f} shares failed",
        code=FlagCode.CLOSE_FAILED,
    )
    # Also where it was given up earlier than by its own failures: who looks at it next must not try again.
    Bracket.objects.filter(pk=bracket.pk).update(close_tries=max(bracket.close_tries, CLOSES_MAX))


def _end(bracket: Bracket, *, whole: bool = False) -> None:
    """Note that closing is over, so that later shares are not closed. What is closed wholly stays to be closed."""
    if bracket.keep_quantity or bracket.close_limit_price is not None or whole:
        Bracket.objects.filter(pk=bracket.pk).update(keep_quantity=None, close_limit_price=None, close_tries=0)


def _close_create(execution: Execution, bracket: Bracket, plan: ClosePlan, *, actor: Actor, now: datetime) -> int:
    """Write down the CLOSE for what is to be closed; return its key."""
    orders = list(bracket.orders.all())
    own_stop = next(order for order in orders if order.leg == Leg.STOP_LOSS.value)
    number = 1 + sum(order.leg == Leg.CLOSE.value for order in orders)
    ref = OrderRef(execution_key=execution.key, tranche=bracket.tranche, leg=Leg.CLOSE, number=number)
    order = Order.objects.create(
        account=execution.account,
        bracket=bracket,
        leg=Leg.CLOSE.value,
        order_ref=str(ref),
        action=own_stop.action,
        order_type=OrderType.MARKET.value,
        quantity=plan.quantity,
        time_in_force=TimeInForce.DAY.value,
        oca_group=plan.group,
        oca_type=plan.group_type,
    )
    Bracket.objects.filter(pk=bracket.pk).update(close_tries=bracket.close_tries + 1)
    place_of([order], actor=actor, reason=CommandReason.CLOSING, now=now).save()
    how = f"it joins the group of its exits, {plan.group}" if plan.group else "no exit could close them beside it"
    decision_record(
        actor=actor,
        action="CLOSE",
        reason=f"{plan.quantity.normalize():f} shares are closed at the market; {how}.",
        evidence={
            "held": str(open_quantity_of(orders)),
            "road": plan.step.value,
            "orders": [
                {"order_ref": o.order_ref, "status": o.status, "filled": str(o.filled_quantity)} for o in orders
            ],
        },
        account=execution.account,
        execution=execution,
        bracket=bracket,
        order=order,
        now=now,
    )
    return order.pk


def _discard_unsent(bracket: Bracket, execution: Execution, *, now: datetime) -> None:
    """End the exits that were written down and never sent."""
    for order in bracket.orders.all():
        if order.status != OrderStatus.CREATED.value or order.leg == Leg.ENTRY.value:
            continue
        broker_event_record(
            AbsenceProved(
                dedupe_key=f"absence:{order.order_ref}:flatten",
                account=execution.account.account_id,
                received_at=now,
                order_ref=order.order_ref,
                evidence="It was not sent: the position is being closed.",
            ),
            now=now,
        )
        execution.refresh_from_db(fields=["attention"])  # What the event may have added is not written over.
