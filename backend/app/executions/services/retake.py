"""Give back what a worker took and certainly did not send, so that the next one sends it.

    no order of it was written ahead     not one byte left: it is requested as before
    past its deadline, or cancelled      it is given up, as what no worker took
    a market entry, or a stop entry      only within some seconds of the request: its price was that moment's, and a
                                         trigger may have been passed since

A worker that stood still since, and goes on, finds its fence passed; one that waits for its turn finds the rows sent.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.core.logging import get_logger
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Leg, OrderType
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Execution, Order
from app.executions.services.attention import attention_add

logger = get_logger(__name__)

OF_THEIR_MOMENT = frozenset({OrderType.MARKET.value, OrderType.STOP.value})


@transaction.atomic
def execution_give_back(*, order: Order, holding: Holding, now: datetime) -> bool:
    """Let the execution of an order that was not written ahead be taken anew; say whether it is. Raises Fenced."""
    fence_require(holding)
    read = order.bracket.execution
    execution = Execution.objects.select_for_update(no_key=True).get(pk=read.pk)
    if execution.claimed_at is None or execution.claimed_at != read.claimed_at or not _may_be_sent(execution, now=now):
        return False
    execution.claimed_at = None
    execution.status = ExecutionStatus.REQUESTED.value
    execution.save(update_fields=["claimed_at", "status"])
    decision_record(
        actor=Actor.RECONCILE,
        action="GIVE_BACK",
        reason="the worker that took it, or its line to the broker, was gone before the first byte: it is sent now",
        evidence={"requested_at": execution.requested_at.isoformat()},
        account=execution.account,
        execution=execution,
        now=now,
    )
    news.publish_on_commit(execution.pk)
    return True


def _may_be_sent(execution: Execution, *, now: datetime) -> bool:
    """Say whether nothing of it was sent, and sending it is still what was asked for."""
    orders = list(Order.objects.filter(bracket__execution=execution))
    if any(order.status != OrderStatus.CREATED.value or order.sent_at is not None for order in orders):
        return False
    if execution.cancel_requested_at is not None or (
        execution.deadline_at is not None and execution.deadline_at <= now
    ):
        return False
    is_of_its_moment = any(order.leg == Leg.ENTRY.value and order.order_type in OF_THEIR_MOMENT for order in orders)
    longest = timedelta(seconds=settings.MARKET_ENTRY_RETAKE_SECONDS)
    return not is_of_its_moment or now - execution.requested_at < longest


def rest_tell(execution: Execution, order: Order) -> None:
    """Say that a tranche was left out of an execution whose others were sent. In memory; the row is locked."""
    if order.leg != Leg.ENTRY.value:
        return
    others = Order.objects.filter(bracket__execution=execution, leg=Leg.ENTRY.value, sent_at__isnull=False)
    if others.exclude(bracket=order.bracket_id).exists():
        shares = f"{order.quantity.normalize():f} of {execution.quantity.normalize():f} shares"
        attention_add(
            execution,
            f"tranche {order.bracket.tranche}: {shares} were not placed, because the worker stopped before them; "
            "to buy or sell them too, duplicate the setup with that quantity",
            code=FlagCode.NEVER_ARRIVED,
        )
