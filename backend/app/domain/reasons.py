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


class RaisedBy(StrEnum):
    """Which part of the system raised a flag."""

    RECORDER = "RECORDER"  # what takes in what the broker says
    GUARD = "GUARD"
    RECONCILE = "RECONCILE"
    SWEEP = "SWEEP"  # what keeps the time limits
    CLOSE = "CLOSE"
    SENDER = "SENDER"
    WATCHDOG = "WATCHDOG"
    UNKNOWN = "UNKNOWN"  # raised before it was noted


class FlagCode(StrEnum):
    """Why a person must look at an execution."""

    SHARES_BARE = "shares_bare"
    STOP_GONE = "stop_gone"
    STOP_REFUSED = "stop_refused"
    STOP_WAITS = "stop_waits"
    GUARD_ASKS = "guard_asks"
    NO_ROOM_FOR_STOP = "no_room_for_stop"
    TARGET_UNLINKED = "target_unlinked"
    MORE_CLOSED_THAN_OPENED = "more_closed_than_opened"
    POSITION_DIFFERS = "position_differs"
    CLOSED_ELSEWHERE = "closed_elsewhere"
    CLOSE_FAILED = "close_failed"
    CLOSE_WAITS = "close_waits"
    CLOSES_REFUSED = "closes_refused"
    NEVER_ARRIVED = "never_arrived"
    BOOKS_DIFFER = "books_differ"
    UNANSWERED = "unanswered"
    NOT_OURS_TO_CHANGE = "not_ours_to_change"
    CHANGE_NOT_TAKEN = "change_not_taken"
    SIZE_CHANGED = "size_changed"
    OVERFILLED = "overfilled"
    DEAL_BUSTED = "deal_busted"
    DEAL_TIME_UNREADABLE = "deal_time_unreadable"
    DEAL_UNREADABLE = "deal_unreadable"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_STATUS = "unknown_status"
    TWO_PERMANENT_IDS = "two_permanent_ids"
    UNEXPECTED = "unexpected"
    NOT_APPLIED = "not_applied"
    EARLIER = "earlier"


class OverWhen(StrEnum):
    """What ends a flag. What lasts can come back as another flag; what is past is over once somebody has seen it."""

    SEEN = "SEEN"
    COVERED = "COVERED"  # what is held is behind working stops of its size, and no exit is too large
    CLOSED = "CLOSED"  # nothing is held
    NOT_CLOSING = "NOT_CLOSING"  # nothing is to be closed any more
    ANSWERED = "ANSWERED"  # nothing waits any more
    MARKET_OPEN = "MARKET_OPEN"  # regular trading has begun, or nothing is held
    BALANCED = "BALANCED"  # not more is closed than was opened


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """`gives_up`: shares could not be protected, which is told louder than anything else."""

    sentence: str
    what_to_do: str
    raised_by: RaisedBy
    over_when: OverWhen = OverWhen.SEEN
    gives_up: bool = False


FLAGS: Mapping[FlagCode, Flag] = MappingProxyType(
    {
        FlagCode.SHARES_BARE: Flag(
            sentence="Shares have had no working stop for a while.",
            what_to_do="See whether the Gateway is connected; place a stop in TWS, or close the position.",
            raised_by=RaisedBy.WATCHDOG,
            over_when=OverWhen.COVERED,
            gives_up=True,
        ),
        FlagCode.STOP_GONE: Flag(
            sentence="A stop was gone while shares were held, and the guard asked for another.",
            what_to_do="See that the new stop works, and why the first one went.",
            raised_by=RaisedBy.GUARD,
            over_when=OverWhen.COVERED,
        ),
        FlagCode.STOP_REFUSED: Flag(
            sentence="Shares are held, and the stop for them was refused, never arrived, or was not sent.",
            what_to_do="Read why; see that the guard's stop works.",
            raised_by=RaisedBy.RECORDER,
            over_when=OverWhen.COVERED,
        ),
        FlagCode.STOP_WAITS: Flag(
            sentence="The broker has the stop and it does not work now: it waits for regular hours.",
            what_to_do="Watch the position until then, or close it with an order that fills outside regular hours.",
            raised_by=RaisedBy.RECORDER,
            over_when=OverWhen.MARKET_OPEN,
        ),
        FlagCode.GUARD_ASKS: Flag(
            sentence="The guard could not put right what it found, and leaves it to a person.",
            what_to_do="Compare with TWS at once: place or cancel there what is missing or too much, or resolve it.",
            raised_by=RaisedBy.GUARD,
            over_when=OverWhen.COVERED,
            gives_up=True,
        ),
        FlagCode.NO_ROOM_FOR_STOP: Flag(
            sentence="The broker works with no more orders on the contract, so a stop had to take another's place.",
            what_to_do="Cancel what is not needed on the contract.",
            raised_by=RaisedBy.GUARD,
            over_when=OverWhen.COVERED,
        ),
        FlagCode.TARGET_UNLINKED: Flag(
            sentence="A target is not linked with the stop that was asked for, so it is cancelled.",
            what_to_do="See that it is gone: both could close the shares.",
            raised_by=RaisedBy.GUARD,
            over_when=OverWhen.COVERED,
        ),
        FlagCode.MORE_CLOSED_THAN_OPENED: Flag(
            sentence="More was closed than opened: the account holds the opposite.",
            what_to_do="Close the surplus in TWS, or resolve it.",
            raised_by=RaisedBy.RECORDER,
            over_when=OverWhen.BALANCED,
        ),
        FlagCode.POSITION_DIFFERS: Flag(
            sentence="The account's position is another one than our rows say, and no deal explains it.",
            what_to_do="See whether there was a split or a transfer; then resolve it.",
            raised_by=RaisedBy.RECONCILE,
        ),
        FlagCode.CLOSED_ELSEWHERE: Flag(
            sentence="Shares of a tranche were closed by none of its orders.",
            what_to_do="See whose deal it was; take it back if it was not of this execution.",
            raised_by=RaisedBy.RECONCILE,
        ),
        FlagCode.CLOSE_FAILED: Flag(
            sentence="The orders to close it failed; the guard's stop stays.",
            what_to_do="Read why, and close it in TWS or again here.",
            raised_by=RaisedBy.CLOSE,
            over_when=OverWhen.CLOSED,
        ),
        FlagCode.CLOSE_WAITS: Flag(
            sentence="It is to be closed and waits: the account may not hold it.",
            what_to_do="Look at TWS; if the position does not agree by itself, resolve it.",
            raised_by=RaisedBy.CLOSE,
            over_when=OverWhen.NOT_CLOSING,
        ),
        FlagCode.CLOSES_REFUSED: Flag(
            sentence="It is to be closed and keeps its stop: the broker refuses what closes other positions.",
            what_to_do="Read there why (`close_failed`); one is tried every half minute, or close it in TWS.",
            raised_by=RaisedBy.CLOSE,
            over_when=OverWhen.NOT_CLOSING,
        ),
        FlagCode.NEVER_ARRIVED: Flag(
            sentence="A part of it never reached the broker, though other orders did.",
            what_to_do="See what is at the broker, and place what is missing.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.BOOKS_DIFFER: Flag(
            sentence="The broker's complete answers and our rows do not agree on an order.",
            what_to_do="Compare the order with TWS, and resolve it.",
            raised_by=RaisedBy.RECONCILE,
        ),
        FlagCode.UNANSWERED: Flag(
            sentence="Something waits for the broker's answer for too long.",
            what_to_do="See whether the Gateway is connected, and compare with TWS.",
            raised_by=RaisedBy.SWEEP,
            over_when=OverWhen.ANSWERED,
        ),
        FlagCode.NOT_OURS_TO_CHANGE: Flag(
            sentence="An order was placed by another client id, and only that one can change or cancel it.",
            what_to_do="Cancel or change it in TWS.",
            raised_by=RaisedBy.SENDER,
        ),
        FlagCode.CHANGE_NOT_TAKEN: Flag(
            sentence="A stop or target was to be moved, and is not where it was wanted.",
            what_to_do="See where it is, and move it again if that is not right.",
            raised_by=RaisedBy.SENDER,
        ),
        FlagCode.SIZE_CHANGED: Flag(
            sentence="The broker works with another size than was sent.",
            what_to_do="See who changed it in TWS.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.OVERFILLED: Flag(
            sentence="The deals of an order add up to more than its size.",
            what_to_do="Compare with the account's position and deals.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.DEAL_BUSTED: Flag(
            sentence="The exchange took a deal back.",
            what_to_do="Compare with the account's statement.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.DEAL_TIME_UNREADABLE: Flag(
            sentence="The time of a deal could not be read: when it was heard is noted instead.",
            what_to_do="Set IB_TIME_ZONE, if the Gateway's zone is not known.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.DEAL_UNREADABLE: Flag(
            sentence="A deal could not be read: its shares or its price are not known.",
            what_to_do="Look in TWS, and enter the deal by hand (resolve).",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.UNKNOWN_CODE: Flag(
            sentence="The broker said a code that is in no table.",
            what_to_do="Read its text, and see in TWS whether the order is as it should be.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.UNKNOWN_STATUS: Flag(
            sentence="The broker told a status that is not known.",
            what_to_do="See in TWS how the order stands.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.TWO_PERMANENT_IDS: Flag(
            sentence="One order has two permanent ids.",
            what_to_do="See in TWS which orders there are.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.UNEXPECTED: Flag(
            sentence="The broker said of an order what should not happen where it stood.",
            what_to_do="Compare the order with TWS.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.NOT_APPLIED: Flag(
            sentence="What the broker said could not be applied; it is stored.",
            what_to_do="Ask for help, with the log of that moment; compare with TWS meanwhile.",
            raised_by=RaisedBy.RECORDER,
        ),
        FlagCode.EARLIER: Flag(
            sentence="It was raised before reasons had codes.",
            what_to_do="Read its text.",
            raised_by=RaisedBy.UNKNOWN,
        ),
    }
)

# Raised while they are true alone: found again after they were over, they are of something new.
COMES_BACK = frozenset({FlagCode.GUARD_ASKS, FlagCode.CLOSE_WAITS, FlagCode.CLOSES_REFUSED, FlagCode.UNANSWERED})
LASTING = frozenset(code for code, flag in FLAGS.items() if flag.over_when is not OverWhen.SEEN)
