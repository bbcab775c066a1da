"""The up road: store what the broker told, then let the table say what it means.

    event ──> BrokerEvent row (a duplicate stops here) ──> lock the execution ──> transition ──> Fill | Commission
          ──> recompute order and execution ──> commit ──> news

All in one transaction: an event is either stored and applied, or neither, and telling it again changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.core.logging import bind_order, get_logger
from app.domain.broker_events import (
    AbsenceProved,
    AnyBrokerEvent,
    ClosedElsewhere,
    CommissionTold,
    DealUnreadable,
    FillEntered,
    FillTold,
    OrderMessageTold,
    OrderTold,
    OverProved,
    RefusalProved,
    ToldStatus,
    event_to_payload,
)
from app.domain.execution_status import FINISHED, ExecutionStatus, OrderFacts, execution_outcome
from app.domain.order_status import TERMINAL, OrderEvent, OrderStatus
from app.domain.reasons import FlagCode, ReasonCode
from app.domain.terms import Leg, OrderType
from app.executions import news
from app.executions.models import BrokerEvent, Execution, Order, open_quantity_of
from app.executions.open_rows import orders_of_executions
from app.executions.services.attention import attention_add
from app.executions.services.close_gap import close_gaps_note
from app.executions.services.close_wish import wish_end, wish_is_over
from app.executions.services.commands_settle import commands_settle
from app.executions.services.deals import deal_enter, deal_store, deals_of, deals_sum
from app.executions.services.event_store import commissions_store
from app.executions.services.idle_stops import entry_filled, stop_triggered
from app.executions.services.match import order_match
from app.executions.services.order_moves import order_move
from app.executions.services.row_columns import row_save
from app.executions.services.words import message_told, reason_set

logger = get_logger(__name__)

_EVENT_OF_TOLD = {
    ToldStatus.PENDING_SUBMIT: OrderEvent.PENDING_SUBMIT_TOLD,
    ToldStatus.API_PENDING: OrderEvent.HELD_TOLD,
    ToldStatus.PRE_SUBMITTED: OrderEvent.HELD_TOLD,
    ToldStatus.SUBMITTED: OrderEvent.WORKING_TOLD,
    ToldStatus.PENDING_CANCEL: OrderEvent.PENDING_CANCEL_TOLD,
    ToldStatus.API_CANCELLED: OrderEvent.CANCELLED_TOLD,
    ToldStatus.CANCELLED: OrderEvent.CANCELLED_TOLD,
    ToldStatus.FILLED: OrderEvent.FILLED_TOLD,
    ToldStatus.INACTIVE: OrderEvent.INACTIVE_TOLD,
}
_OVER = frozenset({ToldStatus.FILLED, ToldStatus.CANCELLED, ToldStatus.API_CANCELLED})


@transaction.atomic
def broker_event_record(event: AnyBrokerEvent, *, now: datetime, holding: Holding | None = None) -> int | None:
    """Store and apply one event; return the id of the execution it changed, or None.

    With `holding`, raises Fenced where another worker has taken over: what is left in an old holder's queue is old.
    A duplicate, and an event about an order that is not ours, change no execution; the latter is stored all the same.
    """
    if BrokerEvent.objects.filter(dedupe_key=event.dedupe_key).exists():
        return None
    order = order_match(event)
    # Locked before the event is stored, so that an execution's events are numbered in the order they were applied.
    execution = _locked(order) if order is not None else None
    if holding is not None:
        fence_require(holding)
    # A second recorder that stored the same event meanwhile makes this insert fail, and the caller's retry stop above.
    BrokerEvent.objects.create(dedupe_key=event.dedupe_key, **event_as_told(event, order=order, now=now))
    if order is not None:
        order.refresh_from_db()
    event_apply(event, order=order, execution=execution, now=now)
    if order is None or execution is None:
        return None
    commands_settle([(event, order)], now=now)
    close_gaps_note([(event, order)], now=now)
    news.publish_on_commit(execution.pk)
    return execution.pk


def event_apply(event: AnyBrokerEvent, *, order: Order | None, execution: Execution | None, now: datetime) -> None:
    """Let a stored event change the rows: those of `order` and of `execution`, which the caller has locked and read."""
    event_change(event, order=order, execution=execution)
    if order is None or execution is None:
        return
    with bind_order(execution=execution.pk, order_ref=order.order_ref, perm_id=order.perm_id):
        order.save()
        execution_recompute(execution, now=now)


@transaction.atomic
def broker_event_keep(event: AnyBrokerEvent, *, because: str, now: datetime) -> None:
    """Store an event that could not be applied, and flag its execution: nothing told is lost over a fault of ours."""
    order = order_match(event)
    logger.error("event_not_applied", dedupe_key=event.dedupe_key, because=because)
    BrokerEvent.objects.get_or_create(dedupe_key=event.dedupe_key, defaults=event_as_told(event, order=order, now=now))
    if order is not None:
        execution = _locked(order)
        # What went wrong stands in the log: a page is not the place for the database's words.
        attention_add(
            execution,
            f"{order.leg}: what the broker told ({event.kind}) could not be applied; ask for help",
            code=FlagCode.NOT_APPLIED,
        )
        execution.save(update_fields=["attention"])
        news.publish_on_commit(execution.pk)


def _locked(order: Order) -> Execution:
    return Execution.objects.select_for_update(no_key=True).get(pk=order.bracket.execution_id)


def event_as_told(event: AnyBrokerEvent, *, order: Order | None, now: datetime) -> dict[str, Any]:
    """Return the columns of the event's row."""
    return {
        "kind": event.kind,
        "account": event.account,
        "payload": event_to_payload(event),
        "order": order,
        "execution_id": order.bracket.execution_id if order else None,
        "received_at": event.received_at,
        "recorded_at": now,
    }


def event_change(event: AnyBrokerEvent, *, order: Order | None, execution: Execution | None) -> None:
    """Let an event change `order` and `execution` in memory, fills and commissions in the database."""
    if isinstance(event, CommissionTold):
        commissions_store([event])
    if order is None or execution is None:
        return
    with bind_order(execution=execution.pk, order_ref=order.order_ref, perm_id=order.perm_id):
        _apply(event, order=order, execution=execution)


def execution_recompute(
    execution: Execution,
    *,
    now: datetime,
    orders: Sequence[Order] | None = None,
    as_read: Mapping[str, Any] | None = None,
) -> None:
    """Set and save the execution's status from its orders, read anew where not given. Call it with the row locked.

    With `as_read`, what `columns_of` said when the row was read, only what differs is saved.
    """
    orders = orders_of_executions([execution.pk]) if orders is None else list(orders)
    orders.sort(key=lambda order: order.pk)
    facts = [
        OrderFacts(
            leg=_leg_of(order),
            status=OrderStatus(order.status),
            filled_quantity=order.filled_quantity,
            closed_elsewhere=order.closed_elsewhere,
        )
        for order in orders
    ]
    outcome = execution_outcome(facts, claimed=execution.claimed_at is not None)
    if outcome.open_quantity < 0:
        attention_add(
            execution,
            f"more was exited than entered: {-outcome.open_quantity.normalize():f} shares",
            code=FlagCode.MORE_CLOSED_THAN_OPENED,
        )
    if outcome.status not in FINISHED and wish_is_over(finished_at=execution.finished_at, now=now):
        wish_end(execution)
    execution.status = outcome.status.value
    execution.open_quantity = outcome.open_quantity
    execution.exit_reason = outcome.exit_reason
    execution.finished_at = (execution.finished_at or now) if outcome.status in FINISHED else None
    reason_set(execution, orders=orders, status=outcome.status)
    _missing_legs_tell(execution, orders=orders)
    if as_read is None:
        execution.save()
    else:
        row_save(execution, as_read=as_read)


def _leg_of(order: Order) -> Leg:
    """Return what the order is for: a target that was made a market order closes the position."""
    is_close = order.leg == Leg.TAKE_PROFIT and order.order_type == OrderType.MARKET
    return Leg.CLOSE if is_close else Leg(order.leg)


def _missing_legs_tell(execution: Execution, *, orders: list[Order]) -> None:
    """Flag what is less than was planned: a leg or a tranche that is not there, and shares whose stop was refused."""
    absent, unsafe = OrderStatus.NOT_PLACED.value, (OrderStatus.NOT_PLACED.value, OrderStatus.REJECTED.value)
    if ExecutionStatus(execution.status) in (ExecutionStatus.REQUESTED, ExecutionStatus.SUBMITTING):
        return
    if all(order.status == absent for order in orders):
        return
    for bracket_id in sorted({order.bracket_id for order in orders}):
        legs = [order for order in orders if order.bracket_id == bracket_id]
        # A close, a stop of ours, what is given back: it was written down and is not needed any more, or written anew.
        missing = [order for order in legs if order.status == absent and Leg(order.leg).is_native]
        if missing and (len(missing) < len(legs) or execution.cancel_requested_at is None):
            attention_add(
                execution,
                f"{missing[0].order_ref}: never reached the broker, though other orders did",
                code=FlagCode.NEVER_ARRIVED,
            )
        held = open_quantity_of(legs)
        stop = next(order for order in legs if order.leg == Leg.STOP_LOSS.value)
        if held > 0 and stop.status in unsafe:
            attention_add(
                execution,
                f"{stop.order_ref}: shares are held, and their stop is {stop.status}",
                code=FlagCode.STOP_REFUSED,
            )


def _apply(event: AnyBrokerEvent, *, order: Order, execution: Execution) -> None:
    if isinstance(event, OrderTold):
        _order_told(event, order=order, execution=execution)
    elif isinstance(event, OrderMessageTold):
        message_told(event, order=order, execution=execution)
    elif isinstance(event, FillTold):
        _fill_told(event, order=order, execution=execution)
    elif isinstance(event, DealUnreadable):
        attention_add(execution, f"{order.leg}: {event.evidence}", code=FlagCode.DEAL_UNREADABLE)
    elif isinstance(event, AbsenceProved):
        if not execution.reason_code:
            execution.reason_code, execution.reason = ReasonCode.NOT_PLACED, event.evidence
        order_move(order, OrderEvent.PROVED_ABSENT, execution=execution, at=event.received_at)
    elif isinstance(event, ClosedElsewhere):
        order.closed_elsewhere += event.quantity
        attention_add(execution, event.evidence, code=FlagCode.CLOSED_ELSEWHERE)
    elif isinstance(event, RefusalProved):
        if order.refusal_suspected:
            order_move(order, OrderEvent.REFUSED, execution=execution, at=event.received_at)
        order.refusal_proved = order.status == OrderStatus.REJECTED.value
    elif isinstance(event, FillEntered):
        deal_enter(event, order=order)
        _filled(order, execution=execution, at=event.received_at)
    elif isinstance(event, OverProved):
        order_move(order, OrderEvent.CANCELLED_TOLD, execution=execution, at=event.received_at)


def _order_told(event: OrderTold, *, order: Order, execution: Execution) -> None:
    _ids_take(event, order=order, execution=execution)
    if event.source == "status":
        stop_triggered(event, before=order.why_held, order=order, execution=execution)
        order.why_held = event.why_held
    if event.source != "open_order":
        order.told_filled = event.filled
    order.ended_because = order.ended_because or event.ended_because
    if event.status is ToldStatus.UNKNOWN:
        attention_add(
            execution,
            f"{order.leg}: the broker told an unknown status {event.raw_status!r}",
            code=FlagCode.UNKNOWN_STATUS,
        )
        return
    _quantity_follow(event, order=order, execution=execution)
    _prices_follow(event, order=order)
    _group_follow(event, order=order)
    moved = _EVENT_OF_TOLD[event.status]
    if event.source == "completed_order" and event.status is ToldStatus.INACTIVE:
        # Not parked: it is listed among what finished. What the broker refused while nobody heard it ends there.
        order.last_error = order.last_error or "The broker lists it as finished and inactive: it was refused."
        moved = OrderEvent.CANCELLED_TOLD if order.filled_quantity or event.filled else OrderEvent.REFUSED
    order_move(order, moved, execution=execution, at=event.received_at)
    _complete_if_filled(order, at=event.received_at, execution=execution)


def _ids_take(event: OrderTold | FillTold, *, order: Order, execution: Execution) -> None:
    _perm_id_set(order, perm_id=event.perm_id, execution=execution)
    if order.order_id is None and event.order_id:
        # The broker knows an order that we never noted as sent: the flag comes from the table, the ids from here.
        order.order_id, order.client_id, order.sent_at = event.order_id, event.client_id, event.received_at


def _perm_id_set(order: Order, *, perm_id: int, execution: Execution) -> None:
    if not perm_id or order.perm_id == perm_id:
        return
    if order.perm_id:
        attention_add(
            execution,
            f"{order.leg}: one order has two permanent ids, {order.perm_id} and {perm_id}",
            code=FlagCode.TWO_PERMANENT_IDS,
        )
        return
    order.perm_id = perm_id


def _quantity_follow(event: OrderTold, *, order: Order, execution: Execution) -> None:
    """Take over the quantity the broker works with: it shrinks a child to what its parent filled.

    An entry it never shrinks by itself: a person did, in TWS, or it is not the order that we sent.
    """
    if OrderStatus(order.status) in TERMINAL:
        # A word from before the end; what it was finished with stands. Unless that was more than we knew it to be.
        if event.status in _OVER and event.filled > order.quantity and event.filled == deals_of(order):
            order.quantity = event.filled
            deals_sum(order)
        return
    if event.status is ToldStatus.FILLED and event.source == "open_order":
        return  # It carries what was filled before the last deal: taken for the whole, the order would end too small.
    # What is filled in full was as large as what was filled; its `remaining` is of the size it was sent with.
    told = event.filled if event.status is ToldStatus.FILLED else event.filled + event.remaining
    finished = event.source == "completed_order" and event.status is not ToldStatus.FILLED
    live = event.status not in (ToldStatus.CANCELLED, ToldStatus.API_CANCELLED, ToldStatus.INACTIVE)
    # Echoes of live orders with a size of 0 were seen (IB_FACTS B1): they are no word of a size.
    sized = event.status is ToldStatus.FILLED or event.remaining > 0
    if not live or finished or not sized or told <= 0 or told == order.quantity:
        return
    if told < order.filled_quantity or not Leg(order.leg).is_exit:
        attention_add(
            execution,
            f"{order.leg}: the broker works {told.normalize():f} shares, not {order.quantity.normalize():f}",
            code=FlagCode.SIZE_CHANGED,
        )
    if told >= order.filled_quantity:
        order.quantity = told
        deals_sum(order)


def _prices_follow(event: OrderTold, *, order: Order) -> None:
    """Take over where a live order waits: a person may have moved it in TWS, and what we change must leave it there."""
    if OrderStatus(order.status) in TERMINAL:
        return
    for name in ("limit_price", "stop_price"):
        told, known = getattr(event, name), getattr(order, name)
        if told and known is not None and told != known:
            logger.info("order_price_moved", price=name, was=str(known), told=str(told))
            setattr(order, name, told)


def _group_follow(event: OrderTold, *, order: Order) -> None:
    """Take over the group that the broker has the order in, and that a target was made a market order to close."""
    if event.source != "open_order":
        return
    order.oca_group, order.oca_type = event.oca_group, event.oca_type
    if order.leg == Leg.TAKE_PROFIT and event.order_type in (OrderType.MARKET, OrderType.LIMIT):
        order.order_type = event.order_type


def _fill_told(event: FillTold, *, order: Order, execution: Execution) -> None:
    _ids_take(event, order=order, execution=execution)
    stored = deal_store(event, order=order)
    if event.unreadable_time:
        shares = f"{event.quantity.normalize():f} at {event.price.normalize():f}"
        attention_add(
            execution,
            f"{order.leg}: the time of a deal ({shares}) could not be read, {event.unreadable_time!r}: when it was "
            "heard is noted instead",
            code=FlagCode.DEAL_TIME_UNREADABLE,
        )
    if stored.is_correction:
        order.told_filled = order.filled_quantity  # What a status told was before the correction.
    if stored.contradiction:
        attention_add(execution, f"{order.leg}: {stored.contradiction}", code=FlagCode.OVERFILLED)
    if not event.quantity:
        attention_add(
            execution,
            f"{order.leg}: a deal was busted, {event.exec_id}: its shares were taken back",
            code=FlagCode.DEAL_BUSTED,
        )
    entry_filled(event, order=order, execution=execution)
    _filled(order, execution=execution, at=event.received_at)


def _filled(order: Order, *, execution: Execution, at: datetime) -> None:
    full = order.filled_quantity >= order.quantity
    order_move(order, OrderEvent.FULLY_FILLED if full else OrderEvent.PARTLY_FILLED, execution=execution, at=at)


def _complete_if_filled(order: Order, *, at: datetime, execution: Execution) -> None:
    """Finish an order whose quantity shrank to what is filled already."""
    if order.filled_quantity and order.filled_quantity >= order.quantity and OrderStatus(order.status) not in TERMINAL:
        order_move(order, OrderEvent.FULLY_FILLED, execution=execution, at=at)
