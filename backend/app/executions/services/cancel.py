"""Cancel what is not filled yet. The wish is a row first; sending it is a task that may be repeated.

Filled shares keep their stop: cancelling an entry never closes a position.
"""

from datetime import datetime

from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import BrokerConnection
from app.brokers.base import BlockingBroker
from app.core.errors import Conflict, NotFound
from app.core.logging import bind_order
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg, OnTimeout
from app.executions import dispatch, news, selectors
from app.executions.models import Execution, Order
from app.executions.services.attention import attention_add
from app.executions.services.commands_send import CancelsSent, cancels_send
from app.executions.services.submit import execution_give_up, unsent_because


@transaction.atomic
def execution_cancel_request(*, execution_id: int, reason: str, now: datetime) -> Execution:
    """Note that the unfilled part of the entry is to be cancelled, and have it sent. Safe to repeat.

    Raises NotFound, or Conflict `execution_finished`, `nothing_to_cancel` (every entry is filled; its stop stays).
    """
    execution = Execution.objects.select_for_update(no_key=True).filter(pk=execution_id).first()
    if execution is None:
        raise NotFound(f"There is no execution {execution_id}.", code="execution_not_found")
    if execution.is_finished:
        raise Conflict(f"The execution is finished: {execution.status}.", code="execution_finished")
    if execution.cancel_requested_at is not None:
        dispatch.cancel_on_commit(execution.pk)
        return execution
    if not selectors.entries_to_cancel(selectors.execution_read(execution_id)):
        raise Conflict(
            "The entry is filled, so there is nothing to cancel; the position keeps its stop.", code="nothing_to_cancel"
        )
    execution.cancel_requested_at, execution.cancel_reason = now, reason
    execution.save(update_fields=["cancel_requested_at", "cancel_reason"])
    if execution.claimed_at is None:
        execution_give_up(execution=execution, reason_code=unsent_because(execution), now=now)
        execution.refresh_from_db()
    else:
        dispatch.cancel_on_commit(execution.pk)
    news.publish_on_commit(execution.pk)
    return execution


@transaction.atomic
def execution_expire(*, execution_id: int, now: datetime) -> bool:
    """Apply what the setup asked for to an entry that is past its deadline; say whether anything changed.

    What no worker has taken by then is given up; what is working is cancelled or kept, as `on_timeout` says.
    """
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    if execution.deadline_at is None or execution.deadline_at > now or execution.is_finished:
        return False
    if execution.claimed_at is None:
        execution_give_up(execution=execution, reason_code="deadline_passed", now=now)
        return True
    if execution.on_timeout != OnTimeout.CANCEL.value or execution.cancel_requested_at is not None:
        return False
    try:
        execution_cancel_request(execution_id=execution_id, reason="entry_timeout", now=now)
    except Conflict:  # Every entry is filled: the deadline was met.
        return False
    return True


def execution_cancel_send(*, execution_id: int, broker: BlockingBroker, now: datetime) -> int:
    """Send the cancels that are due; return how many. Raises NotConnected, BrokerTimeout.

    Cancelling an entry cancels its children at the broker. Where the entry is finished without a fill (refused), what
    is left of its bracket is cancelled leg by leg. Order ids belong to a client id: what another one placed is not
    cancelled here, a person is told instead.
    """
    execution = selectors.execution_read(execution_id)
    orders = orders_to_cancel(execution)
    if not orders:
        return 0
    with bind_order(execution=execution.pk):
        cancels = cancels_send(orders=orders, broker=broker)
    holding = Holding(connection_id=broker.connection_id, fence=broker.fence)
    _note_sent(execution_id=execution_id, cancels=cancels, holding=holding, now=now)
    return len(cancels.sent)


@transaction.atomic
def _note_sent(*, execution_id: int, cancels: CancelsSent, holding: Holding, now: datetime) -> None:
    fence_require(holding)
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    execution.cancel_sent_at = now
    if not execution.cancel_reason and any(order.leg == Leg.ENTRY.value for order in (*cancels.sent, *cancels.foreign)):
        execution.cancel_reason = "stop_lost"  # Nobody asked for it: a leg of the bracket was refused or is over.
    for order in cancels.foreign:
        attention_add(execution, f"{order.order_ref}: only client id {order.client_id}, which placed it, can cancel it")
    execution.save(update_fields=["cancel_sent_at", "cancel_reason", "attention"])
    news.publish_on_commit(execution.pk)


def orders_to_cancel(execution: Execution) -> list[Order]:
    """Return the orders on which a cancel is due now.

    An open entry: on request, when a leg of its bracket was refused, and when its stop is finished in whatever way:
    what it would still fill would have no stop. The other legs: once it is certain that their entry filled nothing.
    """
    due: list[Order] = []
    for bracket in execution.brackets.all():
        legs = list(bracket.orders.all())
        open_legs = [order for order in legs if _can_cancel(order)]
        entry = next(order for order in legs if order.leg == Leg.ENTRY.value)
        if entry in open_legs:
            refused = any(order.status == OrderStatus.REJECTED.value for order in legs)
            due += [entry] if execution.cancel_requested_at or refused or _stop_is_over(legs) else []
        elif open_legs and _certainly_empty(entry):
            due += open_legs
    return due


def _stop_is_over(legs: list[Order]) -> bool:
    return any(order.leg == Leg.STOP_LOSS.value and OrderStatus(order.status) in TERMINAL for order in legs)


def _certainly_empty(entry: Order) -> bool:
    """Say whether no share was entered. Cancelled is no proof: a fill may be late, and its stop must be there then."""
    if entry.filled_quantity or entry.told_filled or OrderStatus(entry.status) not in TERMINAL:
        return False
    if entry.status in (OrderStatus.REJECTED.value, OrderStatus.NOT_PLACED.value):
        return True
    complete_answers = BrokerConnection.objects.filter(account=entry.account_id, client_id=entry.client_id or 0)
    return complete_answers.filter(reconciled_at__gt=entry.finished_at).exists()


def _can_cancel(order: Order) -> bool:
    return order.order_id is not None and OrderStatus(order.status) not in TERMINAL | {OrderStatus.PENDING_CANCEL}
