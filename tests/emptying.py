"""How the database is emptied after a test that commits: all but what a migration writes, while that is as it was.

Django's own way truncates every table and then has the content types, permissions and roles written anew, which takes
longer than most of the tests it cleans up after. Where a test has changed one of those, everything is written anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import TransactionTestCase

WRITTEN_BY_MIGRATE = (
    "accounts_rolegrant",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
)


class Emptying:
    """Empties the database, and remembers what a migration writes."""

    def __init__(self) -> None:
        self._written = ""
        self._keeps = False

    def statements(self, statements: list[str]) -> list[str]:
        """Say in the same transaction that everything is to be emptied; append-only tables refuse it otherwise."""
        return ["SET LOCAL app.emptying = 'on';", *statements] if statements else []

    def tables(self, tables: list[str]) -> list[str]:
        """Leave out what is kept."""
        return [table for table in tables if not (self._keeps and table in WRITTEN_BY_MIGRATE)]

    def empty(self) -> None:
        """Empty the database. Raises CommandError where somebody still works in it."""
        self._keeps = self._written != "" and self._written == _written()
        try:
            call_command(
                "flush", verbosity=0, interactive=False, inhibit_post_migrate=self._keeps, reset_sequences=False
            )
        finally:
            written_anew, self._keeps = not self._keeps, False
        if written_anew:
            self._written = _written()


def _written() -> str:
    rows = " UNION ALL ".join(
        f"SELECT '{table}' AS name, row::text AS content FROM {table} AS row"  # noqa: S608 - names of our own
        for table in WRITTEN_BY_MIGRATE
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT md5(string_agg(name || content, ';' ORDER BY name, content)) FROM ({rows}) AS rows")  # noqa: S608
        (digest,) = cursor.fetchone()
    return str(digest or "nothing")


@contextmanager
def emptying_our_way() -> Iterator[Emptying]:
    """Have pytest-django empty the database so after each test that commits."""
    emptying = Emptying()
    sql_flush = DatabaseOperations.sql_flush

    def with_leave(self: DatabaseOperations, style: Any, tables: list[str], **options: Any) -> list[str]:
        return emptying.statements(sql_flush(self, style, emptying.tables(tables), **options))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", with_leave)
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _self: emptying.empty())
        yield emptying
