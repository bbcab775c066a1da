"""An order's row as the rules of `domain.protection` and `domain.cancel` want it."""

from app.domain.order_status import OrderStatus
from app.domain.protection import LegFacts
from app.domain.terms import Leg
from app.executions.models import Order
from app.executions.outbox import LegRow

CHILD_OF_OPEN_ENTRY = "child"  # IB's whyHeld of a leg that waits for its entry (IB_FACTS B1)


def waits_for_entry(why_held: str) -> bool:
    """Say whether the broker holds a child back until its entry has filled."""
    return CHILD_OF_OPEN_ENTRY in why_held.split(",")


def leg_facts(order: Order | LegRow) -> LegFacts:
    """Return what decides about an order."""
    return LegFacts(
        key=order.pk,
        leg=Leg(order.leg),
        status=OrderStatus(order.status),
        quantity=order.quantity,
        filled=order.filled_quantity,
        closed_elsewhere=order.closed_elsewhere,
        told_filled=order.told_filled,
        refusal_proved=order.refusal_proved,
        refusal_suspected=order.refusal_suspected,
        waits_for_entry=waits_for_entry(order.why_held),
    )
