"""The broker's words on their way to a person: what a code does to its order, and why an execution ended.

code, text ──> the order's last error (of what was refused, its first refusal) ──> the execution's reason
"""

from app.domain.broker_events import MessageMeaning, OrderMessageTold
from app.domain.command import CommandReason
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import NEVER_AT_WORK, OrderEvent, OrderStatus
from app.domain.reasons import FlagCode, ReasonCode, reason_sentence
from app.domain.terms import Leg, TimeInForce
from app.executions.models import Execution, Fill, Order
from app.executions.services.attention import attention_add
from app.executions.services.idle_stops import stop_kept_back
from app.executions.services.order_moves import order_move

_EXPIRED = "expired"  # How the broker's words of an order begin that ended with its time in force.


def message_told(event: OrderMessageTold, *, order: Order, execution: Execution) -> None:
    """Take in a code about the order. Rows change in memory only."""
    order.ended_because = event.ended_because or order.ended_because
    stop_kept_back(event, order=order, execution=execution)
    if event.meaning in (MessageMeaning.INFORMATION, MessageMeaning.CONNECTION):
        return
    if _is_news(event, order=order):
        order.last_error_code, order.last_error = event.code, event.text
    if event.meaning is MessageMeaning.REFUSAL:
        order_move(order, OrderEvent.REFUSED, execution=execution, at=event.received_at)
    elif event.meaning is MessageMeaning.REFUSAL_SUSPECTED and OrderStatus(order.status) in NEVER_AT_WORK:
        order.refusal_suspected = True
    elif event.meaning in (MessageMeaning.UNKNOWN, MessageMeaning.REFUSAL_SUSPECTED):
        attention_add(execution, f"{order.leg}: unknown code {event.code}: {event.text}", code=FlagCode.UNKNOWN_CODE)


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
        execution.reason_code = ReasonCode.ORDER_REFUSED
        code = f" ({refused.last_error_code})" if refused.last_error_code is not None else ""
        execution.reason = f"{refused.leg} was refused{code}: {refused.last_error}"
    elif status is ExecutionStatus.CANCELLED and execution.cancel_reason:
        execution.reason_code = execution.cancel_reason
        execution.reason = reason_sentence(execution.cancel_reason) + _also_said(execution, orders=orders)
    elif status is ExecutionStatus.CANCELLED:
        execution.reason_code, execution.reason = _ended_by_itself(orders)


def _also_said(execution: Execution, *, orders: list[Order]) -> str:
    """Return what the broker said of what we then cancelled: why the entry waited, or why the stop was gone."""
    if execution.cancel_reason == CommandReason.STOP_LOST:
        words = next((order.ended_because for order in orders if _is_stop(order) and order.ended_because), "")
        return f" The broker had cancelled the stop: {_quoted(words)}" if words else ""
    waited = next((order for order in orders if order.leg == Leg.ENTRY.value and order.last_error), None)
    if waited is None:
        return ""
    code = f" ({waited.last_error_code})" if waited.last_error_code is not None else ""
    return f" The broker had said of the entry{code}: {_quoted(waited.last_error)}"


def _ended_by_itself(orders: list[Order]) -> tuple[str, str]:
    """Return code and sentence of what ended without a cancel of ours."""
    if Fill.objects.filter(order__in=orders).exists():
        return ReasonCode.DEALS_BUSTED, reason_sentence(ReasonCode.DEALS_BUSTED)
    words = next((order.ended_because for order in orders if order.ended_because), "")
    if words.casefold().startswith(_EXPIRED):
        entry = next(order for order in orders if order.leg == Leg.ENTRY.value)
        lived = "its day" if entry.time_in_force == TimeInForce.DAY.value else "its time in force"
        return ReasonCode.EXPIRED, f"The entry was not filled, and expired with {lived} ({entry.time_in_force})."
    if words:
        return ReasonCode.CANCELLED_AT_BROKER, f"It was cancelled at the broker, not by us: {_quoted(words)}"
    return ReasonCode.CANCELLED_AT_BROKER, reason_sentence(ReasonCode.CANCELLED_AT_BROKER)


def _is_stop(order: Order) -> bool:
    return order.leg in (Leg.STOP_LOSS.value, Leg.PROTECT.value)


def _quoted(words: str) -> str:
    """Return the broker's words in one line, in quotes."""
    return f'"{" ".join(words.split())}"'
