"""What one tranche of an execution closed too much was closed of the others: they hold that much less.

    tranche 1 holds 10, tranche 2 closed 2 too much ──> tranche 1 holds 8, tranche 2 nothing: together 8, as before

The account knows no tranches: to close 10 beside such a tranche would open a position of 2, and so would a stop of 10.
Both sides of it are broker events (`ClosedElsewhere`), so a replay gives the same rows.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from app.core.decimal_text import plain
from app.domain.broker_events import ClosedElsewhere
from app.domain.order_status import TERMINAL, OrderStatus
from app.domain.terms import Leg
from app.executions import news
from app.executions.models import Bracket, Execution, Order, open_quantity_of
from app.executions.services.apply import broker_event_record

_NONE = Decimal(0)


@transaction.atomic
def tranches_net(execution: Execution, *, now: datetime) -> bool:
    """Take what tranches closed too much off those that hold shares; say whether anything changed.

    The caller has locked the execution, which is read anew where it changed; so must be brackets read before. What is
    being bought or sold back, or may yet be explained by deals that were not told, waits.
    """
    brackets = list(Bracket.objects.filter(execution=execution).prefetch_related("orders").order_by("tranche"))
    opens = {bracket.pk: open_quantity_of(bracket.orders.all()) for bracket in brackets}
    changed = False
    for closed_too_much in brackets:
        if opens[closed_too_much.pk] >= 0 or not _is_certain(list(closed_too_much.orders.all())):
            continue
        for other in brackets:
            shares = min(-opens[closed_too_much.pk], max(opens[other.pk], _NONE))
            if shares:
                opens[closed_too_much.pk] += shares
                opens[other.pk] -= shares
                _move(execution, shares, closed_too_much=closed_too_much, other=other, now=now)
                changed = True
    if changed:
        execution.refresh_from_db()
        news.publish_on_commit(execution.pk)
    return changed


def _is_certain(orders: Sequence[Order]) -> bool:
    """Say whether the deals of a tranche are all known, and nothing is on its way that gives back what it sold."""
    if any(order.told_filled > order.filled_quantity for order in orders):
        return False
    return all(OrderStatus(order.status) in TERMINAL for order in orders if order.leg == Leg.SURPLUS)


def _move(execution: Execution, shares: Decimal, *, closed_too_much: Bracket, other: Bracket, now: datetime) -> None:
    evidence = (
        f"tranche {other.tranche}: {plain(shares)} of its shares were closed by the exits of tranche "
        f"{closed_too_much.tranche}, which closed more than it held"
    )
    # In this order: the execution is never seen to have closed more than it opened.
    for bracket, quantity in ((closed_too_much, -shares), (other, shares)):
        entry = next(order for order in bracket.orders.all() if order.leg == Leg.ENTRY.value)
        broker_event_record(
            ClosedElsewhere(
                dedupe_key=f"elsewhere:{entry.order_ref}:net:{closed_too_much.tranche}:{now.isoformat()}",
                account=execution.account.account_id,
                received_at=now,
                order_ref=entry.order_ref,
                quantity=quantity,
                evidence=evidence,
            ),
            now=now,
        )
