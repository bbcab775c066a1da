"""What was told and what was decided cannot be changed or removed, whoever asks the database."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from app.core import clock
from app.domain.broker_events import ToldStatus
from app.executions.decisions import decision_record
from app.executions.models import Actor, BrokerEvent, Decision
from tests.services.book import Book
from tests.services.heard import told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
TABLES = {BrokerEvent: {"kind": "other"}, Decision: {"reason": "another"}}


@pytest.fixture
def history(submitted: Submitted) -> Book:
    """An execution of which something was told and decided."""
    book = submitted()
    book.hear(told(book.entry, ToldStatus.SUBMITTED))
    decision_record(actor=Actor.SWEEP, action="TEST", reason="because", now=clock.now(), execution=book.execution)
    return book


def execute(statements: str) -> None:
    for statement in statements.split(";"):
        with connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
@pytest.mark.parametrize("way", ["update", "save", "delete", "raw", "truncate"])
def test_the_database_refuses_to_change_history(history: Book, model: type[Model], way: str) -> None:
    rows, table = model._default_manager.all(), model._meta.db_table
    row = rows.latest("id")
    attempts: dict[str, Callable[[], Any]] = {
        "update": lambda: rows.update(**TABLES[model]),
        "save": row.save,
        "delete": rows.delete,
        "raw": lambda: execute(f"DELETE FROM {table}"),  # noqa: S608 - the table's own name
        "truncate": lambda: execute(f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {table}"),
    }
    count = rows.count()

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        attempts[way]()

    assert rows.count() == count >= 1


def test_history_can_still_be_added_to(history: Book) -> None:
    before = BrokerEvent.objects.count()
    history.hear(told(history.stop, ToldStatus.PRE_SUBMITTED))
    assert BrokerEvent.objects.count() == before + 1


@pytest.mark.django_db(transaction=True)
def test_the_refusal_goes_with_its_migration_and_comes_back() -> None:
    def triggers() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tgname FROM pg_trigger WHERE tgfoid = to_regproc('executions_append_only')")
            return {name for (name,) in cursor.fetchall()}

    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    assert len(triggers()) == 4
    MigrationExecutor(connection).migrate([("executions", "0003_flatten_and_flagged")])
    assert triggers() == set()
    MigrationExecutor(connection).migrate(newest)
    assert len(triggers()) == 4
