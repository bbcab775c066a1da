"""How many orders work on each side of a contract in an account, ours and others', before one more is sent.

The broker refuses what is above its number, a protective stop like any other order: so an execution that cannot have
all its orders is refused before its first byte, and a stop that finds no room gets the place of a target.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from app.accounts.models import Account
from app.core.errors import FixRequest
from app.domain.terms import Action
from app.executions.models import Execution, Order, ReconcileRun
from app.executions.open_rows import orders_open


def room_require(
    *, account: Account, con_id: int, needed: Mapping[Action, int], before: Execution | None = None
) -> dict[Action, int]:
    """Return how many orders work on each side, once `needed` more have room. Raises FixRequest `too_many_orders`.

    `before` is the execution that needs them, where its orders are written down already: those of older requests, and
    what was taken, come first.
    """
    limit = settings.ORDERS_PER_CONTRACT_MAX
    at_work = orders_at_work(account=account, con_id=con_id, before=before)
    for action, count in needed.items():
        if limit and at_work[action] + count > limit:
            raise FixRequest(
                f"It needs {count} {action.value} orders, and {at_work[action]} are there already: the broker works "
                f"with {limit} on each side of a contract in an account. Use fewer targets, or end others first.",
                code="too_many_orders",
                details={"action": action.value, "needed": count, "working": at_work[action], "limit": limit},
            )
    return dict(at_work)


def room_needed(orders: Iterable[Order]) -> Counter[Action]:
    """Return how many of these orders stand on each side."""
    return Counter(Action(order.action) for order in orders)


def orders_at_work(*, account: Account, con_id: int, before: Execution | None = None) -> Counter[Action]:
    """Count the unfinished orders of all executions, and the foreign ones that the broker told when last asked."""
    ours = orders_open().prefetch_related("bracket__execution")
    at_work = Counter(
        Action(order.action)
        for order in ours
        if order.account_id == account.pk and _counts(order.bracket.execution, con_id=con_id, before=before)
    )
    asked = ReconcileRun.objects.filter(account=account, is_complete=True).order_by("-id")
    told: dict[str, Any] = asked.values_list("answered", flat=True).first() or {}
    for action, count in told.get("external_sides", {}).get(str(con_id), {}).items():
        at_work[Action(action)] += count
    return at_work


def _counts(execution: Execution, *, con_id: int, before: Execution | None) -> bool:
    if execution.con_id != con_id or execution == before:
        return False
    return before is None or execution.pk < before.pk or execution.claimed_at is not None
