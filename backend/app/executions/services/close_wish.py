"""The wish to close what an execution holds: it ends, so that nobody's shares are closed by a wish of long ago.

all is closed                a deal told late within a minute is closed too; what is there later is guarded again:
                             a deal that was busted, shares that were taken back or taken over
the orders to close failed   a person is told, and may ask again
the kill switch is released  what it wanted and of which nothing was sent yet
"""

from datetime import datetime, timedelta

from app.domain.command import CommandReason
from app.domain.order_status import TERMINAL
from app.domain.terms import Leg
from app.executions.models import Execution, Order, OrderCommand

# What an entry filled while it was cancelled, and is told of late.
TOLD_LATE = timedelta(minutes=1)


def wish_end(execution: Execution) -> None:
    """End it; its brackets must be read anew. The caller has locked the execution, and saves it."""
    execution.flatten_requested_at = execution.close_requested_at = None
    execution.brackets.update(keep_quantity=None, close_limit_price=None, close_tries=0)


def wish_is_over(*, finished_at: datetime | None, now: datetime) -> bool:
    """Say whether what the execution holds from now on is none of what was to be closed."""
    return finished_at is not None and now - finished_at > TOLD_LATE


def is_closing_begun(execution: Execution) -> bool:
    """Say whether anything was sent, or is written down to be sent, to close the execution since that was asked for."""
    sent = OrderCommand.objects.filter(execution=execution, reason_code=CommandReason.CLOSING, sent_at__isnull=False)
    if sent.filter(requested_at__gte=execution.flatten_requested_at).exists():
        return True
    closes = Order.objects.filter(bracket__execution=execution, leg=Leg.CLOSE)
    return closes.exclude(status__in=TERMINAL).exists()
