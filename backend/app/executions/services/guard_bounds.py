"""How much the guard has tried on a bracket lately: beyond that a person is asked."""

from datetime import datetime, timedelta
from itertools import takewhile
from operator import attrgetter

from app.domain.command import CommandKind
from app.domain.order_status import OrderStatus
from app.domain.protection import RepairKind
from app.domain.terms import Leg
from app.executions.models import Actor, Bracket, Decision, Order, OrderCommand

REPAIRS_WINDOW = timedelta(minutes=1)
# Who cancels a stop by hand again and again wants it gone: after so many replacements a person is asked instead.
CANCELLED_BY_HAND_MAX = 2
CANCELLED_BY_HAND_WINDOW = timedelta(minutes=10)
REFUSED_ALIKE_MAX = 2
REFUSED_PAUSE_MIN, REFUSED_PAUSE_MAX = timedelta(seconds=30), timedelta(minutes=2)
_REFUSED_COUNTED_MAX = 5


def repairs_lately(bracket_id: int, *, now: datetime) -> int:
    """Count them without cancels of the entry: those are few by themselves, and end what needs repairing."""
    lately = Decision.objects.filter(
        bracket_id=bracket_id, actor=Actor.GUARD.value, decided_at__gt=now - REPAIRS_WINDOW, decided_at__lte=now
    )
    return lately.exclude(action=RepairKind.CANCEL_ENTRY.value).count()


def refused_alike(bracket: Bracket, *, now: datetime) -> Order | None:
    """Return the guard's last stop where it was refused as the one before, and it is too early to try again.

    What the broker refuses twice with one code it will mostly refuse again: the contract is gone, the API is read-only.
    From then on each try waits longer: 30 s, one minute, two minutes.

    >>> [refused_pause(times).total_seconds() for times in (2, 3, 4, 9)]
    [30.0, 60.0, 120.0, 120.0]
    """
    placed = [order for order in bracket.orders.all() if order.leg == Leg.PROTECT.value]
    stops = sorted(placed, key=attrgetter("pk"), reverse=True)[:_REFUSED_COUNTED_MAX]
    alike = list(
        takewhile(
            lambda stop: stop.status == OrderStatus.REJECTED and stop.last_error_code == stops[0].last_error_code, stops
        )
    )
    if len(alike) < REFUSED_ALIKE_MAX:
        return None
    tried = Decision.objects.filter(order=stops[0], action=RepairKind.PLACE_STOP.value)
    early = tried.filter(decided_at__gt=now - refused_pause(len(alike)), decided_at__lte=now).exists()
    return stops[0] if early else None


def refused_pause(times: int) -> timedelta:
    """Return how long after a stop that was refused so many times in a row the next one is tried."""
    pause: timedelta = REFUSED_PAUSE_MIN * 2 ** (times - REFUSED_ALIKE_MAX)
    return min(REFUSED_PAUSE_MAX, pause)


def replaced_in_vain(bracket: Bracket, *, now: datetime) -> bool:
    """Say whether the stops that were placed for a lost one were cancelled lately, and not by us."""
    cancelled = {
        order.pk
        for order in bracket.orders.all()
        if order.leg == Leg.PROTECT.value
        and order.status == OrderStatus.CANCELLED.value
        and order.finished_at is not None
        and now - CANCELLED_BY_HAND_WINDOW < order.finished_at <= now
    }
    if len(cancelled) < CANCELLED_BY_HAND_MAX:
        return False
    by_us = Decision.objects.filter(bracket=bracket, action=RepairKind.CANCEL.value).values_list("order_id", flat=True)
    asked_for = OrderCommand.objects.filter(order__in=cancelled, kind=CommandKind.CANCEL)
    ours = {*by_us, *asked_for.values_list("order_id", flat=True)}
    return len(cancelled - ours) >= CANCELLED_BY_HAND_MAX
