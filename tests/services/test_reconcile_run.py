"""What each reconcile leaves behind."""

from collections.abc import Callable

import pytest
from django.db import OperationalError

from app.accounts.fencing import Fenced, fence_raise
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, NotConnected
from app.domain.broker_events import ToldStatus
from app.executions.models import Decision, ReconcileRun
from app.executions.services import reconcile as service
from app.executions.services.reconcile import ReconcileReport, execution_reconcile
from app.executions.services.reconcile_run import QUIET_RUNS_KEPT
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, commission, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


def reconcile(broker: FakeBroker, *, seconds: float = 100) -> ReconcileReport:
    return execution_reconcile(broker=broker, now=at(seconds), settle_seconds=0)


def last_run() -> ReconcileRun:
    return ReconcileRun.objects.latest("id")


@pytest.fixture
def held(submitted: Submitted, broker: FakeBroker) -> Book:
    """Ten shares of AAPL held and stopped, as the broker has them."""
    book = submitted()
    deal = fill(book.entry, "10")
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), deal, commission(deal.exec_id))
    broker.holds(told(book.stop, T.PRE_SUBMITTED))
    return book


def test_what_the_recorder_records_meanwhile_is_a_difference_all_the_same(held: Book, broker: FakeBroker) -> None:
    # Given a stop filled while nobody listened, and a recorder that is faster than the reconcile
    deal = fill(held.stop, "10", "185")
    broker.open_book, broker.deals = [], [deal]

    # When the answers are recorded before they are settled
    execution_reconcile(broker=broker, now=at(100), settle_seconds=0, drain=lambda: held.hear(deal, seconds=101))
    # Then the run says all the same what was not known before it asked
    assert [difference["key"] for difference in last_run().differences] == [deal.dedupe_key]
    assert held.execution.open_quantity == 0


def test_a_run_says_what_was_answered(held: Book, broker: FakeBroker) -> None:
    reconcile(broker)
    run = last_run()
    assert (run.is_complete, run.error_code, run.client_id) == (True, "", broker.connection.client_id)
    assert (run.answered["open_orders"], run.answered["positions"]) == (1, 1)
    assert run.answered["open_refs"] == [held.stop.order_ref]
    assert run.finished_at is not None
    assert run.actions == []


def test_a_run_says_what_was_missed_and_what_was_done(submitted: Submitted, broker: FakeBroker) -> None:
    missed, absent = submitted(), submitted()
    deal = fill(missed.entry, "10")
    broker.deals = [deal, commission(deal.exec_id)]
    broker.holds(told(missed.stop, T.PRE_SUBMITTED), told(missed.entry, T.SUBMITTED))

    reconcile(broker)

    run = last_run()
    assert {"what": "fill_told", "key": deal.dedupe_key} in run.differences
    assert {"what": "unknown_to_broker", "order_ref": absent.entry.order_ref} in run.differences
    assert {"action": "not_placed", "order_ref": absent.stop.order_ref} in run.actions
    assert {"action": "cancel", "order_id": absent.entry.order_id} in run.actions


@pytest.mark.parametrize("question", ["open_orders", "fills_since", "completed_orders"])
@pytest.mark.parametrize("error", [BrokerTimeout("late"), IncompleteAnswer("half"), NotConnected("away")])
def test_a_question_without_a_complete_answer_fails_the_run_and_concludes_nothing(
    submitted: Submitted, broker: FakeBroker, question: str, error: Exception
) -> None:
    book = submitted()
    broker.question_fails[question] = error

    with pytest.raises(type(error)):
        reconcile(broker)

    run = last_run()
    assert (run.is_complete, run.error_code) == (False, error.code)
    assert run.finished_at is not None
    assert book.statuses == ["SENT", "SENT"]


def test_a_holder_that_was_taken_over_leaves_a_failed_run(submitted: Submitted, broker: FakeBroker) -> None:
    submitted()
    fence_raise(connection_id=broker.connection_id, name="another", process="", now=at(1))
    with pytest.raises(Fenced):
        reconcile(broker)
    assert last_run().error_code == "fenced"


def test_a_run_that_concludes_nothing_is_not_completed_by_a_deposed_holder(broker: FakeBroker) -> None:
    # Given a holder that another one deposes while it asks
    def depose() -> None:
        fence_raise(connection_id=broker.connection_id, name="another", process="", now=at(1))

    broker.during_questions = depose
    # When there is nothing to conclude
    with pytest.raises(Fenced):
        reconcile(broker)
    # Then its run does not pass for a complete one
    assert (last_run().is_complete, last_run().error_code) == (False, "fenced")


def test_a_fault_of_the_database_fails_the_run(held: Book, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("the server is away")

    monkeypatch.setattr(service, "recorded_at", away)
    with pytest.raises(OperationalError):
        reconcile(broker)
    assert (last_run().error_code, last_run().error) == ("database", "the server is away")


def test_what_is_flagged_is_a_decision_with_its_evidence(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))

    reconcile(broker)
    reconcile(broker, seconds=200)

    asked = Decision.objects.filter(actor="RECONCILE", action="ASK").order_by("id")
    assert [one.evidence["order_ref"] for one in asked] == [book.entry.order_ref, book.stop.order_ref]
    assert asked[0].reason in book.execution.attention


def test_only_the_newest_of_the_runs_that_found_nothing_are_kept(held: Book, broker: FakeBroker) -> None:
    reconcile(broker)  # The states told by the open order are news once.
    assert last_run().differences
    runs = (
        ReconcileRun(account=held.execution.account, client_id=1, started_at=at(n), is_complete=True)
        for n in range(200)
    )
    ReconcileRun.objects.bulk_create(runs)
    ReconcileRun.objects.create(account=held.execution.account, client_id=1, started_at=at(0), error_code="x")

    reconcile(broker)

    assert ReconcileRun.objects.filter(is_complete=True, differences=[]).count() == QUIET_RUNS_KEPT
    assert ReconcileRun.objects.exclude(differences=[]).count() == 1
    assert ReconcileRun.objects.filter(error_code="x").exists()


def test_positions_that_are_not_told_hinder_nothing(held: Book, broker: FakeBroker) -> None:
    reconcile(broker)
    broker.question_fails["positions"] = BrokerTimeout("late")
    report = reconcile(broker)
    assert (report.drifts, last_run().is_complete) == ([], True)
    assert "positions" not in last_run().answered
