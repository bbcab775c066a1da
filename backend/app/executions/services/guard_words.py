"""What the guard tells a person: what was asked for and when, and what came of what was asked for before."""

from datetime import datetime
from operator import attrgetter

from django.db.models import Max

from app.core.decimal_text import plain
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.protection import Protection
from app.domain.terms import Leg
from app.executions.models import Bracket, BrokerEvent, Order

_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


def _stop_lost_at(bracket: Bracket) -> datetime | None:
    """Return when the broker last spoke of a stop of the bracket that is over by now; None where none is."""
    # A replacement that was refused was no stop at any time: the shares have had none since before it.
    refused = (Leg.PROTECT.value, OrderStatus.REJECTED.value)
    stops = [leg for leg in bracket.orders.all() if leg.leg in _STOPS and (leg.leg, leg.status) != refused]
    over = [leg.pk for leg in stops if OrderStatus(leg.status) in TERMINAL]
    heard: datetime | None = BrokerEvent.objects.filter(order__in=over).aggregate(at=Max("received_at"))["at"]
    return heard


def last_protect(bracket: Bracket) -> Order | None:
    """Return the stop that was asked for last, None where none was."""
    legs = [order for order in bracket.orders.all() if order.leg == Leg.PROTECT.value]
    return max(legs, key=attrgetter("pk"), default=None)


def asked_sentence(bracket: Bracket, order: Order, *, now: datetime) -> str:
    """Return what was asked for. It is not there yet: what came of it is said by the next sentence."""
    lost_at = _stop_lost_at(bracket)
    since = f" since {lost_at:%H:%M:%S} UTC" if lost_at is not None and lost_at <= now else ""
    bare = f"tranche {bracket.tranche}: {plain(order.quantity)} shares had no stop{since}"
    return f"{bare}; {order.order_ref} was asked for at {now:%H:%M:%S} UTC{came_of(last_protect(bracket))}"


def came_of(before: Order | None, *, is_last: bool = False) -> str:
    """Return what came of the stop that was asked for before, as the rest of a sentence; "" where it was a stop."""
    if before is None or before.status not in (OrderStatus.REJECTED.value, OrderStatus.NOT_PLACED.value):
        return ""
    said = f" ({before.last_error_code}: {before.last_error})" if before.last_error_code is not None else ""
    came = f"was refused{said}" if before.status == OrderStatus.REJECTED.value else "did not arrive at the broker"
    return f": the last stop {came}" if is_last else f", after {before.order_ref} {came}"


def protection_evidence(protection: Protection, bracket: Bracket) -> dict[str, object]:
    """Return what a repair was decided by."""
    return {
        "coverage": protection.coverage.value,
        "held": str(protection.held),
        "covered": str(protection.covered),
        "orders": [
            {
                "order_ref": order.order_ref,
                "status": order.status,
                "quantity": str(order.quantity),
                "filled": str(order.filled_quantity),
                "why_held": order.why_held,
            }
            for order in bracket.orders.all()
        ],
    }
