"""Take in what the account holds, and settle what disagrees with our books (rules: domain.exposure).

    no bracket claims it       taken as it is, all such instruments at once: it is nobody's business here
    it agrees                  noted
    deals of others are why    judged at once, unless deals of ours are so young that they may be why
    else it disagrees          in doubt: asked again; still so in a complete answer ten seconds later: judged

A judgement is written under the lock of the position's row, which is taken before any execution's, as a broker event
(`ClosedElsewhere`): so it is stored before it is applied, and a replay gives the same rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Min, Sum

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import Account, Position
from app.accounts.statement_limit import is_deadlock
from app.alerts.kinds import AlertKind
from app.alerts.models import Alert
from app.alerts.services import alert_raise, alert_resolve, alert_update
from app.brokers import base
from app.core.logging import get_logger
from app.domain.broker_events import ClosedElsewhere
from app.domain.command import CommandKind
from app.domain.exposure import AccountUse, Claim, Comparison, Finding, ForeignDeal, Judgement, compare, judge
from app.domain.order_status import OrderStatus
from app.domain.reasons import FlagCode
from app.domain.terms import Action, Leg, Side
from app.executions.decisions import decision_record
from app.executions.models import Actor, Bracket, Execution, Fill, Order, ReconcileRun
from app.executions.news import publish_on_commit
from app.executions.services.apply import broker_event_record
from app.executions.services.attention import attention_add
from app.executions.services.deals_unjudged import DealOfOthers, deal_text, deals_stored_to
from app.executions.services.exposure import LAG, Picture, claims_of, picture_of, to_judge

logger = get_logger(__name__)

# How often an instrument is tried when others lock its executions in another order: a connection is not lost by it.
DEADLOCKS_MAX = 5
STOPPED_BY_HAND = timedelta(minutes=1)
_NONE = Decimal(0)
_STOPS = (Leg.STOP_LOSS.value, Leg.PROTECT.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionsSeen:
    """One comparison: instruments in doubt that another look soon may settle, and what was judged, in sentences."""

    doubts: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)


def positions_settle(
    *, account: Account, positions: Sequence[base.Position], holding: Holding, now: datetime
) -> PositionsSeen:
    """Take in the broker's complete answer; say what is in doubt and what was settled. Raises Fenced."""
    reported = {position.contract.con_id: position for position in positions}
    compared = ReconcileRun.objects.filter(account=account, is_complete=True, answered__has_key="positions")
    first = not Position.objects.filter(account=account).exists() and not compared.exists()
    claimed = set(to_judge(account, now=now).values_list("con_id", flat=True))
    _unclaimed_take(account, reported, claimed=claimed, holding=holding, now=now)
    seen = PositionsSeen()
    for con_id in sorted(claimed - {0}):
        _settle_again(account, con_id, reported.get(con_id), first=first, seen=seen, holding=holding, now=now)
    _drifts_end(account, now=now)
    return seen


@transaction.atomic
def _unclaimed_take(
    account: Account, reported: Mapping[int, base.Position], *, claimed: set[int], holding: Holding, now: datetime
) -> None:
    """Note what none of our brackets claims, in one statement: all of it belongs to others."""
    fence_require(holding)
    known = Position.objects.filter(account=account).exclude(con_id__in=claimed)
    known = known.exclude(con_id__in=reported).exclude(quantity=0, others=0, disputed_since__isnull=True)
    judged_to = deals_stored_to(account)
    known.update(
        quantity=0, others=0, disputed=0, disputed_since=None, unexplained=0, deals_judged_to=judged_to, reported_at=now
    )
    rows = [
        Position(
            account=account,
            con_id=con_id,
            **_described(position),
            others=position.quantity,
            deals_judged_to=judged_to,
            reported_at=now,
        )
        for con_id, position in reported.items()
        if con_id not in claimed
    ]
    Position.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["account", "con_id"],
        update_fields=[
            *("symbol", "security_type", "currency", "quantity", "average_cost", "others"),
            *("disputed", "disputed_since", "unexplained", "deals_judged_to", "reported_at"),
        ],
    )


def _described(position: base.Position) -> dict[str, Any]:
    return {
        "symbol": position.contract.symbol,
        "security_type": position.contract.security_type,
        "currency": position.contract.currency,
        "quantity": position.quantity,
        "average_cost": position.average_cost,
    }


def _settle_again(account: Account, con_id: int, position: base.Position | None, **how: Any) -> None:
    """Settle one instrument, once more where somebody else waited for the same executions: it locks many at once."""
    for tries_left in reversed(range(DEADLOCKS_MAX)):
        try:
            _settle(account, con_id, position, **how)
        except OperationalError as error:
            if not is_deadlock(error) or not tries_left:
                raise
            logger.warning("position_locked", con_id=con_id, error=str(error).strip())
        else:
            return


@transaction.atomic
def _settle(
    account: Account,
    con_id: int,
    position: base.Position | None,
    *,
    first: bool,
    seen: PositionsSeen,
    holding: Holding,
    now: datetime,
) -> None:
    fence_require(holding)
    reported = position.quantity if position is not None else _NONE
    row = Position.objects.select_for_update(no_key=True).filter(account=account, con_id=con_id).first()
    if row is None:
        row = _row_begun(account, con_id, reported=reported, first=first, now=now)
    picture = picture_of(row, now=now, lock=True)
    if position is not None:
        for name, value in _described(position).items():
            setattr(row, name, value)
    compared_at = row.reported_at
    row.quantity, row.reported_at = reported, now
    difference = picture.disagreement(reported, now=now)
    _doubt_carry_on(picture, difference, since=compared_at)
    found = compare(
        difference=difference,
        lags=picture.lags(reported),
        disputed=row.disputed if row.disputed_since is not None else None,
        is_confirmed=row.disputed_since is not None and now - row.disputed_since >= LAG,
        unexplained=row.unexplained,
        explained=picture.explains(reported),
    )
    if found is Comparison.SETTLED:  # A report that agrees only if it lags ends no doubt: it may know all our deals.
        row.disputed, row.disputed_since, row.unexplained = _NONE, None, _NONE
        judged = [deal.event_id for deal in picture.foreign]
        row.deals_judged_to = max([row.deals_judged_to, picture.deals_read_to, *judged])
    if found is Comparison.NEW_DOUBT:
        row.disputed, row.disputed_since, row.unexplained = difference, now, _NONE
    if found in (Comparison.LAGS, Comparison.NEW_DOUBT, Comparison.IN_DOUBT):
        seen.doubts.append(row.symbol)
    if found is Comparison.CONFIRMED:
        seen.judged.append(_judge(picture, reported=reported, now=now))
    row.save()


def _doubt_carry_on(picture: Picture, difference: Decimal, *, since: datetime) -> None:
    """Let a doubt last whose difference has changed by just what others dealt since the last comparison.

    Somebody who sells share after share would else begin it anew with each, and nothing would ever be judged. Of an
    exclusive account each answer stands for itself: there, what is held decides, and not whose deals are told.
    """
    row = picture.row
    if row.disputed_since is None or not difference or AccountUse(settings.ACCOUNT_USE) is not AccountUse.SHARED:
        return
    dealt = sum((deal.quantity for deal in picture.foreign if deal.recorded_at > since), _NONE)
    if dealt and difference - row.disputed == dealt and not row.unexplained:
        row.disputed = difference


def _row_begun(account: Account, con_id: int, *, reported: Decimal, first: bool, now: datetime) -> Position:
    """Make the row of an instrument that was not held when the account was looked at last, or was never looked at."""
    executions = list(to_judge(account, now=now).filter(con_id=con_id))
    row = Position(
        account=account,
        con_id=con_id,
        symbol=executions[0].symbol,
        security_type=executions[0].security_type,
        currency=executions[0].currency,
        # As they are read from the database: the row may be judged before it is read again.
        others=_NONE,
        disputed=_NONE,
        unexplained=_NONE,
        reported_at=now,
    )
    if first:
        # Held before we ever looked: what is beyond our claims belongs to others.
        claimed = sum(claims_of(executions).values(), _NONE)
        contains = reported >= claimed if claimed > 0 else reported <= claimed if claimed < 0 else True
        row.others = reported - claimed if contains else _NONE
        row.deals_judged_to = deals_stored_to(account)
    else:
        row.deals_judged_to = deals_stored_to(account, before=min(one.requested_at for one in executions))
    row.save()
    return row


def _judge(picture: Picture, *, reported: Decimal, now: datetime) -> str:
    """Settle a confirmed difference, or leave it to a person; return what was found, in a sentence."""
    row = picture.row
    claims = claims_of(picture.executions)
    by_hand, opened_at = _stopped_by_hand(claims, now=now), _opened_at(claims)
    judgement = judge(
        reported=reported,
        claims=[
            Claim(key=key, quantity=quantity, stop_cancelled_by_hand=key in by_hand) for key, quantity in claims.items()
        ],
        others=row.others,
        deals=[
            ForeignDeal(
                client_id=deal.client_id,
                quantity=deal.quantity,
                closed_since=_closed_since(deal, executions=picture.executions),
                opened_since=frozenset(key for key, at in opened_at.items() if at > _second(deal.told)),
                corrects_judged=deal.corrects_judged,
            )
            for deal in picture.foreign
        ],
        use=AccountUse(settings.ACCOUNT_USE),
        others_client_ids=frozenset(settings.OTHERS_CLIENT_IDS),
        claimed_lately=_claimed_lately(picture.executions),
    )
    text = (
        f"{row.symbol}: the account holds {reported.normalize():f}, {picture.expected.normalize():f} were expected "
        f"({row.others.normalize():f} of them others')"
    )
    if judgement.finding is Finding.UNEXPLAINED:
        row.unexplained = row.disputed
        return _leave_to_a_person(picture, text=text, now=now)
    row.others = judgement.others
    row.disputed, row.disputed_since, row.unexplained = _NONE, None, _NONE
    row.deals_judged_to = max([row.deals_judged_to, *(deal.event_id for deal in picture.foreign)])
    _reduce(picture, judgement, claims=claims, now=now)
    return f"{text}: {judgement.finding.value}"


def _claimed_lately(executions: Iterable[Execution]) -> bool:
    """Say whether one of them has closed all that it claimed (who claimed nothing lately is not among them)."""
    over = [execution.pk for execution in executions if not execution.open_quantity]
    exits = [leg.value for leg in Leg if leg.is_exit]
    return Fill.objects.filter(order__bracket__execution__in=over, order__leg__in=exits, superseded=False).exists()


def _opened_at(brackets: Iterable[int]) -> dict[int, datetime]:
    """Return the second in which the entry of each bracket filled first, where that is known."""
    deals = Fill.objects.filter(order__bracket__in=list(brackets), order__leg=Leg.ENTRY.value, superseded=False)
    first = deals.order_by().values("order__bracket").annotate(at=Min("executed_at"))
    return {row["order__bracket"]: row["at"].replace(microsecond=0) for row in first}


def _second(told: Mapping[str, Any]) -> datetime:
    """Return the second in which a deal was made: the broker tells no more."""
    return datetime.fromisoformat(told["executed_at"]).replace(microsecond=0)


def _closed_since(deal: DealOfOthers, *, executions: Sequence[Execution]) -> dict[int, Decimal]:
    """Return what exits of ours have closed since a deal that is not ours, by bracket, of the side that it reduces.

    Both may have closed the same shares: the exit worked until the deal was heard of. Of one second is since.
    """
    told = deal.told
    if deal.corrects_judged:
        return {}
    reduces = Side.LONG if told["action"] == Action.SELL.value else Side.SHORT
    fills = Fill.objects.filter(
        order__bracket__execution__in=[one.pk for one in executions if one.side == reduces],
        order__leg__in=[leg.value for leg in Leg if leg.is_exit],
        superseded=False,
        executed_at__gte=_second(told),
    )
    closed = fills.order_by().values("order__bracket").annotate(shares=Sum("quantity"))
    return {row["order__bracket"]: row["shares"] for row in closed}


def _reduce(picture: Picture, judgement: Judgement, *, claims: Mapping[int, Decimal], now: datetime) -> None:
    """Write down, bracket by bracket, what was closed elsewhere; the guard cuts and cancels the exits that are left."""
    deals = "; ".join(deal_text(deal.told) for deal in picture.foreign if deal.quantity)
    evidence = f"deals that are not ours: {deals}" if deals else "the account is exclusive and holds less"
    for reduction in judgement.reductions:
        bracket = Bracket.objects.select_related("execution__account").get(pk=reduction.key)
        entry = bracket.orders.get(leg=Leg.ENTRY.value)
        # Less than nothing was open where more was closed than opened: that is what somebody bought or sold back then.
        is_over = claims.get(reduction.key, _NONE) * Side(bracket.execution.side).sign < 0
        back = reduction.quantity - reduction.twice if is_over else _NONE
        closed = reduction.quantity - back
        said = [f"{back.normalize():f} shares that were closed too much came back"] if back else []
        said += [f"{closed.normalize():f} shares were closed elsewhere"] if closed else []
        what = ", and ".join(said)
        if closed != back:
            broker_event_record(
                ClosedElsewhere(
                    dedupe_key=f"elsewhere:{entry.order_ref}:{now.isoformat()}",
                    account=picture.row.account.account_id,
                    received_at=now,
                    order_ref=entry.order_ref,
                    quantity=closed - back,
                    evidence=f"tranche {bracket.tranche}: {what} ({evidence})",
                ),
                now=now,
            )
        decision_record(
            actor=Actor.RECONCILE,
            action="CLOSED_ELSEWHERE",
            reason=f"{what}, by no order of ours.",
            evidence={"held": str(picture.row.quantity), "others": str(judgement.others), "deals": deals},
            account=picture.row.account,
            execution=bracket.execution,
            bracket=bracket,
            now=now,
        )


def _leave_to_a_person(picture: Picture, *, text: str, now: datetime) -> str:
    """Flag every execution that claims shares of the instrument, and alert: nothing is placed until it is settled."""
    row = picture.row
    corrected = [deal_text(deal.told) for deal in picture.foreign if deal.corrects_judged]
    why = "no deal explains the difference (a split, a transfer?)"
    if corrected:
        why = f"a deal that was taken into account already was corrected ({'; '.join(corrected)})"
    sentence = f"{text}, and {why}: nothing new is placed"
    evidence = {"con_id": row.con_id, "held": str(row.quantity), "difference": str(row.unexplained)}
    for execution in picture.executions:
        attention_add(execution, sentence, code=FlagCode.POSITION_DIFFERS)
        execution.save(update_fields=["attention"])
        decision_record(
            actor=Actor.RECONCILE,
            action="POSITION_DRIFT",
            reason=sentence,
            evidence=evidence,
            account=row.account,
            execution=execution,
            now=now,
        )
        publish_on_commit(execution.pk)
    text = f"{sentence}."
    alert = alert_raise(
        kind=AlertKind.POSITION_DRIFT,
        subject=_subject(row),
        text=text,
        details=evidence,
        account_id=row.account_id,
        now=now,
    )
    if alert.text != text:  # It was raised for another difference, and lasts.
        kind = AlertKind.POSITION_DRIFT
        alert_update(alert, kind=kind, text=text, details=evidence, more=0, tell_again=True, now=now)
    return sentence


def _subject(row: Position) -> str:
    return f"{row.account.account_id}:{row.symbol} {row.security_type} {row.currency}"


def _drifts_end(account: Account, *, now: datetime) -> None:
    """End the alerts of what agrees again, or was settled by a person."""
    drifts = Alert.objects.filter(kind=AlertKind.POSITION_DRIFT, account=account, resolved_at=None)
    if not drifts.exists():
        return
    left = {_subject(row) for row in Position.objects.filter(account=account).exclude(unexplained=0)}
    # What differs by another number than it did is judged anew in some seconds.
    left |= {_subject(row) for row in Position.objects.filter(account=account, disputed_since__isnull=False)}
    for subject in drifts.exclude(subject__in=left).values_list("subject", flat=True):
        alert_resolve(kind=AlertKind.POSITION_DRIFT, subject=subject, now=now)


def _stopped_by_hand(claims: Iterable[int], *, now: datetime) -> set[int]:
    """Return the brackets whose stop was cancelled, not by us, within the last minute."""
    cancelled = Order.objects.filter(
        bracket__in=list(claims),
        leg__in=_STOPS,
        status=OrderStatus.CANCELLED.value,
        finished_at__gt=now - STOPPED_BY_HAND,
        decisions__isnull=True,
    )
    cancelled = cancelled.exclude(commands__kind=CommandKind.CANCEL)
    return set(cancelled.values_list("bracket_id", flat=True))
