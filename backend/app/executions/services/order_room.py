"""How many orders work on each side of a contract in an account, ours and others', before one more is sent.

The broker refuses what is above its number, a protective stop like any other order: so an execution that cannot have
all its orders is refused before its first byte, and a stop that finds no room gets the place of a target.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from app.accounts.models import Account
from app.core.errors import FixRequest
from app.domain.terms import Action
from app.executions.models import Bracket, Execution, Order, ReconcileRun
from app.executions.open_rows import any_of, orders_open


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


def execution_room_require(execution: Execution) -> None:
    """Raise FixRequest `too_many_orders` unless all orders of an execution that is about to be sent have room."""
    if not settings.ORDERS_PER_CONTRACT_MAX:
        return  # There is nothing to compare with, and hundreds of orders may be there to be counted.
    actions = Order.objects.filter(bracket__execution=execution).values_list("action", flat=True)
    needed = Counter(Action(action) for action in actions)
    room_require(account=execution.account, con_id=execution.con_id, needed=needed, before=execution)


def orders_at_work(*, account: Account, con_id: int, before: Execution | None = None) -> Counter[Action]:
    """Count the unfinished orders of all executions, and the foreign ones that the broker told when last asked.

    No row becomes an object: it is counted under the lock of each entry that is sent, with hundreds of orders there.
    """
    at_work: Counter[Action] = Counter()
    ours = orders_open().values_list("account_id", "bracket_id", "action")
    by_bracket = [(bracket_id, action) for account_id, bracket_id, action in ours if account_id == account.pk]
    counted = _brackets_counted({bracket_id for bracket_id, _ in by_bracket}, con_id=con_id, before=before)
    at_work.update(Action(action) for bracket_id, action in by_bracket if bracket_id in counted)
    asked = ReconcileRun.objects.filter(account=account, is_complete=True).order_by("-id")
    told: dict[str, Any] = asked.values_list("answered__external_sides", flat=True).first() or {}
    for action, count in told.get(str(con_id), {}).items():
        at_work[Action(action)] += count
    return at_work


def _brackets_counted(bracket_ids: set[int], *, con_id: int, before: Execution | None) -> set[int]:
    """Return those brackets whose orders take room of the contract, from `before`'s place in the row."""
    brackets = Bracket.objects.filter(any_of("executions_bracket.id", bracket_ids)).order_by()
    execution_of = dict(brackets.values_list("pk", "execution_id"))
    executions = Execution.objects.filter(any_of("executions_execution.id", execution_of.values())).order_by()
    counted = {
        pk
        for pk, on_contract, claimed_at in executions.values_list("pk", "con_id", "claimed_at")
        if on_contract == con_id
        and (before is None or (pk != before.pk and (pk < before.pk or claimed_at is not None)))
    }
    return {bracket_id for bracket_id, execution_id in execution_of.items() if execution_id in counted}
