# ruff: noqa: S608 - the names are of this file
"""A long history of finished executions, copied from one that ran, and what each statement reads of it.

    the execution of the test ── generate_series ──> thousands like it, finished long ago
    statements of the code under test ── EXPLAIN ANALYZE, as custom and as generic plans ──> rows read, table by table

The rows are made within the test's transaction, so nothing has analysed them: the planner knows the size of a table and
nothing of what is in it, as after a restore.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import connection

# Tables of which a history has many rows.
HISTORY = (
    *("executions_execution", "executions_bracket", "executions_order", "executions_fill", "executions_commission"),
    *("executions_brokerevent", "executions_decision", "executions_ordercommand", "executions_executionflag"),
)
_EXPLAINED = ("SELECT", "UPDATE", "DELETE", "INSERT INTO executions_commission")
_PLANS = ("force_custom_plan", "force_generic_plan")


def history_make(execution_id: int, *, length: int, events: str = "true") -> None:
    """Copy a finished execution with all that belongs to it `length` times; of its events those that fit `events`."""
    # Order by order: what refers to a row is copied after it, and found again by its new name.
    _copy(
        "executions_execution",
        of=f"id = {execution_id}",
        length=length,
        key="'H' || n",
        idempotency_key="'H' || n",
        finished_at="old.finished_at - interval '1 day'",
    )
    _copy(
        "executions_bracket",
        of=f"execution_id = {execution_id}",
        source="executions_execution e ON e.key = 'H' || n",
        length=length,
        execution_id="e.id",
    )
    _copy(
        "executions_order",
        of=f"bracket_id IN ({_brackets(execution_id)})",
        source="executions_execution e ON e.key = 'H' || n JOIN executions_bracket b ON b.execution_id = e.id",
        length=length,
        bracket_id="b.id",
        order_ref="n || ':' || old.order_ref",
        order_id="old.order_id + 1000 * n",
        perm_id="old.perm_id + 1000000 * n::bigint",
    )
    orders = "executions_order o ON o.order_ref = n || ':' || (SELECT order_ref FROM executions_order WHERE id = {})"
    of_orders = orders.format("old.order_id") + " JOIN executions_execution e ON e.key = 'H' || n"
    owner = f"execution_id = {execution_id}"
    fills = f"order_id IN (SELECT id FROM executions_order WHERE bracket_id IN ({_brackets(execution_id)}))"
    _copy(
        "executions_fill",
        of=fills,
        source=orders.format("old.order_id"),
        length=length,
        order_id="o.id",
        exec_id="n || ':' || old.exec_id",
    )
    _copy(
        "executions_brokerevent",
        of=f"{owner} AND {events}",
        source=of_orders,
        length=length,
        order_id="o.id",
        execution_id="e.id",
        dedupe_key="n || ':' || old.dedupe_key",
    )
    _copy(
        "executions_ordercommand",
        of=owner,
        source=of_orders + " JOIN executions_bracket b ON b.execution_id = e.id",
        length=length,
        order_id="o.id",
        execution_id="e.id",
        bracket_id="b.id",
    )
    _copy(
        "executions_decision",
        of=owner,
        source="executions_execution e ON e.key = 'H' || n JOIN executions_bracket b ON b.execution_id = e.id",
        length=length,
        execution_id="e.id",
        bracket_id="b.id",
        order_id="NULL::bigint",
    )
    _copy(
        "executions_executionflag",
        of=owner,
        source="executions_execution e ON e.key = 'H' || n",
        length=length,
        execution_id="e.id",
    )


def _brackets(execution_id: int) -> str:
    return f"SELECT id FROM executions_bracket WHERE execution_id = {execution_id}"


def _copy(table: str, *, of: str, length: int, source: str = "", **changed: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'NO'", [table]
        )
        columns = [name for (name,) in cursor.fetchall()]
        values = ", ".join(changed.get(name, f"old.{name}") for name in columns)
        joined = f"JOIN {source}" if source else ""
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} "
            f"FROM (SELECT * FROM {table} WHERE {of}) old CROSS JOIN generate_series(1, {length}) n {joined}"
        )


@dataclass
class Reading:
    """What the statements read of each table of the history, and the worst of them."""

    rows: Counter[str] = field(default_factory=Counter)
    statements: int = 0
    whole: list[str] = field(default_factory=list)
    most: tuple[int, str] = (0, "")

    def note(self, sql: str, plan: Mapping[str, Any]) -> None:
        self.statements += 1
        read = Counter[str]()
        for node in _nodes(plan):
            table = node.get("Relation Name", "")
            if table not in HISTORY:
                continue
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read[table] += round((node["Actual Rows"] + removed) * node["Actual Loops"])
            if node["Node Type"] in ("Seq Scan", "Parallel Seq Scan") and node["Actual Loops"]:
                self.whole.append(f"{table}: {sql}")
        self.rows += read
        self.most = max(self.most, (sum(read.values()), sql))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@contextmanager
def reading(*, plan: str = "force_custom_plan") -> Iterator[Reading]:
    """Explain each statement before it is run: `plan` is one of the database's `plan_cache_mode`."""
    seen = Reading()

    def explain(execute: Callable[..., object], sql: str, params: Any, *rest: Any) -> object:
        if sql.lstrip().startswith(_EXPLAINED):
            seen.note(sql, _explained(sql, params, plan=plan))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(explain):
        yield seen


def _explained(sql: str, params: Sequence[Any] | None, *, plan: str) -> Mapping[str, Any]:
    """Run the statement as a prepared one and take it back; return what it read."""
    wire = connection.connection
    values = tuple(params or ())
    numbered = sql
    for number in range(1, len(values) + 1):
        numbered = numbered.replace("%s", f"${number}", 1)
    with psycopg.ClientCursor(wire) as cursor:
        cursor.execute("SAVEPOINT explained")
        cursor.execute(f"SET LOCAL plan_cache_mode = {plan}")
        cursor.execute(f"PREPARE explained AS {numbered.replace('%%', '%')}")
        given = f"({', '.join(['%s'] * len(values))})" if values else ""
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained{given}", values or None)
        row = cursor.fetchone()
        cursor.execute("DEALLOCATE explained")
        cursor.execute("ROLLBACK TO SAVEPOINT explained")
        cursor.execute("RELEASE SAVEPOINT explained")
    assert row is not None
    told = row[0] if isinstance(row[0], list) else json.loads(row[0])
    plan_told: Mapping[str, Any] = told[0]["Plan"]
    return plan_told
