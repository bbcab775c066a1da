"""Shares that have had no working stop for a while are told to a person, whatever state the connection is in.

The guard repairs while it can send. This looks at rows alone, from the watchdog's worker: so it also tells what the
guard cannot repair, because the connection is degraded or away, its worker is dead, or the repair is refused.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max

from app.core.decimal_text import plain
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.protection import Coverage
from app.domain.reasons import FlagCode
from app.domain.terms import Leg
from app.executions import news
from app.executions.models import Bracket, BrokerEvent, Execution, Order
from app.executions.open_rows import executions_held
from app.executions.services.attention import attention_add
from app.executions.services.guard import bracket_protection

# A repair takes a second; shares that were closed elsewhere are known to be after twenty.
BARE_SECONDS_MAX = 25.0
_BARE = frozenset({Coverage.UNPROTECTED, Coverage.PARTIAL})
_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


def bare_shares_tell(*, now: datetime) -> list[int]:
    """Note at every execution whose shares have had no working stop for too long that it is so; return those."""
    told = []
    held = executions_held().prefetch_related("brackets__orders")
    for execution in sorted(held, key=lambda execution: execution.pk):
        if any(_sentence(bracket, now=now) for bracket in execution.brackets.all()):
            told += _tell(execution.pk, now=now)
    return told


@transaction.atomic
def _tell(execution_id: int, *, now: datetime) -> list[int]:
    """Judge again under the lock and note it; return the execution where it was new."""
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    before = execution.attention
    for bracket in execution.brackets.prefetch_related("orders"):
        if sentence := _sentence(bracket, now=now):
            attention_add(execution, sentence, code=FlagCode.SHARES_BARE)
    if execution.attention == before:
        return []
    execution.save(update_fields=["attention"])
    news.publish_on_commit(execution.pk)
    return [execution.pk]


def _sentence(bracket: Bracket, *, now: datetime) -> str:
    """Return what is to be told of the bracket, "" where its shares are covered or have not been bare for long."""
    protection = bracket_protection(bracket)
    bare = protection.held - protection.covered
    if protection.coverage not in _BARE or bare <= Decimal(0):
        return ""
    since = _bare_since(bracket.orders.all())
    if since is None or now - since <= timedelta(seconds=BARE_SECONDS_MAX):
        return ""
    return (
        f"tranche {bracket.tranche}: {plain(bare)} shares have had no working stop since {since:%Y-%m-%d %H:%M:%S} UTC"
    )


def _bare_since(orders: Iterable[Order]) -> datetime | None:
    """Return when the broker last spoke of the entry, or of a stop that is over; None where it never did."""
    pks = [
        order.pk
        for order in orders
        if order.leg == Leg.ENTRY.value or (order.leg in _STOPS and OrderStatus(order.status) in TERMINAL)
    ]
    heard: datetime | None = BrokerEvent.objects.filter(order__in=pks).aggregate(at=Max("received_at"))["at"]
    return heard
