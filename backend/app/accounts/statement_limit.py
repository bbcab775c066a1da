"""A time limit on each statement of a road that must not be held up: who is held up is told, and tries again.

A look of the guard takes milliseconds. What takes seconds waits for a row that somebody has locked, or reads what it
should not read: to go on waiting would leave every other position unguarded.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from django.db import DatabaseError, InterfaceError, connection


@contextmanager
def statement_limit(*, seconds: float) -> Iterator[None]:
    """End every statement of this thread that takes longer; it raises OperationalError (see `is_held_up`)."""
    _limit(f"{round(seconds * 1000)}ms")
    try:
        yield
    finally:
        with suppress(DatabaseError, InterfaceError):  # A connection that is broken keeps no limit.
            _limit("0")


def _limit(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [value])


def is_held_up(error: BaseException) -> bool:
    """Say whether a statement was ended because it took, or waited for a row, too long."""
    return isinstance(error.__cause__, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable)


def is_deadlock(error: BaseException) -> bool:
    """Say whether two transactions waited for each other, and this one was ended: nothing of it was written.

    PostgreSQL ends one of them after a second (`deadlock_timeout`); what is tried again then goes through.
    """
    return isinstance(error.__cause__, psycopg.errors.DeadlockDetected)
