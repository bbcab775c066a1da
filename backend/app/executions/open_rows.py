"""The rows that are open, found by partial indexes which the planner cannot miss.

    Order       may still fill or be cancelled            index order_open
    Order       told filled, and its deals are not        index order_lacks_deals
    Execution   not finished                              index execution_unfinished
    Execution   claims shares                             index execution_held
    BrokerEvent a deal on no order of ours                index event_foreign_deal

What protects asks for these first, and for what belongs to them by their keys, table by table: so it reads what is
open, and a long history costs it nothing. Nothing of that may depend on what the planner knows. A table that was
restored and not analysed has no statistics, and a statement that runs often is planned once, for any value of its
parameters. So the words of a partial index stand in the SQL itself: of `status IN ($1, $2)` nothing can be proved.
Joins and sorting are left to us: a planner that takes every order for open would read whole tables for them. So is
the account (`of_account`): a planner that takes it for one of two hundred would read all that it ever did.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from django.db.models import BooleanField, Q, QuerySet, Value
from django.db.models.expressions import RawSQL

from app.accounts.models import Account
from app.domain.broker_events import FillTold
from app.domain.execution_status import FINISHED, ExecutionStatus
from app.domain.order_status import TERMINAL, OrderStatus
from app.executions.models import LACKS_DEALS, Bracket, BrokerEvent, Execution, Order


class Literal(Value):
    """A word or a whole number of our own code that stands in the SQL itself; never what somebody typed."""

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        """Return the constant as SQL, without parameters."""
        if isinstance(self.value, int):
            return str(self.value), ()
        word = str(self.value)
        if not word.replace("_", "").isalnum():
            raise ValueError(f"Not a word: {word!r}")
        return f"'{word}'", ()


def words(vocabulary: Iterable[StrEnum]) -> list[Literal]:
    """Return the words as constants, in one order: so the statement is the same one each time."""
    return [Literal(word) for word in sorted(word.value for word in vocabulary)]


def any_of(column: str, keys: Iterable[int]) -> RawSQL:
    """Return the condition that a column, named by us as `table.column`, is one of these keys, however many.

    One parameter for all: of a thousand, Django and the driver would look at each by itself, at every look.
    """
    condition = f"{column} = ANY (%s::bigint[])"
    return RawSQL(condition, [list(keys)], output_field=BooleanField())  # noqa: S611 - The column is never typed by anybody.


def events_known(dedupe_keys: Iterable[str]) -> QuerySet[BrokerEvent]:
    """Return the stored events with these keys, in no order, however many they are.

    One parameter for all of them, and an array: a subquery in its place may be joined with the whole table.
    """
    known = RawSQL(
        "executions_brokerevent.dedupe_key = ANY (ARRAY (SELECT jsonb_array_elements_text(%s::jsonb)))",
        [json.dumps(list(dedupe_keys))],
        output_field=BooleanField(),
    )
    return BrokerEvent.objects.filter(known).order_by()


ORDER_IS_OPEN = Q(status__in=words(set(OrderStatus) - TERMINAL))
EXECUTION_IS_UNFINISHED = Q(status__in=words(set(ExecutionStatus) - FINISHED))
CLAIMS_SHARES = ~Q(open_quantity=Literal(0))
IS_DEAL_OF_OTHERS = Q(kind=Literal(FillTold.kind), order__isnull=True)


def orders_open() -> QuerySet[Order]:
    """Return the orders that may still fill or be cancelled, in no order."""
    return Order.objects.filter(ORDER_IS_OPEN).order_by()


def orders_lacking_deals() -> QuerySet[Order]:
    """Return the orders of which the broker's status messages say more than the deals that are known, in no order."""
    return Order.objects.filter(LACKS_DEALS).order_by()


def executions_unfinished() -> QuerySet[Execution]:
    """Return the executions that are not finished, oldest first."""
    return Execution.objects.filter(EXECUTION_IS_UNFINISHED).order_by("id")


def executions_held() -> QuerySet[Execution]:
    """Return the executions that claim shares, or closed too many, in no order."""
    return Execution.objects.filter(CLAIMS_SHARES).order_by()


def deals_of_others(account_id: str) -> QuerySet[BrokerEvent]:
    """Return the deals of the account, by the broker's id, that are on no order of ours, oldest first."""
    return BrokerEvent.objects.filter(IS_DEAL_OF_OTHERS, account=account_id).order_by("account", "id")


def bracket_executions(execution_ids: Iterable[int]) -> dict[int, int]:
    """Return the execution of each bracket of these executions."""
    brackets = Bracket.objects.filter(any_of("executions_bracket.execution_id", execution_ids)).order_by()
    return dict(brackets.values_list("pk", "execution_id"))


def of_account(rows: QuerySet[Any], account_id: str, *, key: str = "pk") -> list[int]:
    """Return the keys of those rows that belong to the account, by the broker's id; or what else `key` names."""
    account = Account.objects.filter(account_id=account_id).first()
    keys = rows.values_list(key, "account_id")
    return [pk for pk, account_pk in keys if account is not None and account_pk == account.pk]


def executions_of_orders(orders: QuerySet[Order]) -> set[int]:
    """Return the executions to which these orders belong."""
    bracket_ids = set(orders.values_list("bracket_id", flat=True))
    brackets = Bracket.objects.filter(any_of("executions_bracket.id", bracket_ids)).order_by()
    return set(brackets.values_list("execution_id", flat=True))


def orders_of_executions(execution_ids: Iterable[int]) -> list[Order]:
    """Return all orders of these executions, bracket by bracket, oldest first, each with its bracket."""
    found = Bracket.objects.filter(any_of("executions_bracket.execution_id", execution_ids)).order_by()
    brackets = {bracket.pk: bracket for bracket in found}
    of_them = Order.objects.filter(any_of("executions_order.bracket_id", brackets)).order_by()
    orders = sorted(of_them, key=lambda order: (order.bracket_id, order.pk))
    for order in orders:
        order.bracket = brackets[order.bracket_id]
    return orders
