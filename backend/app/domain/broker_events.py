"""What a broker tells us, in the past tense and in domain words, stored as told before it is interpreted.

    OrderTold         an order's state, from an open-order or status message, or from a completed order
    OrderMessageTold  a code and a text about an order (refusal, warning, information)
    FillTold          one deal
    CommissionTold    the cost of one deal
    AbsenceProved     complete answers of the broker do not know an order of ours (told by reconcile)
    ClosedElsewhere   shares of ours were closed by no order of ours (told by what compares the account with our rows)
    FillEntered       one deal that the broker tells no more, as a person entered it
    OverProved        an order of ours is over, and the broker tells no more how it ended

Each carries a `dedupe_key`: the same fact told twice has the same key, so storing it again changes nothing. Fills and
commissions are named by the broker's own `exec_id`, in every session the same; states and messages by session and
change number, because an order may truly return to a state it had before.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from app.domain.terms import Action


class ToldStatus(StrEnum):
    """The broker's own words for an order's state, and what else an adapter may hear.

    Interactive Brokers' words are kept as they are on the wire; another broker's adapter translates to them.
    """

    PENDING_SUBMIT = "PendingSubmit"
    API_PENDING = "ApiPending"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    API_CANCELLED = "ApiCancelled"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"
    UNKNOWN = "Unknown"


class MessageMeaning(StrEnum):
    """What a code means for the order it is about. UNKNOWN codes need a person; they never mean a refusal.

    REFUSAL_SUSPECTED is a code that is no certain refusal and the first thing heard of a new order: it was refused
    unless the broker's complete answers have it.
    """

    INFORMATION = "INFORMATION"
    WARNING = "WARNING"
    REFUSAL = "REFUSAL"  # of the order itself
    REFUSAL_SUSPECTED = "REFUSAL_SUSPECTED"
    REQUEST_REFUSED = "REQUEST_REFUSED"  # of a modify or cancel: the order lives on as it was
    CONNECTION = "CONNECTION"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerEvent:
    """What all events share. `account` may be "" where the broker doesn't say; times are aware, in UTC."""

    kind: ClassVar[str] = ""

    dedupe_key: str
    account: str
    received_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderTold(BrokerEvent):
    """An order's state. `order_ref` is "" and `perm_id` 0 where the message does not carry them.

    `filled` and `remaining` are what the message claims; filled quantities are taken from fills only. Prices are None
    where the broker has not told them, or the order has none; a trailing order's stop is where it stands by now.
    What only an open-order message says (`order_type`, the OCA group) is "" until one came.
    """

    kind: ClassVar[str] = "order_told"

    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    status: ToldStatus
    raw_status: str
    filled: Decimal
    remaining: Decimal
    average_price: Decimal
    why_held: str = ""
    parent_id: int = 0
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    order_type: str = ""  # in our words where we have one
    oca_group: str = ""
    oca_type: int = 0
    source: str = "status"  # status | open_order | completed_order
    ended_because: str = ""  # of what was cancelled, in the broker's own words


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderMessageTold(BrokerEvent):
    """A code and text about one order."""

    kind: ClassVar[str] = "order_message_told"

    order_id: int
    client_id: int
    code: int
    text: str
    meaning: MessageMeaning
    ended_because: str = ""  # of an order that ended with it, in the broker's own words
    ignores_outside_hours: bool = False  # the order works in regular hours only, whatever was asked for
    waits_until: str = ""  # until when it is not placed at the exchange, in the broker's own words


@dataclass(frozen=True, kw_only=True, slots=True)
class FillTold(BrokerEvent):
    """One deal. A correction has the `exec_id` of the deal it replaces but for the last segment (`.01` → `.02`)."""

    kind: ClassVar[str] = "fill_told"

    exec_id: str
    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    symbol: str
    action: Action
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    con_id: int = 0  # of what was traded; 0 in what was stored before it was noted
    cumulative: Decimal = Decimal(0)  # what the order had filled with this deal, by the broker's count; 0: not told
    unreadable_time: str = ""  # as it was told, where `executed_at` is when it was heard instead


@dataclass(frozen=True, kw_only=True, slots=True)
class DealUnreadable(BrokerEvent):
    """A deal of which what is needed (shares, price, side) cannot be read; `evidence` says what was told instead.

    Each complete answer tells it again, and nobody can read it then either: it is noted once.
    """

    kind: ClassVar[str] = "deal_unreadable"

    deal_id: str
    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    symbol: str
    con_id: int
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CommissionTold(BrokerEvent):
    """The cost of one deal. `realized_pnl` is None where the deal opened a position."""

    kind: ClassVar[str] = "commission_told"

    exec_id: str
    amount: Decimal
    currency: str
    realized_pnl: Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsenceProved(BrokerEvent):
    """Complete answers do not know `order_ref`. `evidence` says which questions were asked and when."""

    kind: ClassVar[str] = "absence_proved"

    order_ref: str
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClosedElsewhere(BrokerEvent):
    """Of what the entry `order_ref` filled, `quantity` shares were closed by no order of its bracket.

    Negative to take back, and where its bracket closed what was of another one (see `tranches_net`).

    `evidence` says by what it is known.
    """

    kind: ClassVar[str] = "closed_elsewhere"

    order_ref: str
    quantity: Decimal
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusalProved(BrokerEvent):
    """The broker refused `order_ref`, and its complete list of open orders, asked for afterwards, does not have it.

    A refusal alone is no proof: an order that lives all the same would fill beside what is sent in its place. What was
    a suspicion only is a refusal by this.
    """

    kind: ClassVar[str] = "refusal_proved"

    order_ref: str
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FillEntered(BrokerEvent):
    """A deal on `order_ref` that the broker tells no more, entered by a person; the real one takes its place.

    `entry_id` names it, as `exec_id` names a deal that was told. `evidence` says who entered it.
    """

    kind: ClassVar[str] = "fill_entered"

    order_ref: str
    entry_id: str
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OverProved(BrokerEvent):
    """`order_ref` is over: the broker refused to cancel it because it is, and no complete answer knows it."""

    kind: ClassVar[str] = "over_proved"

    order_ref: str
    evidence: str


# What we conclude from answers, or a person says, about an order that is named by its `order_ref`.
Concluded = AbsenceProved | ClosedElsewhere | RefusalProved | FillEntered | OverProved
AnyBrokerEvent = OrderTold | OrderMessageTold | FillTold | DealUnreadable | CommissionTold | Concluded

_CORRECTABLE = re.compile(r"([^.]+(?:\.[^.]+){2,})\.([0-9]{1,4})")

EVENT_TYPES: Mapping[str, type[AnyBrokerEvent]] = MappingProxyType(
    {
        cls.kind: cls
        for cls in (
            OrderTold,
            OrderMessageTold,
            FillTold,
            DealUnreadable,
            CommissionTold,
            AbsenceProved,
            ClosedElsewhere,
            RefusalProved,
            FillEntered,
            OverProved,
        )
    }
)

# No fact has parts, so `asdict`, which copies all it finds, is not needed.
_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {kind: tuple(field.name for field in fields(cls)) for kind, cls in EVENT_TYPES.items()}
)


def event_to_payload(event: AnyBrokerEvent) -> dict[str, Any]:
    """Return the event as JSON-able facts: decimals and times as strings."""
    return {name: _to_json(getattr(event, name)) for name in _NAMES[event.kind]}


def event_from_payload(kind: str, payload: Mapping[str, Any]) -> AnyBrokerEvent:
    """Return the event that `event_to_payload` was given.

    A payload stored before a field with a default existed still reads. Raises KeyError for an unknown kind or a
    missing fact.
    """
    cls = EVENT_TYPES[kind]
    values = {
        field.name: _from_json(payload[field.name], field.type)
        for field in fields(cls)
        if field.name in payload or field.default is MISSING
    }
    return cls(**values)


def correction_root(exec_id: str) -> str:
    """Return what a deal and its corrections share: `exec_id` without its last segment.

    Source: IBKR Campus, "Execution details": a correction differs in the digits after the last period; ids have four
    segments (five for combinations) that end in digits. An id of any other shape is its own root: two deals taken for
    a deal and its correction would lose shares.
    """
    match = _CORRECTABLE.fullmatch(exec_id)
    return match[1] if match else exec_id


def correction_number(exec_id: str) -> int:
    """Return the last segment's number; a higher one replaces a lower one. 0 where an id cannot be corrected."""
    match = _CORRECTABLE.fullmatch(exec_id)
    return int(match[2]) if match else 0


def _to_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return value


_READERS: Mapping[Any, Any] = MappingProxyType(
    {Decimal: Decimal, datetime: datetime.fromisoformat, ToldStatus: ToldStatus, Action: Action}
    | {MessageMeaning: MessageMeaning, Decimal | None: lambda text: None if text is None else Decimal(text)}
)


def _from_json(value: Any, declared: Any) -> Any:
    return _READERS.get(declared, lambda same: same)(value)
