"""Our rows after the broker's complete answer: what was missed is there, and nothing is concluded from silence."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from app.accounts.services import account_ensure
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, NotConnected
from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.terms import Leg
from app.executions.models import Actor, BrokerEvent, Execution, Fill, Order
from app.executions.services import reconcile as service
from app.executions.services.apply import broker_event_record
from app.executions.services.flags_resolve import flags_resolve
from app.executions.services.flatten import execution_flatten_request
from app.executions.services.guard_orders import protect_create
from app.executions.services.reconcile import ReconcileReport, execution_reconcile
from app.executions.services.replay import execution_replay
from app.executions.services.submit import execution_submit
from tests.services.book import Book
from tests.services.fake_broker import FailAt, FakeBroker, ProcessDied
from tests.services.heard import at, commission, fill, message, told

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
T = ToldStatus
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}


def after(seconds: float) -> datetime:
    """Return the moment `seconds` after everything that was written so far."""
    return clock.now() + timedelta(seconds=seconds)


def reconcile(broker: FakeBroker, *, seconds: float = 60, settle_seconds: float = 30) -> ReconcileReport:
    return execution_reconcile(broker=broker, now=after(seconds), settle_seconds=settle_seconds)


def at_work(book: Book, broker: FakeBroker) -> None:
    """Have both legs open at the broker, and known to be."""
    states = [told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED)]
    book.hear(*states)
    broker.holds(*states)


# What was missed


def test_a_fill_that_was_missed_is_taken_in(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    broker.holds(told(book.stop, T.SUBMITTED))
    deal = fill(book.entry, "10", "190.5")
    broker.deals = [deal, commission(deal.exec_id)]
    broker.completed_book = [told(book.entry, T.FILLED, source="completed_order", order_id=0, client_id=0)]
    report = reconcile(broker)
    assert (book.execution.status, book.statuses) == ("OPEN", ["FILLED", "WORKING"])
    assert Fill.objects.get().commission.amount == 1
    assert book.execution.attention == ""
    assert (report.changed, report.told, report.open_orders) == ([book.execution_id], 4, 1)
    assert broker.questions == ["open_orders", "fills_since", "completed_orders", "positions"]


def test_a_cancel_that_was_missed_is_taken_in(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    gone = {"source": "completed_order", "order_id": 0, "client_id": 0}
    broker.completed_book = [told(book.entry, T.CANCELLED, **gone), told(book.stop, T.CANCELLED, **gone)]
    report = reconcile(broker)
    assert (book.execution.status, report.vanished, report.not_placed) == ("CANCELLED", [], [])


def test_orders_that_agree_change_nothing(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(**LIMIT)
    at_work(book, broker)
    before = book.rows()
    report = reconcile(broker)
    assert book.rows() == before
    assert (report.changed, report.not_placed, report.vanished, report.external) == ([], [], [], [])


def test_the_database_is_asked_no_more_for_many_orders_than_for_few(
    submitted: Submitted, broker: FakeBroker, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    # Given a reconcile that learns nothing new about one bracket
    at_work(submitted(**LIMIT), broker)
    reconcile(broker)
    with CaptureQueriesContext(connection) as one:
        reconcile(broker)
    # When there are five more, known as well
    for _ in range(5):
        at_work(submitted(**LIMIT), broker)
    reconcile(broker)
    # Then asking about all of them takes no more queries
    with django_assert_num_queries(len(one)):
        assert reconcile(broker).open_orders == 12


def test_an_answer_after_a_crash_shows_that_it_was_placed(requested: Requested, broker: FakeBroker) -> None:
    # Given a worker that died right after the last byte
    book = Book(requested().pk)
    broker.fail_at = {1: FailAt.AFTER_WRITE_AHEAD}
    with pytest.raises(ProcessDied):
        execution_submit(execution_id=book.execution_id, broker=broker, now=at(1))
    broker.holds(told(book.entry, T.PRE_SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    # When the next one asks
    reconcile(broker, settle_seconds=0)
    assert (book.execution.status, book.statuses) == ("WORKING", ["HELD", "HELD"])


# What is nowhere


def test_what_no_answer_knows_was_not_placed(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    report = reconcile(broker)
    execution = book.execution
    assert (execution.status, execution.reason_code, book.statuses) == ("NOT_PLACED", "not_placed", ["NOT_PLACED"] * 2)
    assert "complete answers" in execution.reason
    assert report.not_placed == [book.entry.order_ref, book.stop.order_ref]
    assert execution.attention == ""


def test_what_was_claimed_and_never_written_ahead_was_not_placed(requested: Requested, broker: FakeBroker) -> None:
    book = Book(requested().pk)
    Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=at(1))
    reconcile(broker, settle_seconds=0)
    assert book.execution.status == "NOT_PLACED"
    assert "nothing was sent" in book.execution.reason


def test_what_nobody_took_is_left_to_be_taken(requested: Requested, broker: FakeBroker) -> None:
    book = Book(requested().pk)
    reconcile(broker, settle_seconds=0)
    assert (book.execution.status, book.statuses) == ("REQUESTED", ["CREATED", "CREATED"])


@pytest.mark.parametrize("question", ["open_orders", "fills_since", "completed_orders"])
@pytest.mark.parametrize("error", [BrokerTimeout("late"), NotConnected("away"), IncompleteAnswer("cut off")], ids=repr)
def test_a_question_without_its_answer_concludes_nothing(
    submitted: Submitted, broker: FakeBroker, question: str, error: Exception
) -> None:
    book = submitted()
    before = book.rows()
    broker.holds(told(book.entry, T.SUBMITTED))
    broker.question_fails = {question: error}
    with pytest.raises(type(error)):
        reconcile(broker)
    assert book.rows() == before
    assert not BrokerEvent.objects.exists()


def test_an_order_heard_of_while_it_was_being_judged_is_not_called_absent(
    submitted: Submitted, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an order that no answer knows
    book = submitted()
    listed = service._unfinished

    def then_the_broker_speaks(*args: object, **named: object) -> list[Order]:
        orders = list(listed(*args, **named))
        broker_event_record(told(book.entry, T.SUBMITTED), now=at(70))
        return orders

    # When the broker tells of it after our rows were read and before the conclusion
    monkeypatch.setattr(service, "_unfinished", then_the_broker_speaks)
    report = reconcile(broker)
    # Then it is at work, and only its stop is absent
    assert book.statuses == ["WORKING", "NOT_PLACED"]
    assert report.not_placed == [book.stop.order_ref]
    assert "while WORKING" not in book.execution.attention


def test_what_was_live_and_is_nowhere_calls_a_person(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    report = reconcile(broker)
    assert report.vanished == [book.stop.order_ref]
    assert book.stop.status == "HELD"
    assert "STOP_LOSS: the broker neither holds it nor lists it as finished" in book.execution.attention


def test_orders_of_another_account_are_not_judged(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    Order.objects.update(account=account_ensure("DU9999999"))
    assert reconcile(broker).not_placed == []
    assert book.statuses == ["SENT", "SENT"]


# What does not fit


def test_an_order_open_at_the_broker_though_finished_here_calls_a_person(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    broker.holds(told(book.entry, T.SUBMITTED))
    reconcile(broker)
    assert "ENTRY: it is open at the broker though it was finished here" in book.execution.attention


def test_an_order_that_finishes_while_the_questions_are_asked_calls_nobody(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given an entry that is open at the first question and filled at the second
    book = submitted()
    at_work(book, broker)
    now = after(60)
    broker.deals = [fill(book.entry, "10", received_at=now + timedelta(seconds=1))]
    execution_reconcile(broker=broker, now=now, settle_seconds=30)
    assert (book.execution.status, book.execution.attention) == ("OPEN", "")


def test_an_order_told_filled_whose_deals_are_gone_calls_a_person(submitted: Submitted, broker: FakeBroker) -> None:
    # Given an entry filled on an earlier day, whose deals the broker tells no more
    book = submitted()
    broker.holds(told(book.stop, T.SUBMITTED))
    broker.completed_book = [told(book.entry, T.FILLED, source="completed_order")]
    reconcile(broker)
    assert book.entry.filled_quantity == 0
    assert "ENTRY: the broker lists it as filled, but its deals are not all known" in book.execution.attention


@pytest.mark.parametrize("stop_is", [T.CANCELLED, T.INACTIVE])
def test_shares_without_a_working_stop_call_a_person(
    submitted: Submitted, broker: FakeBroker, stop_is: ToldStatus
) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"), told(book.stop, stop_is))
    broker.completed_book = [told(book.stop, stop_is, source="completed_order")]
    reconcile(broker)
    (flag,) = book.execution.flags.filter(sentence="ENTRY: its shares have no working stop at the broker")
    assert flag.code == "shares_bare"
    # When they are closed, it is over
    book.hear(told(book.entry, T.FILLED), fill(book.stop, "10", "185"))
    flags_resolve(now=at(90))
    flag.refresh_from_db()
    assert (flag.resolved_at, flag.resolved_how) == (at(90), "execution_over")


def test_shares_that_are_being_closed_are_meant_to_have_no_stop(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"), told(book.entry, T.FILLED), told(book.stop, T.PRE_SUBMITTED))
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="out", now=at(30))
    book.hear(told(book.stop, T.CANCELLED))
    broker.completed_book = [told(book.stop, T.CANCELLED, source="completed_order")]
    reconcile(broker)
    assert (book.execution.attention, book.execution.flags.count()) == ("", 0)


def test_a_position_closed_by_its_target_needs_no_stop(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    book.hear(fill(book.entry, "10"), fill(book.target, "10", "200"), told(book.stop, T.CANCELLED))
    reconcile(broker)
    assert (book.execution.status, book.execution.attention) == ("CLOSED", "")


def test_an_order_of_somebody_else_is_shown_and_not_touched(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(**LIMIT)
    at_work(book, broker)
    foreign = told(book.entry, T.SUBMITTED, order_ref="by hand", perm_id=77, order_id=0, client_id=0)
    broker.holds(foreign)
    before = book.rows()
    report = reconcile(broker)
    assert [order.told for order in report.external] == [foreign]
    assert (broker.cancelled, broker.sent[1:], book.rows()) == ([], [], before)


def test_an_answer_that_cannot_be_applied_is_kept_and_does_not_stop_the_others(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given a deal of less than no shares, which no row may be, before one that is right
    book = submitted()
    broker.holds(told(book.stop, T.SUBMITTED))
    bad = fill(book.entry, "-1", exec_id="0000e0d5.65543f2a.01.01")
    broker.deals = [bad, fill(book.entry, "10")]
    reconcile(broker)
    assert book.entry.filled_quantity == 10
    assert BrokerEvent.objects.filter(dedupe_key=bad.dedupe_key).exists()
    assert "could not be applied; ask for help" in book.execution.attention


# Twice


def test_asking_again_changes_nothing_more(submitted: Submitted, broker: FakeBroker) -> None:
    # Given one of everything: missed deals, an absent bracket, a vanished stop
    held, absent, vanished = submitted(), submitted(), submitted()
    broker.holds(told(held.stop, T.SUBMITTED))
    broker.deals = [fill(held.entry, "10")]
    vanished.hear(fill(vanished.entry, "10"), told(vanished.stop, T.PRE_SUBMITTED))
    first = reconcile(broker)
    books = (held, absent, vanished)
    rows, events = [book.rows() for book in books], BrokerEvent.objects.count()
    assert (first.changed, len(first.not_placed), len(first.vanished)) == ([held.execution_id], 2, 1)
    # When the same is asked again
    second = reconcile(broker)
    # Then nothing is new
    assert [book.rows() for book in books] == rows
    assert BrokerEvent.objects.count() == events
    assert (second.changed, second.not_placed) == ([], [])
    assert held.order(Leg.STOP_LOSS).status == "WORKING"


# Many at once


def test_many_answers_cost_few_queries_and_lead_to_the_rows_of_one_by_one(
    submitted: Submitted, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given brackets of which the broker tells that they were filled while nobody listened
    books = [submitted() for _ in range(8)]
    deals = [fill(book.entry, "10") for book in books]
    broker.deals = [fact for deal in deals for fact in (deal, commission(deal.exec_id))]
    broker.holds(*(told(book.stop, T.PRE_SUBMITTED) for book in books))

    def settled() -> tuple[list[dict[str, Any]], int]:
        with transaction.atomic(), CaptureQueriesContext(connection) as asked:
            reconcile(broker)
            rows = [book.rows() for book in books]
            transaction.set_rollback(True)
        return rows, len(asked)

    # When they are recorded together, and when each is by itself
    together, few = settled()
    monkeypatch.setattr(service, "BATCH_MAX", 1)
    singly, many = settled()
    # Then the rows are the same
    assert together == singly
    assert [rows["execution"][:2] for rows in together] == [("OPEN", 10)] * 8
    assert few * 1.5 < many


def test_one_answer_that_cannot_be_applied_does_not_stop_those_that_came_with_it(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book, other = submitted(), submitted()
    broker.deals = [fill(book.entry, "10", exec_id="x" * 100), fill(other.entry, "10")]
    broker.holds(told(book.stop, T.PRE_SUBMITTED), told(other.stop, T.PRE_SUBMITTED))
    reconcile(broker)
    assert other.execution.open_quantity == 10
    assert book.stop.status == "HELD"
    assert "could not be applied" in book.execution.attention


def test_an_entry_that_was_refused_and_is_open_lives_by_the_same_words_as_before(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given an entry at work, of which a code then said that it was refused
    book = submitted(**LIMIT)
    works = told(book.entry, T.SUBMITTED)
    book.hear(works, message(book.entry, 201, "Order rejected - reason:unknown", MessageMeaning.REFUSAL))
    assert book.entry.status == "REJECTED"
    # When the open orders have it, in the words that were heard before
    broker.holds(works, told(book.stop, T.PRE_SUBMITTED))
    reconcile(broker)
    assert book.entry.status == "WORKING"
    assert execution_replay(book.execution_id) == []


def test_a_stop_that_is_about_to_be_sent_is_not_concluded(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a stop that the guard wrote down while the questions were asked
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.stop, T.CANCELLED))
    stop = protect_create(book.execution, book.brackets[0], quantity=Decimal(10))
    reconcile(broker, settle_seconds=30)
    stop.refresh_from_db()
    assert stop.status == "CREATED"
    # Where nothing can be on its way, it ends with the worker that wrote it
    reconcile(broker, settle_seconds=0)
    stop.refresh_from_db()
    assert stop.status == "NOT_PLACED"
