"""What is known of an instrument of the account: held, claimed, others'; and whether something may be sent on it.

guard, close ── about to send what closes shares ──> exposure_doubts ──> exposure_ask: what the broker holds
a person's act ── the same ──> exposure_ask: as that person saw it?
    it agrees    sent
    in doubt     nothing is sent; everything is asked, and the judgement of it decides (see positions)
a position is pushed, and disagrees        ──> everything is asked
    it agrees if it lags our newest deals         ──> everything is asked when no report can lag them any more
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.conf import settings
from django.db.models import QuerySet

from app.accounts.models import Account, Position
from app.brokers.base import BlockingBroker
from app.brokers.base import Position as BrokerPosition
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, RequestRefused
from app.core.logging import get_logger
from app.domain.broker_events import CommissionTold, FillTold
from app.domain.exposure import AccountUse, disagreement, is_doubtful, is_explained, lags, nets_out
from app.domain.terms import Action, Leg, Side
from app.executions.models import BrokerEvent, Execution, Order, open_quantity_of
from app.executions.open_rows import any_of, deals_of_others, executions_held, orders_of_executions
from app.executions.services.deals_unjudged import (
    DealOfOthers,
    deal_signed,
    deals_read_to,
    deals_stored_to,
    deals_unjudged,
    is_correction,
)
from app.executions.services.match import orders_match

logger = get_logger(__name__)

# A report may lack what was heard less than this ago, and is judged when it still disagrees after as long.
LAG = timedelta(seconds=10)
# What ended longer ago is compared with no deal any more.
BESIDE_MAX = timedelta(hours=1)
# For how long such an answer is good enough to send something by.
ANSWER_GOOD_SECONDS = 0.5
# How long what protects waits for the broker's answer about its positions.
ASK_SECONDS_MAX = 1.0
# What is left of it for the second question, at least: the answer may be there already.
_LEFT_SECONDS_MIN = 0.05
_NONE = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What is known of one instrument of an account: who claims shares of it, its recent deals, deals of others."""

    row: Position
    # Who claims shares, or did a moment ago; read, and locked, only where the row is to be judged.
    executions: Sequence[Execution]
    # What each of them claims, in shares, signed.
    claims: Sequence[Decimal]
    recent: Sequence[Decimal]
    foreign: Sequence[DealOfOthers]
    # The last of all deals of others that were read for it, so long ago that no earlier one can still be on its way.
    deals_read_to: int = 0

    @property
    def expected(self) -> Decimal:
        """What the account should hold, in shares."""
        return self.row.others + sum(self.claims, _NONE)

    def disagreement(self, reported: Decimal, *, now: datetime, unrecorded: Sequence[Decimal] = ()) -> Decimal:
        """Return by how much the report disagrees. `unrecorded` are deals of ours that our rows do not have yet."""
        return disagreement(
            reported=reported,
            expected=self.expected,
            recent=self.recent,
            unrecorded=unrecorded,
            young=[deal.quantity for deal in self.foreign if deal.recorded_at > now - LAG],
            unjudged=[deal.quantity for deal in self.foreign],
        )

    def lags(self, reported: Decimal) -> bool:
        """Say whether the report agrees only if it does not know our newest deals yet: a later one has to say."""
        return lags(reported=reported, expected=self.expected, recent=self.recent)

    def explains(self, reported: Decimal) -> bool:
        """Say whether deals of others, which the report knows, are why it differs, or why it does not."""
        if any(deal.corrects_judged for deal in self.foreign):
            return False
        if reported == self.expected:
            return self.nets_out()
        unjudged = [deal.quantity for deal in self.foreign]
        return is_explained(reported=reported, expected=self.expected, recent=self.recent, unjudged=unjudged)

    def nets_out(self) -> bool:
        """Say whether deals that may have closed something of ours, on both sides, together change nothing."""
        known = frozenset(settings.OTHERS_CLIENT_IDS)
        theirs = [deal.quantity for deal in self.foreign if deal.client_id in known]
        unjudged = [deal.quantity for deal in self.foreign if deal.client_id not in known]
        if self.row.others and not sum(unjudged, _NONE) and AccountUse(settings.ACCOUNT_USE) is AccountUse.SHARED:
            return False
        return nets_out(claims=self.claims, unjudged=unjudged, theirs=theirs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What the broker says of an instrument now: shares held, and by how much that disagrees with our books.

    `others_dealt`: deals of others that are not stored yet, or that cancel out: whose the shares are was not judged.
    `exits_dealt`: executions of whose exits it tells a deal that our rows do not have yet.
    """

    held: Decimal
    difference: Decimal
    others_dealt: bool
    exits_dealt: frozenset[int] = frozenset()

    def is_doubtful_for(self, execution: Execution) -> bool:
        """Say whether nothing may be sent that closes shares of the execution."""
        return is_doubtful(
            difference=self.difference,
            others_dealt=self.others_dealt,
            exits_dealt=execution.pk in self.exits_dealt,
        )


def exposure_ask(
    *, executions: Iterable[Execution], broker: BlockingBroker, now: datetime, positions_suffice: bool = False
) -> Mapping[int, Heard] | None:
    """Ask the broker about the instruments of these executions of one account, before something is sent on them.

    By their con_id; what has none cannot be compared and is left out. The answers are not waited for longer than a
    second: None where one is lost. With `positions_suffice` the positions speak for themselves where no deals are told.
    """
    asked = [execution for execution in executions if execution.con_id]
    if not asked:
        return {}
    answers = _ask(broker, symbols={execution.symbol for execution in asked}, positions_suffice=positions_suffice)
    if answers is None:
        return None
    held = {position.contract.con_id: position.quantity for position in answers.positions}
    ours, others, exits_dealt = _not_stored(deal for deal in answers.deals if isinstance(deal, FillTold))
    heard: dict[int, Heard] = {}
    for con_id in sorted({execution.con_id for execution in asked}):
        account = asked[0].account
        row = Position.objects.select_related("account").filter(account=account, con_id=con_id).first()
        if row is None:
            # Never compared yet: a deal since the shares were asked for may have closed them.
            begun = min(execution.requested_at for execution in asked if execution.con_id == con_id)
            row = Position(account=account, con_id=con_id, deals_judged_to=deals_stored_to(account, before=begun))
        picture = picture_of(row, now=now)
        unrecorded = [deal.quantity if deal.action is Action.BUY else -deal.quantity for deal in ours[con_id]]
        reported = held.get(con_id, _NONE)
        difference = picture.disagreement(reported, now=now, unrecorded=unrecorded)
        heard[con_id] = Heard(
            held=reported,
            difference=difference,
            others_dealt=bool(others[con_id]) or picture.nets_out(),
            exits_dealt=frozenset(exits_dealt),
        )
    return heard


def exposure_doubts(*, executions: Iterable[Execution], broker: BlockingBroker, now: datetime) -> frozenset[int]:
    """Return those of the executions for which nothing may be sent that closes shares: the account may not hold them.

    What the last comparison found in doubt is; an answer of the broker's that is lost doubts nothing by itself. A deal
    of an exit that is not recorded yet is a doubt for a moment: what is to be sent was decided without it. The
    caller has the broker asked for everything where something is in doubt.
    """
    asked = [execution for execution in executions if execution.con_id]
    in_doubt = _noted_doubts(asked)
    asked = [execution for execution in asked if execution.pk not in in_doubt]
    heard = exposure_ask(executions=asked, broker=broker, now=now, positions_suffice=True) or {}
    for con_id, said in heard.items():
        doubtful = {one.pk for one in asked if one.con_id == con_id and said.is_doubtful_for(one)}
        if doubtful:
            in_doubt |= doubtful
            logger.warning("position_in_doubt", con_id=con_id, difference=str(said.difference), held=str(said.held))
    return frozenset(in_doubt)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answers:
    positions: Sequence[BrokerPosition]
    deals: Sequence[FillTold | CommissionTold]


def _ask(broker: BlockingBroker, *, symbols: set[str], positions_suffice: bool) -> _Answers | None:
    """Ask for positions and the deals of these symbols: the whole day of a busy account is not told in a second."""
    begun = time.monotonic()
    deals: list[FillTold | CommissionTold] = []
    try:
        # In this order: a position that knows a deal is then never beside deals that lack it.
        positions = broker.positions(seconds_max=ASK_SECONDS_MAX)
    except (BrokerTimeout, IncompleteAnswer, RequestRefused) as error:
        logger.warning("positions_not_told", reason=error.code)
        return None
    try:
        for symbol in sorted(symbols):
            left = begun + ASK_SECONDS_MAX - time.monotonic()
            deals += broker.fills_since(symbol=symbol, seconds_max=max(left, _LEFT_SECONDS_MIN))
    except (BrokerTimeout, IncompleteAnswer, RequestRefused) as error:
        logger.warning("deals_not_told", reason=error.code)
        if not positions_suffice:
            return None
    return _Answers(positions=positions, deals=deals)


class PushedLook(StrEnum):
    """What positions that the broker pushed say beside our books."""

    AGREES = "AGREES"
    # It agrees if it lags our newest deals: the broker is asked again when no report lags them any more.
    LAGS = "LAGS"
    DIFFERS = "DIFFERS"


def pushed_positions_look(*, account_id: str, pushed: Mapping[int, Decimal], now: datetime) -> PushedLook:
    """Say whether positions that the broker pushed disagree with our books: then it should be asked for everything.

    Only instruments that a bracket of ours claims are looked at.
    """
    claims = any_of("executions_execution.id", _claiming(Account.objects.filter(account_id=account_id), now=now))
    claiming_them = Execution.objects.filter(claims, con_id__in=pushed).order_by()
    claimed = set(claiming_them.values_list("con_id", flat=True))
    rows = Position.objects.select_related("account").filter(account__account_id=account_id, con_id__in=claimed)
    by_con_id = {row.con_id: row for row in rows}
    look = PushedLook.AGREES
    for con_id in sorted(claimed):
        row = by_con_id.get(con_id)
        if row is None:
            return PushedLook.DIFFERS  # The first comparison makes its row.
        if row.in_doubt:
            continue
        picture = picture_of(row, now=now)
        if picture.disagreement(pushed[con_id], now=now):
            return PushedLook.DIFFERS
        if picture.lags(pushed[con_id]):
            look = PushedLook.LAGS
    return look


def _noted_doubts(executions: Sequence[Execution]) -> set[int]:
    """Return the executions whose instrument was found in doubt by the last comparison."""
    accounts = {execution.account_id for execution in executions}
    rows = Position.objects.filter(account__in=accounts, disputed_since__isnull=False)
    doubtful = set(rows.values_list("account_id", "con_id"))
    return {execution.pk for execution in executions if (execution.account_id, execution.con_id) in doubtful}


def _not_stored(
    fills: Iterable[FillTold],
) -> tuple[dict[int, list[FillTold]], dict[int, list[FillTold]], set[int]]:
    """Return the deals that are not stored yet, by instrument: those of our orders, and all others.

    And the executions of whose exits some of them are.
    """
    by_key = {fill.dedupe_key: fill for fill in fills}
    stored = set(BrokerEvent.objects.filter(dedupe_key__in=by_key).values_list("dedupe_key", flat=True))
    new = [fill for key, fill in by_key.items() if key not in stored]
    ours, others, exits_dealt = (
        defaultdict[int, list[FillTold]](list),
        defaultdict[int, list[FillTold]](list),
        set[int](),
    )
    for fill, order in zip(new, orders_match(new), strict=True):
        (others if order is None else ours)[fill.con_id].append(fill)
        if order is not None and Leg(order.leg).is_exit:
            exits_dealt.add(order.bracket.execution_id)
    return ours, others, exits_dealt


def claiming(account: Account, *, now: datetime) -> QuerySet[Execution]:
    """Return the executions that claim shares, or did until a moment ago: their last deals may not be reported yet.

    While the account disagrees on the instrument, also those that did so a moment before that began.
    """
    keys = _claiming([account], now=now)
    return Execution.objects.filter(any_of("executions_execution.id", keys)).order_by("id")


def _claiming(accounts: Iterable[Account], *, now: datetime) -> set[int]:
    found: set[int] = set()
    held = list(executions_held().values_list("pk", "account_id"))
    # One after the other, by the account's key: of all in one condition the planner may find no index to be of use.
    for account in accounts:
        found |= {pk for pk, account_pk in held if account_pk == account.pk}
        ended = Execution.objects.filter(account=account).order_by().values_list("pk", flat=True)
        found |= set(ended.filter(finished_at__gt=now - LAG))
        doubts = Position.objects.filter(account=account, disputed_since__isnull=False)
        for con_id, since in doubts.values_list("con_id", "disputed_since"):
            if since is not None:
                found |= set(ended.filter(con_id=con_id, finished_at__gt=since - LAG))
    return found


def _claiming_in(row: Position, *, now: datetime) -> set[int]:
    """Return the keys of what `claiming` returns of the row's instrument."""
    held = executions_held().values_list("pk", "account_id", "con_id")
    found = {pk for pk, account_pk, con_id in held if (account_pk, con_id) == (row.account_id, row.con_id)}
    since = min(now, row.disputed_since or now) - LAG
    ended = Execution.objects.filter(account=row.account_id, con_id=row.con_id, finished_at__gt=since).order_by()
    return found | set(ended.values_list("pk", flat=True))


def to_judge(account: Account, *, now: datetime) -> QuerySet[Execution]:
    """Return what claims shares, and what ended beside deals of others that nobody has judged yet.

    A connection that breaks with both leaves minutes between them and the answer by which they are judged.
    """
    found = _claiming([account], now=now) | _ended_beside_deals(account, now=now)
    return Execution.objects.filter(any_of("executions_execution.id", found)).order_by("id")


def _ended_beside_deals(account: Account, *, now: datetime) -> set[int]:
    """Return the executions that ended a moment before a deal of others in their instrument, or after it."""
    ended = Execution.objects.filter(account=account, finished_at__gt=now - BESIDE_MAX).order_by()
    lately = list(ended.values_list("pk", "con_id", "finished_at"))
    rows = Position.objects.filter(account=account, con_id__in={con_id for _, con_id, _ in lately})
    judged_to = dict(rows.values_list("con_id", "deals_judged_to"))
    if not judged_to:
        return set()
    since: dict[int, datetime] = {}
    deals = deals_of_others(account.account_id).filter(id__gt=min(judged_to.values()))
    deals = deals.filter(recorded_at__gt=now - BESIDE_MAX, payload__con_id__in=list(judged_to))
    for key, payload in deals.values_list("pk", "payload"):
        con_id, at = payload["con_id"], datetime.fromisoformat(payload["executed_at"])
        if is_correction(payload):  # Of the deal that it corrects, which may have been any time before.
            at = now - BESIDE_MAX
        if key > judged_to.get(con_id, key):
            since[con_id] = min(since.get(con_id, at), at)
    return {pk for pk, con_id, at in lately if at and con_id in since and at > since[con_id] - LAG}


def picture_of(row: Position, *, now: datetime, lock: bool = False) -> Picture:
    """Return what is known of the row's instrument now; with `lock` it is to be judged: what it needs is locked."""
    if lock:
        executions = list(to_judge(row.account, now=now).filter(con_id=row.con_id).select_for_update(no_key=True))
        keys = [execution.pk for execution in executions]
    else:
        executions = []
        keys = list(_claiming_in(row, now=now))
    of_them = any_of("executions_brokerevent.execution_id", keys)
    heard = BrokerEvent.objects.filter(of_them, kind=FillTold.kind, recorded_at__gt=now - LAG)
    # In this order, so that nothing is taken for read that was not.
    read_to = deals_read_to(row, before=now - LAG) if lock else 0
    deals = deals_unjudged(row)
    recent = [deal_signed(told) for told in heard.order_by("id").values_list("payload", flat=True)]
    # Read last, so that no deal is recent which is not in it.
    claimed = Execution.objects.filter(any_of("executions_execution.id", keys)).order_by()
    return Picture(
        row=row,
        executions=executions,
        claims=[Side(side).sign * shares for side, shares in claimed.values_list("side", "open_quantity")],
        recent=recent,
        foreign=deals,
        deals_read_to=read_to,
    )


def claims_of(executions: Sequence[Execution]) -> dict[int, Decimal]:
    """Return what each bracket claims, signed, by its id."""
    sides = {execution.pk: Side(execution.side) for execution in executions}
    orders: dict[int, list[Order]] = defaultdict(list)
    side_of: dict[int, Side] = {}
    for order in orders_of_executions(execution.pk for execution in executions):
        orders[order.bracket_id].append(order)
        side_of[order.bracket_id] = sides[order.bracket.execution_id]
    claims = {pk: open_quantity_of(found) for pk, found in orders.items()}
    return {pk: (claim if side_of[pk] is Side.LONG else -claim) for pk, claim in claims.items() if claim}
