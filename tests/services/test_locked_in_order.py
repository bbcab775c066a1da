"""Executions are locked in one order, all that a transaction needs at once; who meets another order tries again."""

from collections.abc import Callable
from decimal import Decimal
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from app.accounts.statement_limit import is_deadlock
from app.domain.broker_events import ToldStatus
from app.executions.models import ReconcileRun
from app.executions.services import positions
from app.executions.services.record import broker_events_record
from tests.eventually import eventually
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World, position

pytestmark = pytest.mark.case("T55")

Submitted = Callable[..., Book]
T = ToldStatus
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.django_db
def test_all_that_a_batch_is_about_is_locked_at_once_whatever_it_is_named_by(submitted: Submitted) -> None:
    # Given two entries whose numbers are known, the older one by that alone
    older, younger = submitted(), submitted()
    older.hear(told(older.entry, T.SUBMITTED, perm_id=71))
    younger.hear(told(younger.entry, T.SUBMITTED, perm_id=72))
    batch = [
        fill(younger.entry, "10", perm_id=72),
        fill(older.entry, "10", perm_id=71, order_ref="", order_id=0),
    ]
    with CaptureQueriesContext(connection) as heard:
        broker_events_record(batch, now=at(20))
    locks = [one["sql"] for one in heard if "FOR NO KEY UPDATE" in one["sql"] and "executions_execution" in one["sql"]]
    assert len(locks) == 1
    assert (older.entry.status, younger.entry.status) == ("FILLED", "FILLED")


def hold(book: Book, another: psycopg.Connection) -> None:
    another.execute("SELECT 1 FROM executions_execution WHERE id = %s FOR NO KEY UPDATE", [book.execution_id])


def held_twice(submitted: Submitted, world: World) -> tuple[Book, Book]:
    """Two executions of ten shares each, and an account that holds six less."""
    first, second = submitted(), submitted()
    for book in (first, second):
        book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    world.broker.holds(told(first.stop, T.PRE_SUBMITTED), told(second.stop, T.PRE_SUBMITTED))
    world.holds(20)
    world.reconcile()
    world.reconcile(after=20)
    world.deal_of_others(-6)
    world.holds(14)
    return first, second


def in_the_way(first: Book, another: psycopg.Connection) -> None:
    """Wait until somebody waits for what this session has locked, then want what they have locked, and let all go."""
    eventually(lambda: another.execute(WAITING).fetchone() == (1,))
    hold(first, another)
    another.commit()


@pytest.mark.django_db(transaction=True)
def test_who_locks_executions_in_another_order_ends_no_reconcile(
    submitted: Submitted, world: World, another: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = held_twice(submitted, world)
    hold(second, another)
    # Found at once by whoever began to wait first, which is the reconcile.
    tried: list[str] = []
    settle = positions._settle

    def note(*arguments: Any, **more: Any) -> None:
        tried.append("tried")
        settle(*arguments, **more)

    monkeypatch.setattr(positions, "_settle", note)
    thread = Thread(target=in_the_way, args=(first, another))
    thread.start()

    judged = world.reconcile(after=1)

    thread.join(timeout=20)
    assert tried == ["tried", "tried"]
    assert [sentence.rpartition(": ")[2] for sentence in judged] == ["CLOSED_ELSEWHERE"]
    assert position().others == 0
    assert sum((book.execution.open_quantity for book in (first, second)), Decimal(0)) == 14
    assert ReconcileRun.objects.latest("id").is_complete


@pytest.mark.django_db(transaction=True)
def test_whoever_is_always_in_the_way_ends_it_after_some_tries(
    submitted: Submitted, world: World, another: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_twice(submitted, world)
    tried: list[str] = []

    def deadlock(*_arguments: object, **_more: object) -> None:
        tried.append("tried")
        raise OperationalError("deadlock detected") from psycopg.errors.DeadlockDetected()

    monkeypatch.setattr(positions, "_settle", deadlock)
    with pytest.raises(OperationalError) as raised:
        world.reconcile(after=1)
    assert is_deadlock(raised.value)
    assert len(tried) == positions.DEADLOCKS_MAX
    assert ReconcileRun.objects.latest("id").error_code == "database"
