"""What a person may decide about an execution that the system cannot settle by itself.

    closed_elsewhere   the shares that are missing were ours: the execution claims so many less, its exits are cut
    not_ours           the whole difference belongs to others: our claims stay
    take_over          so many shares are what the execution claims from now on; what has no stop gets one
    protect            shares that have no stop get one, never more than the account holds
    close_surplus      what was closed too much is bought or sold back
    enter_fill         an order of ours filled, and the broker tells that deal no more
    dismiss            what was flagged needs nothing: the flags are over, with a note why

Each act is a plain function from the facts to a plan. With `dry_run` the plan is only told, with a token of the facts;
carried out with that token, it is refused where the picture has moved since it was looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from app.accounts.models import Position
from app.core.errors import Conflict, FixRequest
from app.executions import dispatch
from app.executions.decisions import decision_record
from app.executions.models import ONE_UNFINISHED_PER_SETUP, Actor, Execution
from app.executions.news import publish_on_commit
from app.executions.services.apply import broker_event_record
from app.executions.services.attention import execution_seen
from app.executions.services.close_wish import wish_end
from app.executions.services.commands_write import place_of
from app.executions.services.resolve_facts import Act, Asked, Facts, Plan, Sending, facts_read, name_of
from app.executions.services.resolve_position import closed_elsewhere, not_ours, take_over
from app.executions.services.resolve_records import dismiss, enter_fill
from app.executions.services.resolve_stops import protect
from app.executions.services.resolve_surplus import close_surplus
from app.market.services import price_fresh

QUOTE_SECONDS_MAX = 5.0
_NONE = Decimal(0)
_PLACING = (Act.TAKE_OVER, Act.PROTECT)
_PlanAct = Callable[[Facts, Asked, User | None, datetime], Plan]
_PLANS: Mapping[Act, _PlanAct] = MappingProxyType(
    {
        Act.CLOSED_ELSEWHERE: closed_elsewhere,
        Act.NOT_OURS: not_ours,
        Act.TAKE_OVER: take_over,
        Act.PROTECT: protect,
        Act.CLOSE_SURPLUS: close_surplus,
        Act.ENTER_FILL: enter_fill,
        Act.DISMISS: dismiss,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What an act does (or did), and why; shares before and after. `facts` names the picture it was planned on.

    `difference` is what the account holds beyond our books; `sends` is what goes to the broker because of it.
    """

    act: Act
    text: str
    facts: str
    sends: tuple[Sending, ...]
    difference: Decimal
    open_before: Decimal
    open_after: Decimal
    others_before: Decimal
    others_after: Decimal


def execution_resolve(
    *, execution_id: int, asked: Asked, user: User | None, now: datetime, facts: str = "", dry_run: bool = False
) -> Resolution:
    """Carry out what a person decided about an execution; with `dry_run` only say what would come of it.

    `facts` is the token of the preview that was looked at. Raises Conflict `facts_changed`, `execution_in_progress`
    (it would be unfinished again, beside another one of its setup), and what the act raises.
    """
    quote = None
    if asked.act in _PLACING:  # Asked before anything is locked: the answer may take a while.
        quote = price_fresh(Execution.objects.get(pk=execution_id).symbol, seconds_max=QUOTE_SECONDS_MAX)
    try:
        return _resolve(execution_id, asked, user=user, now=now, facts=facts, dry_run=dry_run, quote=quote)
    except IntegrityError as error:
        if ONE_UNFINISHED_PER_SETUP not in str(error):
            raise
        raise Conflict("Its setup is being executed again.", code="execution_in_progress") from None


@transaction.atomic
def _resolve(
    execution_id: int,
    asked: Asked,
    *,
    user: User | None,
    now: datetime,
    facts: str,
    dry_run: bool,
    quote: Decimal | None,
) -> Resolution:
    found = Execution.objects.get(pk=execution_id)
    # The position's row is locked before any execution, as whoever judges a position does.
    row = Position.objects.select_for_update(no_key=True).filter(account_id=found.account_id, con_id=found.con_id)
    position = row.first()
    locked = Execution.objects.select_for_update(no_key=True, of=("self",)).select_related("account")
    execution = locked.get(pk=execution_id)
    known = facts_read(execution, position=position, now=now, quote=quote)
    _require_unchanged(known, asked, facts=facts)
    plan = _PLANS[asked.act](known, asked, user, now)
    resolution = Resolution(
        act=asked.act,
        text=plan.text,
        facts=known.token,
        sends=tuple(plan.sends),
        difference=known.difference,
        open_before=execution.open_quantity,
        open_after=plan.open_after,
        others_before=known.others,
        others_after=known.others if plan.others_after is None else plan.others_after,
    )
    if not dry_run:
        _carry_out(known, plan, resolution, asked=asked, user=user, now=now)
    return resolution


def _require_unchanged(known: Facts, asked: Asked, *, facts: str) -> None:
    if asked.quantity is not None and asked.quantity != asked.quantity.to_integral_value():
        raise FixRequest(
            f"Give a whole number of shares, not {asked.quantity.normalize():f}.", code="quantity_not_whole"
        )
    if facts and facts != known.token:
        raise Conflict(
            "Something has changed since this was looked at; look again.",
            code="facts_changed",
            details={"facts": known.token},
        )
    if asked.difference is not None and asked.difference != known.difference and known.difference:
        raise Conflict(
            f"The difference is {known.difference.normalize():f} by now; look again.",
            code="facts_changed",
            details={"difference": str(known.difference)},
        )


def _carry_out(
    facts: Facts, plan: Plan, resolution: Resolution, *, asked: Asked, user: User | None, now: datetime
) -> None:
    """Write down the decision first, then what follows from it."""
    execution, row = facts.execution, facts.position
    decision_record(
        actor=Actor.PERSON,
        user=user,
        action=resolution.act.value.upper(),
        reason=f"{name_of(user)}: {plan.text}",
        evidence=_evidence(resolution, asked),
        account=execution.account,
        execution=execution,
        order=next((order for order in facts.orders if order.order_ref == asked.order_ref), None),
        now=now,
    )
    if plan.ends_wish:
        wish_end(execution)
        execution.save(update_fields=["flatten_requested_at", "close_requested_at"])
    for event in plan.events:
        broker_event_record(event, now=now)
    if plan.others_after is not None and row is not None:
        claimed = facts.sign * (resolution.open_after - resolution.open_before)
        left = row.disputed - (plan.others_after - row.others) - claimed
        row.others = plan.others_after
        # What is left of the difference stays as doubtful as it was.
        row.unexplained = left if row.unexplained else _NONE
        row.disputed, row.disputed_since = left, row.disputed_since if left else None
        row.save(update_fields=["others", "disputed", "disputed_since", "unexplained"])
    for place in plan.places:
        place.order.save()
        command = place_of([place.order], actor=Actor.PERSON, reason=place.reason, user=user, now=now)
        command.change |= {"replaces": [target.order_ref for target in place.replaces]}
        command.evidence = {
            "held": str(row.quantity) if row is not None else None,
            "difference": str(row.disputed) if row is not None else "0",
            "facts": facts.token,
        }
        command.save()
    if plan.places:
        dispatch.changes_on_commit(execution.pk)
    if plan.sees_flags:
        execution_seen(execution_id=execution.pk, through=facts.flags[-1].pk, user=user, now=now)
    publish_on_commit(execution.pk)


def _evidence(resolution: Resolution, asked: Asked) -> dict[str, str]:
    """Return what was said and what was known, as it stands in the record."""
    said = {name: str(value) for name in Asked.__slots__ if (value := getattr(asked, name)) not in (None, "")}
    numbers = ("difference", "open_before", "open_after", "others_before", "others_after")
    return said | {name: str(getattr(resolution, name)) for name in numbers} | {"facts": resolution.facts}
