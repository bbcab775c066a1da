"""Close a position of ours at the market: first its exits out of the way, then one CLOSE for exactly what is held.

    wish (a row) ── exits still open ──> cancel them, wait for the broker's word
                 └─ none is open     ──> leg CLOSE, a market order for entry's fills - exits' fills

Never both at once: a stop that fills beside the CLOSE would turn the position round. Between the two the shares have
no stop, for the moment that the broker takes to confirm a cancel. A CLOSE that the broker refuses is sent anew, at most
`CLOSES_MAX` times; then a person is asked, and the guard protects what is held again.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.core.errors import RetryLater
from app.core.logging import bind_order
from app.domain.broker_events import AbsenceProved
from app.domain.command import CommandReason
from app.domain.order_ref import OrderRef
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OrderType, TimeInForce
from app.executions import dispatch, news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Execution, Order, open_quantity_of
from app.executions.services.apply import broker_event_record
from app.executions.services.attention import attention_add
from app.executions.services.commands_send import cancels_send, connection_of, is_foreign, order_send
from app.executions.services.commands_write import cancels_write, place_of
from app.executions.services.exits_settle import exits_settle
from app.executions.services.exposure import exposure_doubts

CLOSES_MAX = 3
POSITION_IN_DOUBT = "position_in_doubt"  # The code of a close that waits until the account was asked once more.


@dataclass(slots=True)
class _Due:
    """What a bracket needs next: cancels of these orders, and these orders sent."""

    cancels: list[Order] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


@transaction.atomic
def execution_flatten_request(
    *, execution_id: int, actor: Actor, user: User | None, reason: str, now: datetime
) -> bool:
    """Note that what the execution holds is to be closed, and have it done; say whether that is new."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    if execution.flatten_requested_at is not None or execution.is_finished:
        return False
    execution.flatten_requested_at = now
    execution.save(update_fields=["flatten_requested_at"])
    decision_record(
        actor=actor,
        user=user,
        action="FLATTEN",
        reason=reason,
        evidence={"open_quantity": str(execution.open_quantity)},
        account=execution.account,
        execution=execution,
        now=now,
    )
    dispatch.flatten_on_commit(execution.pk)
    news.publish_on_commit(execution.pk)
    return True


def execution_flatten_send(*, execution_id: int, broker: BlockingBroker, now: datetime) -> int:
    """Take the next step of closing; return how many messages were sent. Safe to repeat and to call at any time.

    Raises NotConnected, QueueFull, OrderIdTooLow, RetryLater where nothing was sent (`position_in_doubt`: ask
    the broker for everything first); BrokerTimeout where it is unknown.
    """
    connection = connection_of(broker)
    with bind_order(execution=execution_id):
        if _may_not_hold_it(execution_id, broker=broker, now=now):
            raise RetryLater("The account may not hold what is to be closed.", code=POSITION_IN_DOUBT)
        if not exits_settle(order_pks=_refused_exits(execution_id), broker=broker, now=now):
            raise RetryLater("It is not known whether an exit that was refused lives.", code=POSITION_IN_DOUBT)
        due = _write_down(execution_id, connection=connection, fence=broker.fence, now=now)
        cancelled = cancels_send(execution_id=execution_id, orders=due.cancels, broker=broker, now=now)
        for order_pk in due.places:
            order_send(order_pk=order_pk, broker=broker)
    return cancelled + len(due.places)


@transaction.atomic
def flatten_wait_tell(*, execution_id: int) -> None:
    """Tell a person that closing waits, because the account may not hold what is to be closed; once."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    attention_add(
        execution,
        "it is to be closed and waits: the account may not hold it. It is closed once the account's position agrees; "
        "if it does not, look at TWS and settle the difference (resolve)",
    )
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)


def _refused_exits(execution_id: int) -> list[int]:
    """Return the exits that were refused, which may live all the same: beside a CLOSE they would close it twice."""
    refused = Order.objects.filter(status=OrderStatus.REJECTED, refusal_proved=False).exclude(leg=Leg.ENTRY)
    of_it = refused.filter(bracket__execution=execution_id, bracket__execution__flatten_requested_at__isnull=False)
    return list(of_it.values_list("pk", flat=True))


def _may_not_hold_it(execution_id: int, *, broker: BlockingBroker, now: datetime) -> bool:
    """Say whether what is to be closed may not be held any more: to sell it would open a position."""
    execution = Execution.objects.filter(pk=execution_id).exclude(open_quantity=0).first()
    if execution is None or execution.flatten_requested_at is None:
        return False
    return bool(exposure_doubts(executions=[execution], broker=broker, now=now))


def is_flattening(execution: Execution, bracket: Bracket) -> bool:
    """Say whether this bracket, whose orders were read, is being closed: so that nobody places a stop beside it."""
    wanted = execution.flatten_requested_at is not None and open_quantity_of(list(bracket.orders.all())) > 0
    return wanted and len(_closes(bracket)) < CLOSES_MAX + _still_open(bracket)


@transaction.atomic
def _write_down(execution_id: int, *, connection: BrokerConnection, fence: int, now: datetime) -> _Due:
    """Decide the next step under the lock, and write down what it places. Raises Fenced."""
    due = _Due()
    fence_require(Holding(connection_id=connection.pk, fence=fence))
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    if execution.flatten_requested_at is None or execution.is_finished:
        return due
    for bracket in Bracket.objects.filter(execution=execution).prefetch_related("orders").order_by("tranche"):
        _bracket_due(due, execution, bracket, connection=connection, now=now)
    cancels_write(
        orders=due.cancels, execution_id=execution_id, actor=Actor.KILL_SWITCH, reason=CommandReason.CLOSING, now=now
    )
    execution.save(update_fields=["attention"])
    return due


def _bracket_due(
    due: _Due, execution: Execution, bracket: Bracket, *, connection: BrokerConnection, now: datetime
) -> None:
    orders = list(bracket.orders.all())
    entry = next(order for order in orders if order.leg == Leg.ENTRY.value)
    if not _is_over(entry) or open_quantity_of(orders) <= 0:
        return  # An entry that may still fill is cancelled first; what is not held needs no closing.
    if any(order.told_filled > order.filled_quantity for order in orders):
        return  # An exit has closed more than its deals say: what is held is known once they are told.
    if any(o.leg != Leg.ENTRY and o.status == OrderStatus.REJECTED and not o.refusal_proved for o in orders):
        return  # Refused since it was asked for: it may live.
    open_exits = [order for order in orders if order is not entry and not _is_over(order)]
    closing = [order for order in open_exits if order.leg == Leg.CLOSE.value]
    unsent = [order for order in open_exits if order.status == OrderStatus.CREATED.value]
    if closing:
        due.places += [order.pk for order in closing if order in unsent]
        return
    tried, held = len(_closes(bracket)), open_quantity_of(orders)
    if tried >= CLOSES_MAX:
        # The guard protects the shares again from here on; to cancel its stop would leave them naked.
        attention_add(
            execution, f"tranche {bracket.tranche}: {tried} orders to close {held.normalize():f} shares failed"
        )
        return
    for order in unsent:
        _discard(order, execution, now=now)
    left = [order for order in open_exits if order not in unsent]
    foreign = [order for order in left if is_foreign(order, connection)]
    for order in foreign:
        attention_add(execution, f"{order.order_ref}: only client id {order.client_id}, which placed it, can cancel it")
    due.cancels += [o for o in left if o not in foreign and o.status != OrderStatus.PENDING_CANCEL.value]
    if not left:
        due.places += _close_create(execution, bracket, orders, now=now)


def _close_create(execution: Execution, bracket: Bracket, orders: list[Order], *, now: datetime) -> list[int]:
    """Write down the CLOSE for what is held; return its key."""
    tried, held = len(_closes(bracket)), open_quantity_of(orders)
    own_stop = next(order for order in orders if order.leg == Leg.STOP_LOSS.value)
    ref = OrderRef(execution_key=execution.key, tranche=bracket.tranche, leg=Leg.CLOSE, number=tried + 1)
    order = Order.objects.create(
        account=execution.account,
        bracket=bracket,
        leg=Leg.CLOSE.value,
        order_ref=str(ref),
        action=own_stop.action,
        order_type=OrderType.MARKET.value,
        quantity=held,
        time_in_force=TimeInForce.DAY.value,
    )
    place_of([order], actor=Actor.KILL_SWITCH, reason=CommandReason.CLOSING, now=now).save()
    decision_record(
        actor=Actor.KILL_SWITCH,
        action="CLOSE",
        reason=f"{held.normalize():f} shares are closed at the market; every other exit is over.",
        evidence={
            "held": str(held),
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
    return [order.pk]


def _discard(order: Order, execution: Execution, *, now: datetime) -> None:
    """End an exit that was written down and never sent."""
    because = "It was not sent: the position is being closed."
    broker_event_record(
        AbsenceProved(
            dedupe_key=f"absence:{order.order_ref}:flatten",
            account=execution.account.account_id,
            received_at=now,
            order_ref=order.order_ref,
            evidence=because,
        ),
        now=now,
    )
    execution.refresh_from_db(fields=["attention"])  # What the event may have added is not written over.


def _closes(bracket: Bracket) -> list[Order]:
    return [order for order in bracket.orders.all() if order.leg == Leg.CLOSE.value]


def _still_open(bracket: Bracket) -> int:
    return sum(not _is_over(order) for order in _closes(bracket))


def _is_over(order: Order) -> bool:
    return OrderStatus(order.status) in TERMINAL
