"""What is to be sent about an order: why, and which evidence settles it.

    PLACE    the order, or all orders of a native bracket
    MODIFY   the order again under its id, changed
    CANCEL   the end of it, or of what it would still fill

A command is settled by what the broker tells, never by having been sent.
"""

from collections.abc import Collection
from enum import StrEnum

from app.domain.broker_events import AnyBrokerEvent, MessageMeaning, OrderMessageTold, OrderTold, ToldStatus
from app.domain.order_status import TERMINAL, UNANSWERED, OrderStatus

# What settles a command without a word of the broker.
WITHDRAWN = "withdrawn"  # It was never sent, and is not wanted any more.
SUPERSEDED = "superseded"  # A newer change of the same order says what is wanted; it may never have been sent.
GONE = "gone"  # The broker refused the cancel, and a complete answer, asked for afterwards, does not know the order.
PRICE_CHANGED = "price_changed"  # It was not sent: somebody else had moved the order meanwhile.
NOT_TAKEN = "not_taken"  # A complete answer, asked for after it was sent, knows the order as it was before.

# What the broker answers to a cancel of an order that is over (IB_FACTS B9): 161 not cancellable, 10147 not found,
# 10148 in a final state.
CANCEL_REFUSED_CODES = frozenset({161, 10147, 10148})

_OVER = frozenset({ToldStatus.CANCELLED, ToldStatus.API_CANCELLED, ToldStatus.FILLED, ToldStatus.INACTIVE})


class CommandKind(StrEnum):
    """What is sent."""

    PLACE = "PLACE"
    MODIFY = "MODIFY"
    CANCEL = "CANCEL"


class CommandReason(StrEnum):
    """Why it is sent."""

    REQUESTED = "requested"  # A person asked for it.
    ENTRY_TIMEOUT = "entry_timeout"
    KILL_SWITCH = "kill_switch"
    STOP_LOST = "stop_lost"  # What the entry would still fill has no stop.
    BRACKET_BROKEN = "bracket_broken"  # Its entry certainly filled nothing: the rest of the bracket protects nothing.
    LEFT_BEHIND = "left_behind"  # An entry that may rest in the Gateway, received and never transmitted.
    EXIT_LEFT = "exit_left"  # The position is closed, and this exit is left.
    CLOSING = "closing"  # The position is being closed: its exits go first.
    REPLACED = "replaced"  # A target beside a stop that nothing links it with.
    BARE_SHARES = "bare_shares"  # Shares without a working stop.
    MAKES_ROOM = "makes_room"  # A target, whose place among the broker's working orders a stop needs.
    RESIZED = "resized"  # Its size follows what is held.
    PROTECTED = "protected"  # A person asked for a stop.
    SURPLUS = "surplus"  # A person asked to buy or sell back what was closed too much.
    MOVED = "moved"  # A person moved its price.
    PUT_BACK = "put_back"  # A price that somebody set at the broker while a change of ours was on its way.


def cancel_settled(
    *, reason: CommandReason, status: OrderStatus, event: AnyBrokerEvent | None = None, was_sent: bool = True
) -> str:
    """Return what settles the cancel of an order with this status, "" where nothing does yet.

    Whatever ends the order settles it, a fill that overtook it included. An order left behind is over in our rows
    already, because no question shows it: there, it is the broker's answer to the cancel, of whatever kind.

    >>> cancel_settled(reason=CommandReason.REQUESTED, status=OrderStatus.FILLED)
    'order_filled'
    >>> cancel_settled(reason=CommandReason.REQUESTED, status=OrderStatus.PENDING_CANCEL)
    ''
    """
    if reason is not CommandReason.LEFT_BEHIND:
        return f"order_{status.lower()}" if status in TERMINAL else ""
    if not was_sent:
        return ""
    if isinstance(event, OrderMessageTold) and event.meaning is not MessageMeaning.CONNECTION:
        return f"answered_{event.code}"
    if isinstance(event, OrderTold) and event.status in _OVER:
        return f"told_{event.status.value.lower()}"
    return ""


def change_settled(*, status: OrderStatus, is_as_wanted: bool, event: AnyBrokerEvent | None = None) -> str:
    """Return what settles a change of an order with this status, "" where nothing does yet.

    The broker's echo does, which makes the order what was wanted; its end; and a refusal, after which the order lives
    on as it was. That it was sent does not.

    >>> change_settled(status=OrderStatus.WORKING, is_as_wanted=True)
    'echoed'
    """
    if status in TERMINAL:
        return f"order_{status.lower()}"
    if is_as_wanted:
        return "echoed"
    if isinstance(event, OrderMessageTold) and event.meaning is MessageMeaning.REQUEST_REFUSED:
        return f"refused_{event.code}"
    return ""


def place_settled(statuses: Collection[OrderStatus]) -> str:
    """Return what settles the placing of orders with these statuses: that the broker answered each, or never had it.

    >>> place_settled([OrderStatus.WORKING, OrderStatus.SENT])
    ''
    >>> place_settled([OrderStatus.WORKING, OrderStatus.HELD])
    'answered'
    """
    if not statuses or any(status in UNANSWERED for status in statuses):
        return ""
    if all(status is OrderStatus.NOT_PLACED for status in statuses):
        return "not_placed"
    return "refused" if OrderStatus.REJECTED in statuses else "answered"
