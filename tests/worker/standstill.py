"""Hold a process still at one exact point, without a word to it: by what it must wait for.

A row that the test has locked, a statement that waits in a trigger of the test's, a Valkey that takes no publish. The
process waits inside its own code, so what a kill leaves behind then is what it leaves at that point, each time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import redis

from app.executions.news import CLIENT_NAME
from tests.eventually import eventually
from tests.running_stack import RunningStack
from tests.worker.desk import Desk

GATE = 7_001


@contextmanager
def row_locked(stack: RunningStack, table: str, row_id: int) -> Iterator[None]:
    """Hold a row that others want to lock or change."""
    with psycopg.connect(stack.up["database_url"]) as locker:
        found = locker.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [row_id]).fetchall()  # noqa: S608
        assert found, f"{table} has no row {row_id}"
        yield
        locker.rollback()


def waits_for_row(stack: RunningStack, table: str) -> None:
    """Wait until somebody who reads a row of the table to lock it waits for it."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    eventually(lambda: stack.rows(query, f'SELECT "{table}"%')[0][0] > 0)


@contextmanager
def gate(stack: RunningStack, *, before: str, table: str, when: str) -> Iterator[Callable[[], None]]:
    """Let whoever is about to `before` (INSERT, UPDATE) a row of the table wait there, in its transaction.

    Yields what opens it; it is gone at the end of the block, which waits for the transactions that came through.
    """
    with psycopg.connect(stack.owner_url, autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", [GATE])
        keeper.execute(
            f"CREATE OR REPLACE FUNCTION test_gate() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$"
        )
        keeper.execute(
            f"CREATE TRIGGER test_gate AFTER {before} ON {table} FOR EACH ROW WHEN ({when}) "
            "EXECUTE FUNCTION test_gate()"
        )

        def open_it() -> None:
            keeper.execute("SELECT pg_advisory_unlock_all()")

        try:
            yield open_it
        finally:
            open_it()
            keeper.execute(f"DROP TRIGGER test_gate ON {table}")


def waits_at_gate(stack: RunningStack) -> None:
    """Wait until somebody waits at the gate."""
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    eventually(lambda: stack.rows(query, GATE)[0][0] > 0)


@contextmanager
def news_stopped(desk: Desk) -> Iterator["redis.Redis"]:
    """Have Valkey take no write and no publish until the block ends; what is only read is answered."""
    with redis.Redis.from_url(desk.stack.up["redis_url"]) as client:
        client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            yield client
        finally:
            client.execute_command("CLIENT", "UNPAUSE")


def news_wait(client: "redis.Redis") -> bool:
    """Say whether somebody waits for Valkey to take the news of an execution."""
    clients = (told for told in client.client_list() if told["name"] == CLIENT_NAME)
    return any(told["cmd"] == "publish" and "b" in told["flags"] for told in clients)
