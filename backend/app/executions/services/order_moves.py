"""Let something heard of an order move it, as the table of `domain.order_status` says, and flag what should not be."""

from datetime import datetime

from app.core.logging import get_logger
from app.domain.order_status import NEVER_AT_WORK, TERMINAL, UNANSWERED, OrderEvent, OrderStatus, transition
from app.domain.reasons import FlagCode
from app.executions.models import Execution, Order
from app.executions.services.attention import attention_add

logger = get_logger(__name__)


def order_move(order: Order, event: OrderEvent, *, execution: Execution, at: datetime) -> None:
    """Move the order in memory, and what follows from where it stands; the caller saves it and its execution."""
    before = OrderStatus(order.status)
    result = transition(before, event)
    if result.flag:
        attention_add(execution, f"{order.leg}: {event.value} while {before.value}", code=FlagCode.UNEXPECTED)
    if result.status is before:
        return
    order.status = result.status.value
    if result.status is OrderStatus.FILLED or (before is OrderStatus.HELD and result.status is OrderStatus.WORKING):
        # What it waited for has come: why it waited is history, and stands among the events.
        order.last_error_code, order.last_error = None, ""
    order.refusal_proved = False
    order.refusal_suspected = order.refusal_suspected and result.status in NEVER_AT_WORK
    if before in UNANSWERED and result.status is not OrderStatus.NOT_PLACED:
        order.acknowledged_at = order.acknowledged_at or at
    order.finished_at = at if result.status in TERMINAL else None
    logger.info("order_moved", leg=order.leg, before=before.value, after=result.status.value, because=event.value)
