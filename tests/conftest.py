"""For every test: its clean-up may empty what the database otherwise keeps, and no hour of the day is special."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db.backends.postgresql.operations import DatabaseOperations


@pytest.fixture(autouse=True, scope="session")
def flush_may_empty_append_only_tables() -> Iterator[None]:
    """Let the flush after a transactional test say, in its own transaction, that it means to empty everything."""
    with pytest.MonkeyPatch.context() as patch:
        sql_flush = DatabaseOperations.sql_flush

        def with_leave(self: DatabaseOperations, *args: Any, **kwargs: Any) -> list[str]:
            statements = list(sql_flush(self, *args, **kwargs))
            return ["SET LOCAL app.emptying = 'on';", *statements] if statements else []

        patch.setattr(DatabaseOperations, "sql_flush", with_leave)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_maintenance() -> Iterator[None]:
    """Let tests that do not ask for a maintenance window pass at any hour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "GATEWAY_MAINTENANCE", ())
        yield
