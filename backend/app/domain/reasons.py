"""Every reason why an execution ended, and every flag for a person: its code, its sentence, and what to do.

    ReasonCode   execution.reason_code: why it is over without a fill     REASONS
    FlagCode     ExecutionFlag.code: why a person must look at it         FLAGS

Programs read codes, people read sentences; what is said of one case (numbers, the broker's words) stands in the rows.
`docs/api.md` shows both tables; a test keeps it so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ReasonCode(StrEnum):
    """Why an execution is over without a fill."""

    ENTRY_TIMEOUT = "entry_timeout"
    REQUESTED = "requested"
    KILL_SWITCH = "kill_switch"
    STOP_LOST = "stop_lost"
    CANCELLED_AT_BROKER = "cancelled_at_broker"
    EXPIRED = "expired"
    DEALS_BUSTED = "deals_busted"
    ORDER_REFUSED = "order_refused"
    DEADLINE_PASSED = "deadline_passed"
    TOO_MANY_ORDERS = "too_many_orders"
    CANCELLED_BEFORE_SENDING = "cancelled_before_sending"
    NOT_PLACED = "not_placed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """`words` stand in a list, `sentence` on the page of the execution."""

    words: str
    sentence: str
    what_to_do: str


REASONS: Mapping[ReasonCode, Reason] = MappingProxyType(
    {
        ReasonCode.ENTRY_TIMEOUT: Reason(
            words="Time limit of the entry passed",
            sentence="The entry was not filled within its time limit; it was cancelled with its stop.",
            what_to_do="Execute it again if the plan still holds; give the entry more time, or another price.",
        ),
        ReasonCode.REQUESTED: Reason(
            words="Cancelled on request", sentence="It was cancelled on request.", what_to_do="Nothing."
        ),
        ReasonCode.KILL_SWITCH: Reason(
            words="Kill switch engaged",
            sentence="The kill switch was engaged, so the entry was cancelled.",
            what_to_do="Execute it again after the switch was released.",
        ),
        ReasonCode.STOP_LOST: Reason(
            words="Its stop was gone before the fill",
            sentence="The stop was gone before the entry was filled, so the entry was cancelled.",
            what_to_do="See who cancelled the stop, or why the broker did; then execute it again.",
        ),
        ReasonCode.CANCELLED_AT_BROKER: Reason(
            words="Cancelled at the broker",
            sentence="It was cancelled at the broker, not by us.",
            what_to_do="Read the broker's words, if there are any; else ask who works in TWS.",
        ),
        ReasonCode.EXPIRED: Reason(
            words="Expired with its time in force",
            sentence="The entry was not filled, and expired with its time in force.",
            what_to_do="Execute it again on another day, or with GTC.",
        ),
        ReasonCode.DEALS_BUSTED: Reason(
            words="Deals busted",
            sentence="Its deals were busted: the shares were taken back.",
            what_to_do="Compare with the account's statement.",
        ),
        ReasonCode.ORDER_REFUSED: Reason(
            words="Refused by the broker",
            sentence="The broker refused an order.",
            what_to_do="Read its code and words, mend what they name, and execute it again.",
        ),
        ReasonCode.DEADLINE_PASSED: Reason(
            words="Not sent in time",
            sentence="No broker worker took it before the entry's deadline; nothing was sent.",
            what_to_do="See /readyz: the worker or its Gateway was away.",
        ),
        ReasonCode.TOO_MANY_ORDERS: Reason(
            words="Too many orders on the contract",
            sentence="There was no room for its orders among those that the broker works with on the contract.",
            what_to_do="Use fewer targets, or wait until others on the contract are over.",
        ),
        ReasonCode.CANCELLED_BEFORE_SENDING: Reason(
            words="Cancelled before it was sent",
            sentence="It was cancelled before anything was sent.",
            what_to_do="Nothing.",
        ),
        ReasonCode.NOT_PLACED: Reason(
            words="Never arrived at the broker",
            sentence="The broker's complete answers do not know its orders: they never arrived.",
            what_to_do="Execute it again: nothing of it is at the broker.",
        ),
    }
)

_KNOWN = frozenset(code.value for code in ReasonCode)


def reason_words(code: str) -> str:
    """Return the words for a list; "" for a code that is none of ours."""
    return REASONS[ReasonCode(code)].words if code in _KNOWN else ""


def reason_sentence(code: str) -> str:
    """Return the sentence of a code; of one that is none of ours, that it was cancelled because of it."""
    return REASONS[ReasonCode(code)].sentence if code in _KNOWN else f"It was cancelled ({code})."
