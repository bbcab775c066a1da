"""The broker's words on their way to a person: what a code does to its order, and why an execution ended.

code, text ──> the order's last error (of what was refused, its first refusal) ──> the execution's reason
"""

from app.domain.broker_events import MessageMeaning, OrderMessageTold
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import NEVER_AT_WORK, OrderEvent, OrderStatus
from app.executions.models import Execution, Fill, Order
from app.executions.services.attention import attention_add
from app.executions.services.order_moves import order_move


def message_told(event: OrderMessageTold, *, order: Order, execution: Execution) -> None:
    """Take in a code about the order. Rows change in memory only."""
    if event.meaning in (MessageMeaning.INFORMATION, MessageMeaning.CONNECTION):
        return
    if _is_news(event, order=order):
        order.last_error_code, order.last_error = event.code, event.text
    if event.meaning is MessageMeaning.REFUSAL:
        order_move(order, OrderEvent.REFUSED, execution=execution, at=event.received_at)
    elif event.meaning is MessageMeaning.REFUSAL_SUSPECTED and OrderStatus(order.status) in NEVER_AT_WORK:
        order.refusal_suspected = True
    elif event.meaning in (MessageMeaning.UNKNOWN, MessageMeaning.REFUSAL_SUSPECTED):
        attention_add(execution, f"{order.leg}: unknown code {event.code}: {event.text}")


def _is_news(event: OrderMessageTold, *, order: Order) -> bool:
    """Say whether it is the broker's word on the order by now. Why it was refused stays, whatever is said afterwards.

    So does what answered it before a cancel of what never lived was refused.
    """
    is_refusal = event.meaning in (MessageMeaning.REFUSAL, MessageMeaning.REFUSAL_SUSPECTED)
    if order.status == OrderStatus.REJECTED.value:
        return is_refusal and order.last_error_code is None
    if event.meaning is MessageMeaning.REFUSAL or order.last_error_code is None:
        return True
    about_request = event.meaning is MessageMeaning.REQUEST_REFUSED and OrderStatus(order.status) in NEVER_AT_WORK
    return not (order.refusal_suspected or about_request)


def reason_set(execution: Execution, *, orders: list[Order], status: ExecutionStatus) -> None:
    """Say why it ended. Until the broker has answered, the reason of what gives it up is kept."""
    if status in (ExecutionStatus.WORKING, ExecutionStatus.OPEN, ExecutionStatus.CLOSED):
        execution.reason_code = execution.reason = ""
    elif status is ExecutionStatus.REJECTED:
        refused = next(order for order in orders if order.status == OrderStatus.REJECTED.value)
        execution.reason_code = "order_refused"
        code = f" ({refused.last_error_code})" if refused.last_error_code is not None else ""
        execution.reason = f"{refused.leg} was refused{code}: {refused.last_error}"
    elif status is ExecutionStatus.CANCELLED:
        execution.reason_code = execution.cancel_reason or "cancelled_at_broker"
        execution.reason = {
            "entry_timeout": "The entry was not filled within its time limit; it was cancelled with its stop.",
            "requested": "It was cancelled on request.",
            "kill_switch": "The kill switch was engaged, so the entry was cancelled.",
            "stop_lost": "The stop was gone before the entry was filled, so the entry was cancelled.",
        }.get(execution.cancel_reason, "It was cancelled at the broker, not by us.")
        if not execution.cancel_reason and Fill.objects.filter(order__in=orders).exists():
            execution.reason_code = "deals_busted"
            execution.reason = "Its deals were busted: the shares were taken back."
