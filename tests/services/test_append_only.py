"""What was told and what was decided cannot be changed or removed, whoever asks the database."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model

from app.core import clock
from app.domain.broker_events import ToldStatus
from app.domain.command import CommandReason
from app.executions.decisions import decision_record
from app.executions.models import Actor, BrokerEvent, Decision, OrderCommand
from app.executions.services.cancel import execution_cancel_request
from tests.services.book import Book
from tests.services.heard import told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
TABLES: dict[type[Model], dict[str, str]] = {
    BrokerEvent: {"kind": "other"},
    Decision: {"reason": "another"},
    OrderCommand: {"reason_code": "another"},
}


@pytest.fixture
def history(submitted: Submitted) -> Book:
    """An execution of which something was told and decided."""
    book = submitted()
    book.hear(told(book.entry, ToldStatus.SUBMITTED))
    decision_record(actor=Actor.SWEEP, action="TEST", reason="because", now=clock.now(), execution=book.execution)
    execution_cancel_request(execution_id=book.execution_id, reason=CommandReason.REQUESTED, now=clock.now())
    return book


def changed(row: Model, **values: str) -> Model:
    for name, value in values.items():
        setattr(row, name, value)
    return row


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
        "save": lambda: changed(row, **TABLES[model]).save(),
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
    assert len(triggers()) == 6
    MigrationExecutor(connection).migrate([("executions", "0003_flatten_and_flagged")])
    assert triggers() == set()
    MigrationExecutor(connection).migrate(newest)
    assert len(triggers()) == 6


def test_what_was_wanted_and_how_it_was_settled_stays_as_it_is(history: Book) -> None:
    # Given a command that is sent, and then settled
    command = OrderCommand.objects.get(kind="CANCEL")
    command.sent_at = clock.now()
    command.save()
    history.hear(told(history.entry, ToldStatus.CANCELLED), told(history.stop, ToldStatus.CANCELLED))
    assert OrderCommand.objects.get(kind="CANCEL").settled_how == "order_cancelled"
    # Then nothing of it can be changed any more
    for values in ({"settled_how": "another"}, {"settled_at": None, "settled_how": ""}, {"sent_at": None}):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            OrderCommand.objects.update(**values)


@pytest.mark.django_db(transaction=True)
def test_a_cancel_that_was_asked_for_before_there_were_commands_becomes_one(submitted: Submitted) -> None:
    # Given executions of the version before: one whose entry is open, one whose entry is over, one that nobody cancels
    asked, over, kept = submitted(), submitted(), submitted()
    over.hear(told(over.entry, ToldStatus.CANCELLED))
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    MigrationExecutor(connection).migrate([("executions", "0009_busted_deals")])
    execute(
        "UPDATE executions_execution SET cancel_requested_at = requested_at, cancel_reason = 'entry_timeout',"  # noqa: S608
        f" cancel_sent_at = requested_at WHERE id <> {kept.execution_id}"
    )
    # When it is brought up to date
    MigrationExecutor(connection).migrate(newest)
    # Then what is still to be cancelled is a command, sent when it was
    command = OrderCommand.objects.get(kind="CANCEL")
    assert (command.order, command.actor, command.reason_code) == (asked.entry, "SWEEP", "entry_timeout")
    assert command.requested_at == command.sent_at == asked.execution.requested_at
    assert command.settled_at is None
