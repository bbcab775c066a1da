"""What a person may decide where the account and our rows disagree and no evidence says why.

    closed_elsewhere   the shares that are missing were ours: the execution claims so many less, its exits are cut
    not_ours           the whole difference belongs to others: our claims stay

Each is previewed with `dry_run`, and refused where the picture has moved since it was looked at.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.contrib.auth.models import User
from django.db import transaction

from app.accounts.models import Position
from app.core.errors import Conflict, FixRequest
from app.domain.broker_events import ClosedElsewhere
from app.domain.terms import Leg, Side
from app.executions.decisions import decision_record
from app.executions.models import Actor, Execution, open_quantity_of
from app.executions.news import publish_on_commit
from app.executions.services.apply import broker_event_record

_NONE = Decimal(0)


class Act(StrEnum):
    """What a person decides."""

    CLOSED_ELSEWHERE = "closed_elsewhere"
    NOT_OURS = "not_ours"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What an act does (or did): shares, before and after. `difference` is what the account holds beyond our books."""

    act: Act
    difference: Decimal
    open_before: Decimal
    open_after: Decimal
    others_before: Decimal
    others_after: Decimal


@transaction.atomic
def execution_resolve(
    *,
    execution_id: int,
    act: Act,
    user: User | None,
    now: datetime,
    quantity: Decimal | None = None,
    difference: Decimal | None = None,
    dry_run: bool = False,
) -> Resolution:
    """Settle what the account holds of the execution's instrument; with `dry_run` only say what would come of it.

    `quantity` is how many shares were closed elsewhere; as many as the difference says where it is left out.
    `difference` is the one that was looked at. Raises Conflict `position_agrees`, `facts_changed`, `nothing_missing`
    (the account does not hold less than claimed), FixRequest `quantity_too_large`.
    """
    found = Execution.objects.select_related("account").get(pk=execution_id)
    row = Position.objects.select_for_update(no_key=True).filter(account=found.account, con_id=found.con_id).first()
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    if row is None or not row.in_doubt:
        raise Conflict("The account holds what our books say; there is nothing to settle.", code="position_agrees")
    if difference is not None and difference != row.disputed:
        raise Conflict(
            f"The difference is {row.disputed.normalize():f} by now; look again.",
            code="facts_changed",
            details={"difference": str(row.disputed)},
        )
    closed = _closed(execution, row, quantity=quantity) if act is Act.CLOSED_ELSEWHERE else _NONE
    others = row.others + (row.disputed if act is Act.NOT_OURS else _NONE)
    resolution = Resolution(
        act=act,
        difference=row.disputed,
        open_before=execution.open_quantity,
        open_after=execution.open_quantity - closed,
        others_before=row.others,
        others_after=others,
    )
    if not dry_run:
        _write(execution, row, resolution, user=user, now=now)
    return resolution


def _closed(execution: Execution, row: Position, *, quantity: Decimal | None) -> Decimal:
    """Return how many shares of the execution were closed elsewhere."""
    missing = -row.disputed if execution.side == Side.LONG.value else row.disputed
    if missing <= 0 or execution.open_quantity <= 0:
        raise Conflict("The account does not hold less than is claimed.", code="nothing_missing")
    limit = min(missing, execution.open_quantity)
    if quantity is not None and not 0 < quantity <= limit:
        raise FixRequest(
            f"{limit.normalize():f} shares of it can have been closed elsewhere, not {quantity.normalize():f}.",
            code="quantity_too_large",
            details={"quantity_max": str(limit)},
        )
    return quantity or limit


def _write(execution: Execution, row: Position, resolution: Resolution, *, user: User | None, now: datetime) -> None:
    name = user.get_username() if user is not None else "the command line"
    left = resolution.open_before - resolution.open_after
    for bracket in execution.brackets.order_by("tranche"):
        orders = list(bracket.orders.all())
        taken = min(left, max(open_quantity_of(orders), _NONE))
        if not taken:
            continue
        left -= taken
        entry = next(order for order in orders if order.leg == Leg.ENTRY.value)
        broker_event_record(
            ClosedElsewhere(
                dedupe_key=f"elsewhere:{entry.order_ref}:{now.isoformat()}",
                account=execution.account.account_id,
                received_at=now,
                order_ref=entry.order_ref,
                quantity=taken,
                evidence=f"tranche {bracket.tranche}: {taken.normalize():f} shares were closed elsewhere, says {name}",
            ),
            now=now,
        )
    row.others = resolution.others_after
    # The next comparison begins anew: what is left of the difference is looked at again.
    row.disputed, row.disputed_since, row.unexplained = _NONE, None, _NONE
    row.save(update_fields=["others", "disputed", "disputed_since", "unexplained"])
    decision_record(
        actor=Actor.PERSON,
        user=user,
        action=resolution.act.value.upper(),
        reason=f"{name} settled a difference of {resolution.difference.normalize():f} {row.symbol}.",
        evidence={column: str(value) for column, value in asdict(resolution).items()},
        account=execution.account,
        execution=execution,
        now=now,
    )
    publish_on_commit(execution.pk)
