"""Wait until an execution's entry is filled and protected, refused, or past its deadline."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from app.brokers.errors import OrderRefused
from app.core import clock
from app.core.errors import Conflict, RetryLater
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import EntryType, Leg, OnTimeout
from app.executions import news, selectors
from app.executions.models import Execution
from app.executions.services.cancel import execution_expire


class EntryNotFilled(Conflict):
    """The entry was not filled in time; what the setup's policy says was done. `details`: status, filled_quantity."""

    code = "entry_not_filled"


class NotPlaced(Conflict):
    """Nothing was placed at the broker. `details`: reason_code."""

    code = "not_placed"


class StillWaiting(RetryLater):
    """The wait ended before the execution was settled; it goes on by itself."""

    code = "still_waiting"


def execution_wait_for_fill(*, execution_id: int, seconds_max: float) -> str:
    """Return `IB-<entry>:<stop>` once the entry is filled and the stop is live at the broker.

    Raises OrderRefused (the broker's code and text in `details`), NotPlaced, EntryNotFilled (the deadline passed, or it
    was cancelled), StillWaiting after `seconds_max`.
    """
    give_up_at = clock.now() + timedelta(seconds=seconds_max)
    with news.subscription(execution_id) as told:
        while True:
            execution = selectors.execution_read(execution_id)
            if selectors.entry_is_filled(execution):
                return execution.reference
            now = clock.now()
            if _deadline_passed(execution, now=now) and execution_expire(execution_id=execution_id, now=now):
                continue
            _raise_if_over(execution, now=now)
            if now >= give_up_at:
                raise StillWaiting(f"Execution {execution_id} is {execution.status} still.")
            _wait(told, seconds=_pause(execution, now=now, give_up_at=give_up_at))


def execution_wait_for_answer(*, execution_id: int, seconds_max: float) -> bool:
    """Wait until there is something to confirm, at most `seconds_max`; say whether there is.

    A market entry is confirmed when it is filled and its stop is live, any other when the broker has answered every
    leg; every execution when it is finished.
    """
    give_up_at = clock.now() + timedelta(seconds=seconds_max)
    with news.subscription(execution_id) as told:
        while True:
            execution = selectors.execution_read(execution_id)
            is_market = execution.setup.entry_type == EntryType.MARKET.value
            answered = selectors.entry_is_filled(execution) or (not is_market and selectors.is_acknowledged(execution))
            if answered or execution.is_finished:
                return True
            now = clock.now()
            if now >= give_up_at:
                return False
            _wait(told, seconds=(give_up_at - now).total_seconds())


def _wait(told: news.NewsSubscription, *, seconds: float) -> None:
    # Those who wait hold no database connection: a few dozen of them would leave none to those who work.
    if not connection.in_atomic_block:
        connection.close()
    told.wait(seconds=seconds)


def _deadline_passed(execution: Execution, *, now: datetime) -> bool:
    return execution.deadline_at is not None and execution.deadline_at <= now


def _pause(execution: Execution, *, now: datetime, give_up_at: datetime) -> float:
    moments = [give_up_at]
    if execution.deadline_at is not None and execution.deadline_at > now:
        moments.append(execution.deadline_at)
    return (min(moments) - now).total_seconds()


def _raise_if_over(execution: Execution, *, now: datetime) -> None:
    orders = selectors.orders_of(execution)
    refused = next((order for order in orders if order.status == OrderStatus.REJECTED.value), None)
    if refused is not None and execution.open_quantity == 0:
        raise OrderRefused(
            f"{refused.leg} was refused by the broker ({refused.last_error_code}): {refused.last_error}",
            details={
                "broker_code": refused.last_error_code,
                "broker_text": refused.last_error,
                "order_ref": refused.order_ref,
            },
        )
    # The reason of an entry that is over while its children are on their way out is that of its cancel.
    details = {"status": execution.status, "reason_code": execution.reason_code or execution.cancel_reason}
    if execution.status == ExecutionStatus.NOT_PLACED.value:
        raise NotPlaced(f"Nothing was placed: {execution.reason}", details=details)
    entries = [order for order in orders if order.leg == Leg.ENTRY.value]
    statuses = {OrderStatus(entry.status) for entry in entries}
    if statuses <= TERMINAL and statuses != {OrderStatus.FILLED}:
        filled = sum((entry.filled_quantity for entry in entries), Decimal(0))
        raise EntryNotFilled(
            f"The entry was not filled: {execution.reason or _not_filled_because(filled)}",
            details=details | {"filled_quantity": f"{filled.normalize():f}"},
        )
    if execution.on_timeout == OnTimeout.KEEP.value and _deadline_passed(execution, now=now):
        raise EntryNotFilled("The entry was not filled in time; it is kept working.", details=details)


def _not_filled_because(filled: Decimal) -> str:
    return f"{filled.normalize():f} shares were, and keep their stop." if filled else "it was cancelled with its stop."
