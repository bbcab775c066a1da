"""What the broker has answered to the closing orders of an account's other positions, for `domain.close_circuit`."""

from datetime import datetime, timedelta
from operator import attrgetter

from app.domain.close_circuit import CloseSent, are_refused, stop_is_kept
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import TERMINAL, UNANSWERED, OrderStatus
from app.domain.terms import Leg
from app.executions.models import Execution, Order, OrderCommand
from app.executions.open_rows import any_of, bracket_executions, executions_held, of_account

LOOK_BACK = timedelta(minutes=5)
_NOT_DECIDED = (*UNANSWERED, OrderStatus.PENDING_SUBMIT)
_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


def stop_kept(execution: Execution, *, now: datetime) -> bool:
    """Say whether the execution's stops are kept for now, because the broker refuses what closes the others."""
    others = _others(execution, now=now)
    begun = OrderCommand.objects.filter(
        any_of("executions_ordercommand.execution_id", others),
        reason_code=CommandReason.CLOSING,
        kind__in=(CommandKind.CANCEL, CommandKind.MODIFY),
        order__leg__in=_STOPS,
    )
    begun_at = begun.order_by("-requested_at").values_list("requested_at", flat=True).first()
    return stop_is_kept(_closes(others, now=now), con_id=execution.con_id, begun_at=begun_at, now=now)


def others_refused(execution: Execution, *, now: datetime) -> bool:
    """Say whether the broker refuses what closes the others: then one try for this one is enough."""
    return are_refused(_closes(_others(execution, now=now), now=now), con_id=execution.con_id)


def _others(execution: Execution, *, now: datetime) -> set[int]:
    """Return the account's other executions that hold something, or ended a moment ago."""
    ended = Execution.objects.filter(account=execution.account, finished_at__gte=now - LOOK_BACK).order_by()
    held = of_account(executions_held(), execution.account.account_id)
    return {*held, *ended.values_list("pk", flat=True)} - {execution.pk}


def _closes(others: set[int], *, now: datetime) -> list[CloseSent]:
    """Return their closing orders that the broker has answered, newest first."""
    execution_of = bracket_executions(others)
    contracts = dict(Execution.objects.filter(any_of("executions_execution.id", others)).values_list("pk", "con_id"))
    closes = Order.objects.filter(any_of("executions_order.bracket_id", execution_of), leg=Leg.CLOSE.value).order_by()
    # What joined the group of its exits took no stop away: its refusal says nothing about one that stands alone.
    answered = closes.filter(oca_group="", sent_at__gte=now - LOOK_BACK).exclude(status__in=_NOT_DECIDED)
    return [
        CloseSent(
            con_id=contracts[execution_of[order.bracket_id]],
            at=order.finished_at or order.sent_at,
            failed=_failed(order),
        )
        for order in sorted(answered, key=attrgetter("pk"), reverse=True)  # Whatever the clock was.
        if order.sent_at is not None
    ]


def _failed(order: Order) -> bool:
    """Say whether it closed nothing and will not: refused, ended unfilled, or taken and not worked with."""
    status = OrderStatus(order.status)
    over = status in TERMINAL and status is not OrderStatus.FILLED
    return not order.filled_quantity and (over or status is OrderStatus.INACTIVE)
