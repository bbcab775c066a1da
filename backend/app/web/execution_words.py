"""Where an execution stands and why, in a trader's words. The codes are for programs and stand beside, small."""

from datetime import UTC

from app.domain.execution_status import ExecutionStatus
from app.domain.reasons import reason_words
from app.domain.terms import Leg
from app.executions.models import Execution

STATUS_WORDS = {
    ExecutionStatus.REQUESTED: "Requested",
    ExecutionStatus.SUBMITTING: "Being sent",
    ExecutionStatus.WORKING: "Working",
    ExecutionStatus.OPEN: "Open",
    ExecutionStatus.CLOSED: "Closed",
    ExecutionStatus.CANCELLED: "Cancelled",
    ExecutionStatus.REJECTED: "Rejected",
    ExecutionStatus.NOT_PLACED: "Not placed",
}
EXIT_WORDS = {
    Leg.TAKE_PROFIT: "Target reached",
    Leg.STOP_LOSS: "Stopped out",
    Leg.PROTECT: "Stopped out by the guard's stop",
    Leg.CLOSE: "Closed at the market",
}


def why_words(execution: Execution) -> list[str]:
    """Return why it stands as it does, each reason by itself; none where nothing is to be said."""
    if execution.attention:
        return execution.attention.splitlines()
    if execution.reason_code:
        return [reason_words(execution.reason_code) or execution.reason or execution.reason_code]
    return [exit_words(execution.exit_reason)] if execution.exit_reason else []


def exit_words(exit_reason: str) -> str:
    """Return what closed the position: "Target reached, stopped out" for `TAKE_PROFIT+STOP_LOSS`."""
    words = [EXIT_WORDS[Leg(leg)] if leg in EXIT_WORDS else leg for leg in exit_reason.split("+") if leg]
    return ", ".join(word if place == 0 else word[0].lower() + word[1:] for place, word in enumerate(words))


def waiting_words(execution: Execution, *, is_ready: bool) -> str:
    """Return what an execution that no worker has taken waits for, and until when; "" where it waits for nothing."""
    if execution.status != ExecutionStatus.REQUESTED or execution.cancel_requested_at is not None or is_ready:
        return ""
    words = "It waits for the Gateway; it will be sent when it is back, unless you cancel."
    if execution.deadline_at is not None:
        until = execution.deadline_at.astimezone(UTC)
        return f"{words} At {until:%Y-%m-%d %H:%M:%S} UTC its time limit ends: after that nothing is sent."
    return (
        f"{words} It has no time limit: the entry is sent whenever the Gateway returns, be it on another day, "
        "also one that is in force for the day only (DAY)."
    )
