"""The order life cycle: one table, and nothing else changes an order's status.

Rows are where an order stands, columns what is heard of it. `→X` moves it; `stay` is a legal message that changes
nothing; `late` is a message from the past (stored, ignored: the broker repeats and reorders its callbacks); `!` flags
the execution for a person, and `!→X` also moves, where the broker's word is worth more than what we had concluded.

A fill after CANCELLED is legal: the exchange may fill what a cancel was on its way to (a `202` is no proof of no fill).
REJECTED and NOT_PLACED are conclusions of ours, so an order at work under their name corrects them, loudly.

Only fills make an order FILLED. The broker's word alone (`FILLED_TOLD`) proves that the order arrived, which matters
where nothing was heard of it yet: it must neither be sent again nor be called NOT_PLACED. Where we had called it
finished without its fills, the word flags: shares may be held that we know nothing of.

SENT is our own doing, written before the first byte: after any news of the order it means that it is being sent twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class OrderStatus(StrEnum):
    """Where an order stands."""

    CREATED = "CREATED"  # a row, nothing on the wire
    SENT = "SENT"  # written ahead; on the wire or about to be, no answer yet
    PENDING_SUBMIT = "PENDING_SUBMIT"  # the Gateway has it, the broker has not answered
    HELD = "HELD"  # the broker has it: waits for its trigger, its entry or the open
    WORKING = "WORKING"  # at its destination
    PENDING_CANCEL = "PENDING_CANCEL"  # a cancel is on its way
    INACTIVE = "INACTIVE"  # neither working nor finished: refused for now, or parked by the broker
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    NOT_PLACED = "NOT_PLACED"  # proved by evidence never to have arrived


class OrderEvent(StrEnum):
    """What is heard of an order, in the past tense."""

    SENT = "SENT"  # written ahead of the first byte, by us
    PENDING_SUBMIT_TOLD = "PENDING_SUBMIT_TOLD"
    HELD_TOLD = "HELD_TOLD"
    WORKING_TOLD = "WORKING_TOLD"
    PENDING_CANCEL_TOLD = "PENDING_CANCEL_TOLD"
    INACTIVE_TOLD = "INACTIVE_TOLD"
    CANCELLED_TOLD = "CANCELLED_TOLD"
    FILLED_TOLD = "FILLED_TOLD"
    PARTLY_FILLED = "PARTLY_FILLED"  # a fill that leaves something to fill
    FULLY_FILLED = "FULLY_FILLED"  # the fill that completes the quantity
    REFUSED = "REFUSED"  # the broker refused the order itself
    PROVED_ABSENT = "PROVED_ABSENT"  # complete answers do not know its order_ref


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """What one message does: the status after it, whether it is `late`, whether a person must look (`flag`)."""

    status: OrderStatus
    late: bool = False
    flag: bool = False


LIVE = frozenset(
    {OrderStatus.PENDING_SUBMIT, OrderStatus.HELD, OrderStatus.WORKING, OrderStatus.PENDING_CANCEL}
)  # the broker has told us of it and it can still fill
TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.NOT_PLACED})
UNANSWERED = frozenset({OrderStatus.CREATED, OrderStatus.SENT})  # nothing heard of it yet
# Whatever the broker answers to an order that stands so may be its refusal.
NEVER_AT_WORK = frozenset({OrderStatus.SENT, OrderStatus.PENDING_SUBMIT, OrderStatus.INACTIVE})

_COLUMNS = (
    OrderEvent.SENT,
    OrderEvent.PENDING_SUBMIT_TOLD,
    OrderEvent.HELD_TOLD,
    OrderEvent.WORKING_TOLD,
    OrderEvent.PENDING_CANCEL_TOLD,
    OrderEvent.INACTIVE_TOLD,
    OrderEvent.CANCELLED_TOLD,
    OrderEvent.FILLED_TOLD,
    OrderEvent.PARTLY_FILLED,
    OrderEvent.FULLY_FILLED,
    OrderEvent.REFUSED,
    OrderEvent.PROVED_ABSENT,
)

# The abbreviations of the table below: the status moved to, or one of `stay`, `late`, `!`.
_MOVES = {
    "pend": OrderStatus.PENDING_SUBMIT,
    "held": OrderStatus.HELD,
    "work": OrderStatus.WORKING,
    "pcan": OrderStatus.PENDING_CANCEL,
    "inac": OrderStatus.INACTIVE,
    "canc": OrderStatus.CANCELLED,
    "fill": OrderStatus.FILLED,
    "rej": OrderStatus.REJECTED,
    "none": OrderStatus.NOT_PLACED,
    "sent": OrderStatus.SENT,
}

# fmt: off
_TABLE = {
    #                            SENT   PEND   HELD   WORK   PCAN   INAC   CANC   FILLED PARTLY FULLY  REFUSED ABSENT
    OrderStatus.CREATED:        "sent   !pend  !held  !work  !pcan  !inac  !canc  !work  !work  !fill  !rej    none",
    OrderStatus.SENT:           "stay   pend   held   work   pcan   inac   canc   work   work   fill   rej     none",
    OrderStatus.PENDING_SUBMIT: "!      stay   held   work   pcan   inac   canc   stay   work   fill   rej     !",
    OrderStatus.HELD:           "!      late   stay   work   pcan   inac   canc   stay   work   fill   rej     !",
    OrderStatus.WORKING:        "!      late   held   stay   pcan   inac   canc   stay   stay   fill   rej     !",
    OrderStatus.PENDING_CANCEL: "!      late   held   work   stay   inac   canc   stay   stay   fill   rej     !",
    OrderStatus.INACTIVE:       "!      late   held   work   pcan   stay   canc   stay   work   fill   rej     !",
    OrderStatus.FILLED:         "!      late   late   late   late   late   !      stay   !      stay   !       !",
    OrderStatus.CANCELLED:      "!      late   late   late   late   late   stay   !      stay   fill   rej     stay",
    OrderStatus.REJECTED:       "!      late   !held  !work  late   stay   stay   !      !work  !fill  stay    stay",
    OrderStatus.NOT_PLACED:     "!      !pend  !held  !work  !pcan  !inac  stay   !      !work  !fill  stay    stay",
}
# fmt: on


def _read_table() -> Mapping[tuple[OrderStatus, OrderEvent], Transition]:
    table: dict[tuple[OrderStatus, OrderEvent], Transition] = {}
    for status, row in _TABLE.items():
        for event, cell in zip(_COLUMNS, row.split(), strict=True):
            word = cell.removeprefix("!")
            table[status, event] = Transition(
                status=_MOVES.get(word, status), late=word == "late", flag=cell.startswith("!")
            )
    return table


TRANSITIONS: Mapping[tuple[OrderStatus, OrderEvent], Transition] = _read_table()


def transition(status: OrderStatus, event: OrderEvent) -> Transition:
    """Return what `event` does to an order in `status`. Every pair has an answer."""
    return TRANSITIONS[status, event]


def display_status(status: OrderStatus, *, filled_any: bool) -> str:
    """Return the status in the words the API and the pages show.

    HELD shows as ACCEPTED, WORKING as SUBMITTED, a live order with fills as PARTIALLY_FILLED; the rest as they are.
    """
    if filled_any and status in (OrderStatus.HELD, OrderStatus.WORKING):
        return "PARTIALLY_FILLED"
    return {OrderStatus.HELD: "ACCEPTED", OrderStatus.WORKING: "SUBMITTED"}.get(status, status.value)
