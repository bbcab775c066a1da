"""Cancel what is not filled yet. A command is a row first; sending it is a task that may be repeated.

Filled shares keep their stop: cancelling an entry never closes a position.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from app.accounts.fencing import Holding, fence_require, fence_require_of
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.core.errors import Conflict, NotFound
from app.core.logging import bind_order
from app.domain.cancel import cancels_due
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.reasons import ReasonCode
from app.domain.terms import Leg, OnTimeout
from app.executions import dispatch, news, selectors
from app.executions.models import Actor, Execution, Order
from app.executions.services.commands_send import cancels_send
from app.executions.services.commands_write import cancels_write, unsettled
from app.executions.services.connection_row import holding_of
from app.executions.services.leg_facts import leg_facts
from app.executions.services.submit import execution_give_up, unsent_because


@transaction.atomic
def execution_cancel_request(
    *,
    execution_id: int,
    reason: CommandReason,
    now: datetime,
    actor: Actor = Actor.PERSON,
    user: User | None = None,
    holding: Holding | None = None,
) -> Execution:
    """Write the cancels of what is unfilled of the entries, and have them sent. Safe to repeat.

    Raises NotFound, or Conflict `execution_finished`, `nothing_to_cancel` (every entry is filled; its stop stays). With
    `holding`, of a worker that asks for it by itself, Fenced.
    """
    execution = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id).first()
    if execution is None:
        raise NotFound(f"There is no execution {execution_id}.", code="execution_not_found")
    fence_require_of(holding)
    if execution.is_finished:
        raise Conflict(f"The execution is finished: {execution.status}.", code="execution_finished")
    if execution.cancel_requested_at is not None:
        dispatch.cancel_on_commit(execution.pk)
        return execution
    entries = selectors.entries_to_cancel(selectors.execution_read(execution_id))
    if not entries:
        raise Conflict(
            "The entry is filled, so there is nothing to cancel; the position keeps its stop.", code="nothing_to_cancel"
        )
    execution.cancel_requested_at, execution.cancel_reason = now, reason
    execution.save(update_fields=["cancel_requested_at", "cancel_reason"])
    cancels_write(orders=entries, execution_id=execution_id, actor=actor, user=user, reason=reason, now=now)
    if execution.claimed_at is None:
        execution_give_up(execution=execution, reason_code=unsent_because(execution), now=now)
        execution.refresh_from_db()
    else:
        dispatch.cancel_on_commit(execution.pk)
    news.publish_on_commit(execution.pk)
    return execution


@transaction.atomic
def execution_expire(*, execution_id: int, now: datetime, holding: Holding | None = None) -> bool:
    """Apply what the setup asked for to an entry that is past its deadline; say whether anything changed.

    What no worker has taken by then is given up; what is working is cancelled or kept, as `on_timeout` says. With
    `holding` raises Fenced.
    """
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    fence_require_of(holding)
    if execution.deadline_at is None or execution.deadline_at > now or execution.is_finished:
        return False
    if execution.claimed_at is None:
        execution_give_up(execution=execution, reason_code=ReasonCode.DEADLINE_PASSED, now=now)
        return True
    if execution.on_timeout != OnTimeout.CANCEL.value or execution.cancel_requested_at is not None:
        return False
    try:
        execution_cancel_request(
            execution_id=execution_id, reason=CommandReason.ENTRY_TIMEOUT, actor=Actor.SWEEP, now=now
        )
    except Conflict:  # Every entry is filled: the deadline was met.
        return False
    return True


def execution_cancel_send(*, execution_id: int, broker: BlockingBroker, now: datetime) -> int:
    """Send the cancels that are due; return how many. Raises NotConnected, QueueFull, BrokerTimeout.

    Cancelling an entry cancels its children at the broker. Where the entry is finished without a fill (refused), what
    is left of its bracket is cancelled leg by leg.
    """
    execution = selectors.execution_read(execution_id)
    orders = orders_to_cancel(execution)
    with bind_order(execution=execution.pk):
        asked = set(unsettled(orders, CommandKind.CANCEL).values_list("order_id", flat=True)) if orders else set()
        if any(order.pk not in asked for order in orders):
            _write_unasked(execution_id, holding=holding_of(broker), now=now)
        return cancels_send(execution_id=execution_id, orders=orders, broker=broker, now=now)


@transaction.atomic
def _write_unasked(execution_id: int, *, holding: Holding, now: datetime) -> None:
    """Write the cancels that nobody asked for: a leg of the bracket was refused, or is over."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    fence_require(holding)
    orders = orders_to_cancel(selectors.execution_read(execution_id))
    entries = [order for order in orders if order.leg == Leg.ENTRY.value]
    if entries and not execution.cancel_reason:
        execution.cancel_reason = CommandReason.STOP_LOST
        execution.save(update_fields=["cancel_reason"])
    rest = [order for order in orders if order not in entries]
    asked = CommandReason(execution.cancel_reason or CommandReason.STOP_LOST)
    for due, reason in ((entries, asked), (rest, CommandReason.BRACKET_BROKEN)):
        cancels_write(orders=due, execution_id=execution_id, actor=Actor.SWEEP, reason=reason, now=now)


def orders_to_cancel(execution: Execution) -> list[Order]:
    """Return the orders on which a cancel is due now.

    An open entry: on request, when a leg of its bracket was refused, and when its stop is finished in whatever way:
    what it would still fill would have no stop. The other legs: once it is certain that their entry filled nothing.
    """
    due: list[Order] = []
    for bracket in execution.brackets.all():
        can_be = {order.pk: order for order in bracket.orders.all() if _can_cancel(order)}
        if not can_be:
            continue
        entry = next(order for order in bracket.orders.all() if order.leg == Leg.ENTRY.value)
        keys = cancels_due(
            map(leg_facts, bracket.orders.all()),
            is_requested=execution.cancel_requested_at is not None,
            answered_since=_answered_since(entry),
        )
        due += [can_be[key] for key in keys if key in can_be]
    return due


def _answered_since(entry: Order) -> bool:
    """Say whether the broker was asked for everything, and answered, after the entry ended."""
    if OrderStatus(entry.status) not in TERMINAL:
        return False
    complete_answers = BrokerConnection.objects.filter(account=entry.account_id, client_id=entry.client_id or 0)
    return complete_answers.filter(reconciled_at__gt=entry.finished_at).exists()


def _can_cancel(order: Order) -> bool:
    return order.order_id is not None and OrderStatus(order.status) not in TERMINAL | {OrderStatus.PENDING_CANCEL}
