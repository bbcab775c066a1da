"""Does the account hold what we think we hold? What differs is shown to a person and never traded away.

    outside = the broker's position - the open quantity of our executions, for each contract

Shares that are not ours are none of our business, so it is not `outside` itself that alarms but its change: a deal that
we never heard of, or somebody else's trade. Positions may be told before the deal they come from, so a change counts
when two complete answers in a row show the same. Where nothing was compared before, only a position that does not
contain ours counts.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.accounts.models import Account
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.brokers.base import Position
from app.domain.terms import Side
from app.executions.decisions import decision_record
from app.executions.models import Actor, Execution, ReconcileRun

_NONE = Decimal(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """A contract whose position is not what we know of; shares, negative when short."""

    contract: str
    ours: Decimal
    theirs: Decimal
    outside_before: Decimal

    def __str__(self) -> str:
        """Say it in a sentence."""
        return (
            f"{self.contract}: the broker holds {self.theirs.normalize():f}, our executions "
            f"{self.ours.normalize():f}, and {self.outside_before.normalize():f} were known from elsewhere"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PositionsSeen:
    """One comparison: what is `outside` by contract (the next one's measure), what was seen once, what is certain."""

    outside: dict[str, str] = field(default_factory=dict)
    seen_once: dict[str, str] = field(default_factory=dict)
    drifts: list[Drift] = field(default_factory=list)


def positions_compare(*, account: Account, positions: Sequence[Position], now: datetime) -> PositionsSeen:
    """Compare the broker's complete answer with our rows; tell a person of each drift that is certain now."""
    measured = ReconcileRun.objects.filter(account=account, is_complete=True, answered__has_key="outside").first()
    before: dict[str, str] | None = measured.answered["outside"] if measured is not None else None
    once: dict[str, str] = measured.answered.get("seen_once", {}) if measured is not None else {}
    ours, theirs = _ours(account), _theirs(positions)
    seen = PositionsSeen()
    for contract in sorted(ours.keys() | theirs.keys() | set(before or {})):
        mine, held = ours.get(contract, _NONE), theirs.get(contract, _NONE)
        known = Decimal((before or {}).get(contract, "0"))
        outside = held - mine
        differs = outside != known if before is not None else _lacks(held, mine=mine)
        if differs and Decimal(once.get(contract, "NaN")) != outside:
            seen.seen_once[contract], outside = str(outside), known
        elif differs:
            seen.drifts.append(Drift(contract=contract, ours=mine, theirs=held, outside_before=known))
        if outside:
            seen.outside[contract] = str(outside)
    for drift in seen.drifts:
        _tell(drift, account=account, now=now)
    return seen


def _lacks(held: Decimal, *, mine: Decimal) -> bool:
    return held < mine if mine > 0 else held > mine if mine < 0 else False


def _ours(account: Account) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    executions = Execution.objects.filter(account=account).exclude(open_quantity=0)
    for symbol, kind, currency, side, quantity in executions.values_list(
        "symbol", "security_type", "currency", "side", "open_quantity"
    ):
        found[f"{symbol} {kind} {currency}"] += quantity if side == Side.LONG.value else -quantity
    return dict(found)


def _theirs(positions: Sequence[Position]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for position in positions:
        contract = position.contract
        found[f"{contract.symbol} {contract.security_type} {contract.currency}"] += position.quantity
    return dict(found)


def _tell(drift: Drift, *, account: Account, now: datetime) -> None:
    evidence = {"contract": drift.contract, "ours": str(drift.ours), "theirs": str(drift.theirs)}
    decision_record(
        actor=Actor.RECONCILE,
        action="POSITION_DRIFT",
        reason=str(drift),
        evidence=evidence | {"outside_before": str(drift.outside_before)},
        account=account,
        now=now,
    )
    alert_raise(
        kind=AlertKind.POSITION_DRIFT,
        subject=f"{account.account_id}:{drift.contract}",
        text=f"{drift}.",
        details=evidence,
        account_id=account.pk,
        now=now,
    )
