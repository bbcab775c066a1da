"""Deals of the account that are on no order of ours, as they stand now, and that nobody has judged yet.

A correction takes the place of the deal that it corrects, of others' deals as of ours: SELL 6 corrected to 3 is a sale
of 3, and of nothing where it was busted. Where the deal was judged already, what is left to judge is the difference:
what was taken for closed by it may not be.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.accounts.models import Account, Position
from app.domain.broker_events import correction_number, correction_root
from app.domain.terms import Action
from app.executions.open_rows import deals_of_others

_NONE = Decimal(0)
_FIRST = 1  # The number of a deal that corrects none.


@dataclass(frozen=True, kw_only=True, slots=True)
class DealOfOthers:
    """A stored deal on no order of ours. `quantity`: by how many shares it changes what was judged before, signed.

    `corrects_judged`: it corrects the size of a deal that was judged.
    """

    event_id: int
    told: Mapping[str, Any]
    quantity: Decimal
    client_id: int
    recorded_at: datetime
    corrects_judged: bool = False


def deals_unjudged(row: Position) -> list[DealOfOthers]:
    """Return the deals in the row's instrument that are not judged yet, oldest first, each as it stands."""
    found = deals_of_others(row.account.account_id).filter(id__gt=row.deals_judged_to, payload__con_id=row.con_id)
    by_root: dict[str, list[DealOfOthers]] = defaultdict(list)
    for event_id, told, recorded_at in found.values_list("pk", "payload", "recorded_at"):
        deal = DealOfOthers(
            event_id=event_id,
            told=told,
            quantity=deal_signed(told),
            client_id=int(told["client_id"]),
            recorded_at=recorded_at,
        )
        by_root[correction_root(told["exec_id"])].append(deal)
    standing = [_as_it_stands(root, deals, row=row) for root, deals in by_root.items()]
    return sorted(standing, key=lambda deal: deal.event_id)


def deals_stored_to(account: Account, *, before: datetime | None = None) -> int:
    """Return the id of the last stored deal of the account that is on no order of ours, 0 where there is none."""
    deals = deals_of_others(account.account_id)
    if before is not None:
        deals = deals.filter(recorded_at__lt=before)
    return deals.values_list("pk", flat=True).last() or 0


def deals_read_to(row: Position, *, before: datetime) -> int:
    """Return the id of the last deal, in whatever instrument, that is not judged and was stored so early, 0 for none.

    Of a busy account most are in something else: they need not be read again.
    """
    unjudged = deals_of_others(row.account.account_id).filter(id__gt=row.deals_judged_to, recorded_at__lte=before)
    return unjudged.values_list("pk", flat=True).last() or 0


def deal_signed(payload: Mapping[str, Any]) -> Decimal:
    """Return the shares of a stored deal, negative when sold."""
    quantity = Decimal(payload["quantity"])
    return quantity if payload["action"] == Action.BUY.value else -quantity


def deal_text(payload: Mapping[str, Any]) -> str:
    """Return a stored deal as a person reads it, as in "SELL 6 at 190.1, 2026-11-20T15:04:05 UTC"."""
    quantity, price = Decimal(payload["quantity"]), Decimal(payload["price"])
    return f"{payload['action']} {quantity.normalize():f} at {price.normalize():f}, {payload['executed_at'][:19]} UTC"


def is_correction(payload: Mapping[str, Any]) -> bool:
    """Say whether a stored deal takes the place of an earlier one."""
    return correction_number(payload["exec_id"]) > _FIRST


def _as_it_stands(root: str, deals: list[DealOfOthers], *, row: Position) -> DealOfOthers:
    newest = max(deals, key=_number)
    judged = _judged(root, row=row) if is_correction(newest.told) else {}
    quantity = newest.quantity
    if judged:  # An older correction than the one that was judged says nothing any more.
        quantity = quantity - judged[max(judged)] if _number(newest) > max(judged) else _NONE
    return DealOfOthers(
        event_id=max(deal.event_id for deal in deals),
        told=newest.told,
        quantity=quantity,
        client_id=newest.client_id,
        recorded_at=newest.recorded_at,
        corrects_judged=bool(judged and quantity),
    )


def _judged(root: str, *, row: Position) -> dict[int, Decimal]:
    """Return the shares of what was judged of a deal and its corrections, by their numbers."""
    same = deals_of_others(row.account.account_id).filter(
        id__lte=row.deals_judged_to, dedupe_key__startswith=f"fill:{root}."
    )
    told = [told for told in same.values_list("payload", flat=True) if correction_root(told["exec_id"]) == root]
    return {correction_number(one["exec_id"]): deal_signed(one) for one in told}


def _number(deal: DealOfOthers) -> int:
    return correction_number(deal.told["exec_id"])
