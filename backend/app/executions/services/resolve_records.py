"""Acts that complete the record: a deal that the broker tells no more, and flags that need nothing."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.auth.models import User

from app.core.decimal_text import plain
from app.core.errors import Conflict, FixRequest
from app.domain.broker_events import ClosedElsewhere, FillEntered
from app.domain.order_status import OrderStatus
from app.domain.prices import is_price
from app.domain.terms import Leg
from app.executions.models import Bracket, Order, open_quantity_of
from app.executions.services.deals import ENTERED, entry_id_next
from app.executions.services.resolve_facts import Asked, Facts, Plan, exits_left, name_of, shares
from app.executions.services.resolve_position import claim_change

_NONE = Decimal(0)
# By so much a clock at the broker may run ahead of ours.
CLOCKS_DIFFER_MAX = timedelta(minutes=1)
_NEVER_THERE = (OrderStatus.CREATED, OrderStatus.NOT_PLACED)


def enter_fill(facts: Facts, asked: Asked, user: User | None, now: datetime) -> Plan:
    """Plan that an order filled `quantity` at `price` though the broker tells that deal no more.

    Shares that were taken to be closed elsewhere are those that this deal closed. Raises FixRequest `field_missing`,
    `order_unknown`, `quantity_too_large`, `price_not_positive`, `time_not_possible`; Conflict `order_never_sent`,
    `order_is_open` (the broker lists it as open), `position_agrees` (the account holds all the shares).
    """
    quantity, price, executed_at = asked.quantity, asked.price, asked.executed_at
    if not asked.order_ref or quantity is None or price is None or executed_at is None:
        raise FixRequest("A deal has order_ref, quantity, price and executed_at.", code="field_missing")
    order, bracket = _order_named(facts, asked.order_ref)
    _require_possible(facts, order, quantity=quantity, price=price, executed_at=executed_at, now=now)
    exits = Leg(order.leg).is_exit
    held = open_quantity_of(bracket.orders.all())
    given_back = _given_back(facts, bracket, quantity=quantity, held=held) if exits else _NONE
    moved = (given_back - quantity) if exits else quantity
    said = f"{order.action} {plain(quantity)} at {plain(price, places_min=2)}"
    event = FillEntered(
        dedupe_key=f"entered:{order.order_ref}:{now.isoformat()}",
        account=facts.execution.account.account_id,
        received_at=now,
        order_ref=order.order_ref,
        entry_id=entry_id_next(order),
        quantity=quantity,
        price=price,
        executed_at=executed_at,
        evidence=f"{said}, {executed_at:%Y-%m-%d %H:%M:%S} UTC, entered by {name_of(user)}",
    )
    back: list[ClosedElsewhere] = []
    if given_back:
        back.append(claim_change(facts, bracket, -given_back, user=user, now=now))
    left = exits_left(facts, claims_after={bracket.pk: held + moved})
    return Plan(
        text=f"{order.order_ref} filled: {said}; the broker tells that deal no more. {asked.note}".strip(),
        open_after=facts.execution.open_quantity + moved,
        others_after=None if exits else _others_after_entry(facts, quantity),
        events=[*back, event],
        sends=[one for one in left if one.order_ref != order.order_ref],
    )


def dismiss(facts: Facts, asked: Asked, user: User | None, now: datetime) -> Plan:
    """Plan that what was flagged needs nothing. Raises FixRequest `note_missing`, Conflict `nothing_flagged`."""
    if not asked.note.strip():
        raise FixRequest("Say in note why nothing is to be done.", code="note_missing")
    if not facts.flags:
        raise Conflict("Nothing is flagged that nobody has seen.", code="nothing_flagged")
    flagged = len(facts.flags)
    text = f"{flagged} flag{'s are' if flagged > 1 else ' is'} over: {asked.note.strip()}"
    return Plan(text=text, open_after=facts.execution.open_quantity, sees_flags=True)


def _order_named(facts: Facts, order_ref: str) -> tuple[Order, Bracket]:
    for bracket in facts.brackets:
        for order in bracket.orders.all():
            if order.order_ref == order_ref:
                return order, bracket
    raise FixRequest(f"The execution has no order {order_ref}.", code="order_unknown")


def _require_possible(
    facts: Facts, order: Order, *, quantity: Decimal, price: Decimal, executed_at: datetime, now: datetime
) -> None:
    if OrderStatus(order.status) in _NEVER_THERE or order.sent_at is None:
        raise Conflict(f"{order.order_ref} was never at the broker: it cannot have filled.", code="order_never_sent")
    left = order.quantity - order.filled_quantity
    if not 0 < quantity <= left:
        raise FixRequest(
            f"{shares(max(left, _NONE))} of {order.order_ref} can have filled, not {plain(quantity)}.",
            code="quantity_too_large",
            details={"quantity_max": plain(left)},
        )
    same = order.fills.filter(exec_id__startswith=ENTERED, quantity=quantity, price=price, executed_at=executed_at)
    if same.exists():  # The request was sent again; two deals alike have moments of their own.
        raise Conflict("That deal was entered already.", code="deal_entered")
    if not is_price(price):
        raise FixRequest(f"A price must be positive, not {plain(price)}.", code="price_not_positive")
    if not order.sent_at - CLOCKS_DIFFER_MAX <= executed_at <= now + CLOCKS_DIFFER_MAX:
        raise FixRequest(
            f"A deal of {order.order_ref} is between {order.sent_at:%Y-%m-%d %H:%M:%S} UTC, when it was sent, and now.",
            code="time_not_possible",
        )
    if facts.open_refs is not None and order.order_ref in facts.open_refs and quantity == left:
        raise Conflict(
            f"The broker's last complete answer lists {order.order_ref} as open: it is not filled.",
            code="order_is_open",
        )
    row = facts.position
    all_ours_held = row is not None and not row.in_doubt and row.quantity == row.others + facts.claimed_by_all
    if all_ours_held and Leg(order.leg).is_exit and facts.execution.open_quantity > 0:
        raise Conflict("The account holds all the shares that our books say it does.", code="position_agrees")


def _others_after_entry(facts: Facts, quantity: Decimal) -> Decimal | None:
    """Return what belongs to others where shares that nobody claimed turn out to be ours; None where none did."""
    row = facts.position
    if row is None or row.in_doubt or row.others * facts.sign < quantity:
        return None
    return row.others - quantity * facts.sign


def _given_back(facts: Facts, bracket: Bracket, *, quantity: Decimal, held: Decimal) -> Decimal:
    """Return how many of the shares that were closed elsewhere are those that this deal closed."""
    return max(min(facts.entry_of(bracket).closed_elsewhere, quantity - max(held, _NONE)), _NONE)
