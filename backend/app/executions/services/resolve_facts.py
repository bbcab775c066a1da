"""What a person sees before deciding about an execution, and what an act would do. Plain data; nothing is written here.

facts_read ──> Facts ──(an act)──> Plan ──> resolve: previewed, or carried out
                 └── token: two looks at the same facts have the same one
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.contrib.auth.models import User

from app.accounts.models import Position
from app.domain.broker_events import AnyBrokerEvent
from app.domain.command import CommandReason
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg, Side
from app.executions.models import Bracket, Execution, ExecutionFlag, Order, ReconcileRun, open_quantity_of
from app.executions.services.exposure import claiming, claims_of

NOTE_LENGTH_MAX = 400
_NONE = Decimal(0)
_AT_WORK = (OrderStatus.HELD, OrderStatus.WORKING)


class Act(StrEnum):
    """What a person decides."""

    CLOSED_ELSEWHERE = "closed_elsewhere"
    NOT_OURS = "not_ours"
    TAKE_OVER = "take_over"
    PROTECT = "protect"
    CLOSE_SURPLUS = "close_surplus"
    ENTER_FILL = "enter_fill"
    DISMISS = "dismiss"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """An act with what was said about it; which of it an act needs, its function says."""

    act: Act
    quantity: Decimal | None = None
    difference: Decimal | None = None
    stop_price: Decimal | None = None
    order_ref: str = ""
    price: Decimal | None = None
    executed_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """An execution with its orders, its flags that nobody has seen, and what the account holds of its instrument."""

    execution: Execution
    brackets: Sequence[Bracket]
    flags: Sequence[ExecutionFlag]
    position: Position | None
    claimed_by_all: Decimal  # By every execution of the instrument, signed.
    open_refs: frozenset[str] | None  # Our orders in the broker's last complete answer; None where there was none.
    quote: Decimal | None  # At most five seconds old; None where there is none, or where no act needs one.

    @property
    def orders(self) -> list[Order]:
        """The orders of all brackets."""
        return [order for bracket in self.brackets for order in bracket.orders.all()]

    @property
    def sign(self) -> int:
        """+1 for a long execution, -1 for a short one."""
        return Side(self.execution.side).sign

    @property
    def difference(self) -> Decimal:
        """What the account holds beyond our books, signed; 0 where it agrees or was not compared."""
        return self.position.disputed if self.position is not None else _NONE

    @property
    def others(self) -> Decimal:
        """What belongs to others in our books, signed."""
        return self.position.others if self.position is not None else _NONE

    def entry_of(self, bracket: Bracket) -> Order:
        """Return the bracket's entry."""
        return next(order for order in bracket.orders.all() if order.leg == Leg.ENTRY.value)

    @property
    def token(self) -> str:
        """What names these facts: it is another one as soon as any of them has changed."""
        known = {
            "execution": [self.execution.pk, self.execution.status, str(self.execution.open_quantity)],
            "orders": [_order_facts(order) for order in self.orders],
            "flags": [flag.pk for flag in self.flags],
            "position": _position_facts(self.position),
            "claimed": str(self.claimed_by_all.normalize()),
        }
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """One thing that is sent at the broker because of an act: by it, or by the guard that follows it."""

    kind: str  # PLACE, MODIFY, CANCEL
    order_ref: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedOrder:
    """An order that an act places, not saved yet, and the targets that nothing would link with it: they go with it."""

    order: Order
    reason: CommandReason
    replaces: Sequence[Order] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an act does: what is recorded, what is sent, and how it stands afterwards.

    `others_after` is None where the account's position is left as it stands in our books.
    """

    text: str
    open_after: Decimal
    others_after: Decimal | None = None
    events: Sequence[AnyBrokerEvent] = ()
    places: Sequence[PlannedOrder] = ()
    sends: Sequence[Sending] = ()
    sees_flags: bool = False
    ends_wish: bool = False  # to close it


def facts_read(
    execution: Execution, *, position: Position | None, now: datetime, quote: Decimal | None = None
) -> Facts:
    """Read what is known; the caller has locked the position's row and the execution."""
    brackets = list(execution.brackets.prefetch_related("orders").order_by("tranche"))
    claims = claims_of(list(claiming(execution.account, now=now).filter(con_id=execution.con_id)))
    run = ReconcileRun.objects.filter(account=execution.account, is_complete=True).first()
    return Facts(
        execution=execution,
        brackets=brackets,
        flags=list(execution.flags.filter(seen_at__isnull=True)),
        position=position,
        claimed_by_all=sum(claims.values(), _NONE),
        open_refs=frozenset(run.answered.get("open_refs", ())) if run is not None else None,
        quote=quote,
    )


def name_of(user: User | None) -> str:
    """Return who decides, as the record says it."""
    return user.get_username() if user is not None else "the command line"


def shares(quantity: Decimal) -> str:
    """Return a number of shares in words."""
    return f"{quantity.normalize():f} share{'' if quantity == 1 else 's'}"


def exits_left(facts: Facts, *, claims_after: dict[int, Decimal]) -> Iterable[Sending]:
    """Say which exits the guard cancels or cuts where the brackets hold as much as said, by their ids."""
    for bracket in facts.brackets:
        orders = list(bracket.orders.all())
        after = claims_after.get(bracket.pk, open_quantity_of(orders))
        for order in orders:
            left = order.quantity - order.filled_quantity
            if not Leg(order.leg).is_exit or OrderStatus(order.status) not in _AT_WORK or left <= after:
                continue
            if after <= 0:
                yield Sending(kind="CANCEL", order_ref=order.order_ref, text="nothing is left for it to close")
            else:
                yield Sending(kind="MODIFY", order_ref=order.order_ref, text=f"cut to {shares(after)}")


def _order_facts(order: Order) -> list[str]:
    numbers = (order.quantity, order.filled_quantity, order.closed_elsewhere, order.stop_price, order.limit_price)
    return [order.order_ref, order.status, *(str(number) for number in numbers)]


def _position_facts(position: Position | None) -> list[str]:
    if position is None:
        return []
    return [str(position.quantity), str(position.others), str(position.disputed), str(position.in_doubt)]
