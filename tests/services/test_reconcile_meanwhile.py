"""A reconcile beside everything else: what is taken, sent, given back or recorded while the broker is being asked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from app.core import clock
from app.domain.broker_events import ToldStatus
from app.executions.models import Execution, Order
from app.executions.services import reconcile as service
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, told
from tests.services.test_reconcile import reconcile

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
T = ToldStatus


def test_what_may_be_on_its_way_is_left_alone(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    report = reconcile(broker, seconds=10, settle_seconds=30)
    assert (report.not_placed, book.statuses) == ([], ["SENT", "SENT"])
    # And once it would have arrived, it is judged
    assert len(reconcile(broker, seconds=31, settle_seconds=30).not_placed) == 2


def test_what_was_claimed_just_now_is_left_alone(requested: Requested, broker: FakeBroker) -> None:
    book = Book(requested().pk)
    Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=clock.now())
    reconcile(broker, seconds=10, settle_seconds=30)
    assert book.execution.status == "SUBMITTING"


def test_what_was_sent_while_the_questions_were_asked_is_left_alone(requested: Requested, broker: FakeBroker) -> None:
    # Given an execution whose worker has waited long for its turn
    book = Book(requested().pk)
    Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=at(-300))

    def its_turn_comes() -> None:
        ids = {"client_id": 1, "status": "SENT", "sent_at": clock.now() + timedelta(seconds=20)}
        Order.objects.filter(pk=book.entry.pk).update(order_id=1, **ids)
        Order.objects.filter(pk=book.stop.pk).update(order_id=2, **ids)

    # When it is sent after the broker has answered what is open
    broker.during_questions = its_turn_comes
    report = reconcile(broker, seconds=0, settle_seconds=30)
    # Then the old answer says nothing about it
    assert (report.not_placed, book.statuses) == ([], ["SENT", "SENT"])


def test_what_was_taken_while_the_questions_were_asked_is_not_given_up(
    requested: Requested, broker: FakeBroker
) -> None:
    # Given a task that claims its execution while a new connection asks, and cannot send yet
    book = Book(requested().pk)

    def a_task_takes_it() -> None:
        Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=clock.now())

    broker.during_questions = a_task_takes_it
    assert reconcile(broker, seconds=0, settle_seconds=0).not_placed == []
    assert book.execution.status == "SUBMITTING"


def test_what_was_given_back_while_it_was_being_judged_is_not_given_up(
    requested: Requested, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(requested().pk)
    Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=at(-300))
    listed = service._unfinished

    def then_it_is_given_back(*args: object, **named: object) -> list[Order]:
        orders = list(listed(*args, **named))
        Execution.objects.filter(pk=book.execution_id).update(status="REQUESTED", claimed_at=None)
        return orders

    monkeypatch.setattr(service, "_unfinished", then_it_is_given_back)
    assert reconcile(broker).not_placed == []
    assert book.execution.status == "REQUESTED"


@pytest.mark.parametrize("settle_seconds", [0, 30])
def test_what_is_sent_while_the_rows_are_read_is_left_alone(
    requested: Requested, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, settle_seconds: float
) -> None:
    # Given a comparison that asked longer ago than what is on its way may take
    book, account_rows = Book(requested().pk), service.of_account

    def its_turn_comes(*asked: Any) -> list[int]:
        Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=clock.now())
        ids = {"client_id": 1, "status": "SENT", "sent_at": clock.now()}
        Order.objects.filter(pk=book.entry.pk).update(order_id=1, **ids)
        Order.objects.filter(pk=book.stop.pk).update(order_id=2, **ids)
        return account_rows(*asked)

    # When an execution is taken and sent just as the rows are read
    monkeypatch.setattr(service, "of_account", its_turn_comes)
    report = reconcile(broker, seconds=-settle_seconds - 1, settle_seconds=settle_seconds)
    # Then nothing is said of it
    assert (report.not_placed, book.statuses) == ([], ["SENT", "SENT"])


def test_what_was_taken_and_given_back_while_it_was_being_judged_is_not_given_up(
    requested: Requested, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an execution that nobody had taken when its rows were read
    book = Book(requested().pk)
    orders = list(Order.objects.filter(bracket__execution=book.execution_id).select_related("bracket__execution"))
    monkeypatch.setattr(service, "_unfinished", lambda *_args, **_named: orders)
    # Then it is not given up: a task took it and gave it back meanwhile
    assert reconcile(broker).not_placed == []
    assert (book.execution.status, book.statuses) == ("REQUESTED", ["CREATED", "CREATED"])


def test_what_a_clock_that_ran_ahead_has_noted_is_settled(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a worker that died after its write-ahead, on a machine whose clock was two hours ahead
    book = submitted()
    ahead = clock.now() + timedelta(hours=2)
    Execution.objects.filter(pk=book.execution_id).update(claimed_at=ahead)
    Order.objects.filter(bracket__execution_id=book.execution_id).update(sent_at=ahead)
    # Then nobody waits until its moment has come
    assert len(reconcile(broker, seconds=0, settle_seconds=30).not_placed) == 2


def test_after_a_connect_no_moment_counts(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    Order.objects.filter(bracket__execution_id=book.execution_id).update(sent_at=clock.now() + timedelta(seconds=5))
    assert len(reconcile(broker, seconds=0, settle_seconds=0).not_placed) == 2


def test_only_our_own_client_ids_leftovers_are_cancelled(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    Order.objects.filter(bracket__execution_id=book.execution_id).update(client_id=9)
    report = reconcile(broker)
    assert (len(report.not_placed), report.left_behind) == (2, [])


def test_a_deadlock_with_the_recorder_does_not_end_it(
    submitted: Submitted, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = submitted()
    broker.holds(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))

    def deadlock(*_: object, **__: object) -> None:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(service, "broker_events_record", deadlock)
    reconcile(broker)
    assert book.statuses == ["WORKING", "HELD"]
