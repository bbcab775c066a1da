"""Tell a person of shares that were closed twice: by exits of ours, and by somebody else at the same moment.

    our stop is hit ── somebody's own stop at the broker is hit, too ──> the account is beyond zero by what both closed

Neither knew of the other in time, so nothing could prevent it; and nothing of ours claims what is held then, so nobody
would look after it. It is only told: whether it is wanted, and what to do, a person says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import Account
from app.core.decimal_text import plain
from app.domain.exposure import closed_twice
from app.domain.reasons import FlagCode
from app.domain.terms import Leg, Side
from app.executions.decisions import decision_record
from app.executions.models import Actor, Execution, Fill
from app.executions.news import publish_on_commit
from app.executions.open_rows import deals_of_others
from app.executions.services.attention import attention_add
from app.executions.services.exposure import LAG, deal_signed

# For how long after its end an execution is looked at: the account is asked once a minute, and when it changes.
LOOKED_AT = timedelta(minutes=2)


def closed_twice_tell(
    *, account: Account, held: Mapping[int, Decimal], holding: Holding, now: datetime
) -> Sequence[str]:
    """Flag the executions that ended lately with shares closed twice; return what was told.

    `held` is the broker's complete answer, in shares by con_id. Raises Fenced.
    """
    told: list[str] = []
    ended = Execution.objects.filter(account=account, finished_at__gt=now - LOOKED_AT, con_id__gt=0).order_by("id")
    for execution in ended:
        shares = held.get(execution.con_id, Decimal(0))
        if shares * Side(execution.side).sign < 0:
            told += _look(execution, held=shares, holding=holding, now=now)
    return told


@transaction.atomic
def _look(execution: Execution, *, held: Decimal, holding: Holding, now: datetime) -> list[str]:
    fence_require(holding)
    execution = Execution.objects.select_for_update(no_key=True).select_related("account").get(pk=execution.pk)
    exits = list(
        Fill.objects.filter(order__bracket__execution=execution, superseded=False).exclude(order__leg=Leg.ENTRY)
    )
    beside = [
        deal
        for deal in _deals_lately(execution, now=now)
        if any(abs(_moment(deal) - fill.executed_at) <= LAG for fill in exits)
    ]
    closed = sum((fill.quantity for fill in exits), Decimal(0)) * -Side(execution.side).sign
    twice = closed_twice(held=held, exits=closed, deals=[deal_signed(deal) for deal in beside])
    if not twice:
        return []
    side = Side(execution.side).entry_action.value
    theirs = "; ".join(deal_text(deal) for deal in beside if deal["action"] != side)
    sentence = f"{execution.symbol}: deals that are not ours closed the shares that its exits closed as well ({theirs})"
    before = execution.attention
    attention_add(execution, sentence, code=FlagCode.CLOSED_TWICE)
    if execution.attention == before:
        return []
    execution.save(update_fields=["attention"])
    decision_record(
        actor=Actor.RECONCILE,
        action="CLOSED_TWICE",
        reason=f"{plain(twice)} shares were closed twice, within seconds.",
        evidence={"held": str(held), "exits": str(closed), "deals": theirs},
        account=execution.account,
        execution=execution,
        now=now,
    )
    publish_on_commit(execution.pk)
    return [sentence]


def _deals_lately(execution: Execution, *, now: datetime) -> list[Mapping[str, Any]]:
    """Return what others dealt in the execution's instrument, as it was told lately."""
    stored = deals_of_others(execution.account.account_id).filter(recorded_at__gt=now - LOOKED_AT - LAG)
    deals = [event.payload for event in stored]
    theirs = {int(client_id) for client_id in settings.OTHERS_CLIENT_IDS}
    return [deal for deal in deals if deal.get("con_id") == execution.con_id and int(deal["client_id"]) not in theirs]


def _moment(deal: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(deal["executed_at"])


def deal_text(deal: Mapping[str, Any]) -> str:
    """Return a stored deal in words."""
    quantity, price = Decimal(deal["quantity"]), Decimal(deal["price"])
    return f"{deal['action']} {plain(quantity)} at {plain(price)}, {deal['executed_at'][:19]} UTC"
