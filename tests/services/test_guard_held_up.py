"""A look of the guard that the database holds up: the others are guarded, and a person is told."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import OperationalError, connection

from app.accounts.statement_limit import is_held_up, statement_limit
from app.alerts.kinds import AlertKind
from app.alerts.models import Alert
from app.alerts.services import alert_raise
from app.brokers.base import ConnectionState
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.worker import guard_thread
from app.worker.guard_thread import GuardThread
from tests.eventually import eventually
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import fill, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.case("T34")]

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def guard(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuardThread]:
    monkeypatch.setattr(guard_thread, "STATEMENT_SECONDS_MAX", 0.1)
    thread = GuardThread(broker=broker, state=lambda: ConnectionState.READY, on_unknown=lambda: None)
    yield thread
    thread.stop(seconds_max=5)


def bare(submitted: Submitted) -> Book:
    """Ten shares whose stop was cancelled."""
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.entry, T.FILLED))
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.stop, T.CANCELLED))
    return book


def protects(book: Book) -> int:
    return sum(order.leg == "PROTECT" for order in book.orders)


def open_alerts() -> list[str]:
    return list(Alert.objects.filter(kind="guard_held_up", resolved_at=None).values_list("severity", flat=True))


def test_a_row_that_is_locked_for_long_holds_up_no_other_and_is_told(
    submitted: Submitted, guard: GuardThread, another: psycopg.Connection
) -> None:
    locked, other = bare(submitted), bare(submitted)
    another.execute("SELECT 1 FROM executions_execution WHERE id = %s FOR UPDATE", [locked.execution_id])

    guard.start()

    eventually(lambda: protects(other) == 1)
    eventually(lambda: open_alerts() == ["CRITICAL"])
    assert protects(locked) == 0
    another.rollback()
    eventually(lambda: protects(locked) == 1)
    eventually(lambda: open_alerts() == [])


def test_a_statement_that_reads_too_much_is_ended_and_told(
    submitted: Submitted, guard: GuardThread, another: psycopg.Connection
) -> None:
    book = bare(submitted)
    another.execute("LOCK TABLE executions_bracket IN ACCESS EXCLUSIVE MODE")

    guard.start()

    eventually(lambda: open_alerts() == ["CRITICAL"])
    another.rollback()
    eventually(lambda: protects(book) == 1)
    eventually(lambda: open_alerts() == [])


def test_what_was_told_before_the_worker_was_started_anew_is_over_with_the_first_whole_look(
    submitted: Submitted, guard: GuardThread, broker: FakeBroker
) -> None:
    account = bare(submitted).execution.account
    held_up = {"kind": AlertKind.GUARD_HELD_UP, "subject": broker.account_id}
    alert_raise(**held_up, text="A statement took too long", account_id=account.pk, now=clock.now())
    assert open_alerts() == ["CRITICAL"]

    guard.start()

    eventually(lambda: open_alerts() == [])


def test_a_database_that_is_away_holds_up_nobody() -> None:
    assert not is_held_up(OperationalError("the connection is lost"))


def test_the_limit_holds_for_what_is_done_within_it(db: None) -> None:
    with connection.cursor() as cursor:
        with statement_limit(seconds=0.05), pytest.raises(OperationalError) as ended:
            cursor.execute("SELECT pg_sleep(5)")
        assert is_held_up(ended.value)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)
