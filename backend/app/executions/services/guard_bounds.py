"""How much the guard has tried on a bracket lately: beyond that a person is asked."""

from datetime import datetime, timedelta

from app.domain.order_status import OrderStatus
from app.domain.protection import RepairKind
from app.domain.terms import Leg
from app.executions.models import Actor, Bracket, Decision

REPAIRS_WINDOW = timedelta(minutes=1)
# Who cancels a stop by hand again and again wants it gone: after so many replacements a person is asked instead.
CANCELLED_BY_HAND_MAX = 2
CANCELLED_BY_HAND_WINDOW = timedelta(minutes=10)


def repairs_lately(bracket_id: int, *, now: datetime) -> int:
    """Count them without cancels of the entry: those are few by themselves, and end what needs repairing."""
    lately = Decision.objects.filter(
        bracket_id=bracket_id, actor=Actor.GUARD.value, decided_at__gt=now - REPAIRS_WINDOW, decided_at__lte=now
    )
    return lately.exclude(action=RepairKind.CANCEL_ENTRY.value).count()


def replaced_in_vain(bracket: Bracket, *, now: datetime) -> bool:
    """Say whether the stops that were placed for a lost one were cancelled lately, and not by us."""
    by_us = Decision.objects.filter(bracket=bracket, action=RepairKind.CANCEL.value).values_list("order_id", flat=True)
    cancelled = bracket.orders.filter(
        leg=Leg.PROTECT.value,
        status=OrderStatus.CANCELLED.value,
        finished_at__gt=now - CANCELLED_BY_HAND_WINDOW,
        finished_at__lte=now,
        bracket__execution__flatten_requested_at__isnull=True,
    )
    return cancelled.exclude(pk__in=by_us).count() >= CANCELLED_BY_HAND_MAX
