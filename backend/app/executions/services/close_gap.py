"""For how long shares were without a stop while they were closed, written down for a person with the closing deal.

    stop ended 15:04:05.12 ── CLOSE sent ── its last deal heard 15:04:05.61  ->  "10 shares had no stop for 0.49 s"

A stop that belongs to no group has to be cancelled before its shares are closed, and so has one whose group the broker
did not let the CLOSE join. By the moments at which we heard of both: the broker tells a deal's time in whole seconds.
"""

from collections.abc import Iterable
from datetime import datetime

from app.domain.broker_events import AnyBrokerEvent, FillTold
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg
from app.executions.decisions import decision_record
from app.executions.models import Actor, Decision, Order

CLOSED_BARE = "CLOSED_BARE"
_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


def close_gaps_note(told: Iterable[tuple[AnyBrokerEvent, Order]], *, now: datetime) -> None:
    """Note the gap of each CLOSE that these events filled, once. Call it in the transaction that applies them."""
    for event, order in told:
        if isinstance(event, FillTold) and order.leg == Leg.CLOSE.value and order.status == OrderStatus.FILLED.value:
            _note(order, closed_at=event.received_at, now=now)


def _note(order: Order, *, closed_at: datetime, now: datetime) -> None:
    stops = list(Order.objects.filter(bracket=order.bracket_id, leg__in=_STOPS, sent_at__isnull=False))
    ended = [stop.finished_at for stop in stops if stop.finished_at is not None]
    if not ended or len(ended) < len(stops) or closed_at <= max(ended):
        return
    if Decision.objects.filter(order=order, action=CLOSED_BARE).exists():
        return  # Another deal of it: its correction.
    bare_since = max(ended)
    seconds = (closed_at - bare_since).total_seconds()
    execution = order.bracket.execution
    decision_record(
        actor=Actor.RECONCILE,
        action=CLOSED_BARE,
        reason=f"{order.filled_quantity.normalize():f} shares had no stop for {seconds:.2f} s while they were closed.",
        evidence={
            "bare_since": bare_since.isoformat(),
            "closed_at": closed_at.isoformat(),
            "seconds": seconds,
            "stops": [{"order_ref": stop.order_ref, "status": stop.status} for stop in stops],
        },
        account=execution.account,
        execution=execution,
        bracket=order.bracket,
        order=order,
        now=now,
    )
