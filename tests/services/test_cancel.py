"""Cancelling, expiring, and what the sweep repeats: nothing filled loses its stop."""

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
import redis
from pytest_django import Settings

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_ensure, connection_reconciled
from app.brokers.errors import BrokerTimeout, NotConnected
from app.core.errors import Conflict, NotFound
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions import dispatch
from app.executions.models import Execution, OrderCommand
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send, execution_expire
from app.executions.services.submit import execution_submit
from app.executions.services.sweep import SweepReport, execution_sweep, requested_resend
from tests.services.book import Book
from tests.services.fake_broker import FailAt, FakeBroker, ProcessDied
from tests.services.heard import absence, at, fill, message, told

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
T = ToldStatus
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}


def ask_to_cancel(book: Book, *, seconds: float = 30) -> Execution:
    return execution_cancel_request(execution_id=book.execution_id, reason="requested", now=at(seconds))


def send_cancels(book: Book, broker: FakeBroker, *, seconds: float = 31) -> int:
    return execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(seconds))


def sweep(seconds: float) -> SweepReport:
    return execution_sweep(now=at(seconds), resend_after_seconds=5)


# On request


def test_a_cancel_is_a_row_first_and_then_sent_for_the_entry_alone(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    execution = ask_to_cancel(book)
    assert (execution.cancel_requested_at, execution.cancel_reason, broker.cancelled) == (at(30), "requested", [])
    # When it is sent
    assert send_cancels(book, broker) == 1
    # Then the broker cancels the children with their entry
    assert broker.cancelled == [book.entry.order_id]
    command = OrderCommand.objects.get(kind="CANCEL")
    assert (command.kind, command.order, command.requested_at) == ("CANCEL", book.entry, at(30))
    assert (command.sent_at, command.settled_at) == (at(31), None)
    # And it is settled by the broker's word, not by having been sent
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    command.refresh_from_db()
    assert (command.settled_how, command.settled_at is not None) == ("order_cancelled", True)
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "requested")
    assert book.execution.reason == "It was cancelled on request."


def test_asking_again_changes_nothing(submitted: Submitted) -> None:
    book = submitted()
    ask_to_cancel(book)
    again = execution_cancel_request(execution_id=book.execution_id, reason="entry_timeout", now=at(40))
    assert (again.cancel_requested_at, again.cancel_reason) == (at(30), "requested")


def test_a_cancel_before_anything_was_taken_ends_it_at_once(requested: Requested, broker: FakeBroker) -> None:
    book = Book(requested().pk)
    execution = ask_to_cancel(book)
    assert (execution.status, execution.reason_code) == ("NOT_PLACED", "cancelled_before_sending")
    assert book.statuses == ["NOT_PLACED", "NOT_PLACED"]
    assert send_cancels(book, broker) == 0


def test_there_is_nothing_to_cancel_once_the_entry_is_filled(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    with pytest.raises(Conflict) as refused:
        ask_to_cancel(book)
    assert refused.value.code == "nothing_to_cancel"
    assert send_cancels(book, broker) == 0
    assert broker.cancelled == []


def test_a_finished_or_unknown_execution_is_not_cancelled(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    with pytest.raises(Conflict) as refused:
        ask_to_cancel(book)
    assert refused.value.code == "execution_finished"
    with pytest.raises(NotFound):
        execution_cancel_request(execution_id=999, reason="requested", now=at(0))


def test_what_was_filled_keeps_its_stop(submitted: Submitted, broker: FakeBroker) -> None:
    # Given an entry of which 4 shares are filled
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "4"))
    # When the rest is cancelled, and the broker has confirmed it, and every answer since is complete
    ask_to_cancel(book)
    assert send_cancels(book, broker) == 1
    book.hear(told(book.entry, T.CANCELLED, filled=4, remaining=6, received_at=at(32)))
    connection_reconciled(connection_id=broker.connection_id, now=at(60))
    # Then no cancel ever goes to the stop
    assert send_cancels(book, broker, seconds=61) == 0
    assert sweep(70).cancels == []
    assert broker.cancelled == [book.entry.order_id]
    assert (book.execution.status, book.execution.open_quantity, book.stop.status) == ("OPEN", 4, "HELD")


def test_a_cancel_that_is_under_way_is_not_sent_again(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    ask_to_cancel(book)
    book.hear(told(book.entry, T.PENDING_CANCEL))
    assert send_cancels(book, broker) == 0


def test_a_cancel_that_could_not_be_sent_stays_due(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    ask_to_cancel(book)
    broker.cancel_fails = BrokerTimeout("No answer.")
    with pytest.raises(BrokerTimeout):
        send_cancels(book, broker)
    assert OrderCommand.objects.get(kind="CANCEL").settled_at is None
    assert sweep(40).cancels == [book.execution_id]


def test_another_client_id_does_not_cancel_by_a_number_of_its_own(submitted: Submitted, broker: FakeBroker) -> None:
    # Given an order that client id 1 placed, and a worker restarted with client id 2
    book = submitted()
    other = FakeBroker(connection=connection_ensure(account_id=broker.account_id, client_id=2))
    ask_to_cancel(book)
    # When the cancel is due there
    assert send_cancels(book, other) == 0
    # Then it does not cancel whatever has that number under client id 2, and a person is told
    assert other.cancelled == []
    assert "only client id 1, which placed it, can cancel it" in book.execution.attention


def test_without_a_connection_row_nothing_is_sent(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    ask_to_cancel(book)
    broker.connection = BrokerConnection(pk=0, account=broker.connection.account)
    with pytest.raises(NotConnected):
        send_cancels(book, broker)
    assert broker.cancelled == []


# All legs or none


@pytest.mark.parametrize("leg", ["entry", "stop"])
def test_a_refused_leg_takes_the_rest_with_it(submitted: Submitted, broker: FakeBroker, leg: str) -> None:
    book = submitted()
    refused, rest = (book.entry, book.stop) if leg == "entry" else (book.stop, book.entry)
    book.hear(told(rest, T.PRE_SUBMITTED), message(refused, 201, "no", MessageMeaning.REFUSAL))
    assert send_cancels(book, broker) == 1
    assert broker.cancelled == [rest.order_id]


@pytest.mark.case("T40")
@pytest.mark.parametrize("ended_by", ["cancelled in TWS", "never arrived", "filled on a part", "hit"])
def test_an_entry_whose_stop_is_over_is_cancelled(submitted: Submitted, broker: FakeBroker, ended_by: str) -> None:
    # Given an entry at work whose stop can protect nothing any more
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED))
    if ended_by == "cancelled in TWS":
        book.hear(told(book.stop, T.CANCELLED))
    elif ended_by == "never arrived":
        book.hear(absence(book.stop))
    elif ended_by == "hit":  # It was not cut to what was entered, so it is still at work, and sells at once.
        book.hear(fill(book.entry, "4"), told(book.stop, T.SUBMITTED), fill(book.stop, "4"))
    else:
        book.hear(fill(book.entry, "4"), told(book.stop, T.PRE_SUBMITTED, remaining=4), fill(book.stop, "4"))
    # Then the entry may fill no more
    assert sweep(100).cancels == [book.execution_id]
    assert send_cancels(book, broker) == 1
    assert broker.cancelled == [book.entry.order_id]
    assert book.execution.cancel_reason == "stop_lost"


def test_the_stop_of_a_cancelled_entry_stays_until_complete_answers_show_no_fill(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given an entry that was told cancelled, while the deal that crossed the cancel is still on its way
    book = submitted(**LIMIT)
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.CANCELLED, received_at=at(10)))
    # Then its stop is left alone, by a task and by the sweep
    assert send_cancels(book, broker) == 0
    assert sweep(100).cancels == []
    connection_reconciled(connection_id=broker.connection_id, now=at(10))
    assert send_cancels(book, broker) == 0
    # When complete answers, asked for afterwards, know of no deal
    connection_reconciled(connection_id=broker.connection_id, now=at(70))
    # Then it is an orphan and goes
    assert sweep(100).cancels == [book.execution_id]
    assert send_cancels(book, broker) == 1
    assert broker.cancelled == [book.stop.order_id]
    book.hear(told(book.stop, T.CANCELLED))
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "cancelled_at_broker")


def test_the_stop_of_an_entry_that_was_filled_after_its_cancel_stays(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(**LIMIT)
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.CANCELLED), fill(book.entry, "3"))
    connection_reconciled(connection_id=broker.connection_id, now=at(70))
    assert send_cancels(book, broker) == 0
    assert sweep(100).cancels == []


def test_one_tranche_being_refused_leaves_the_other_alone(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal("0.5")}], **LIMIT)
    second = book.brackets[1]
    refused = next(order for order in book.orders if order.bracket_id == second.pk and order.leg == "STOP_LOSS")
    book.hear(message(refused, 201, "no", MessageMeaning.REFUSAL))
    assert send_cancels(book, broker) == 1
    (cancelled,) = [order for order in book.orders if order.order_id in broker.cancelled]
    assert (cancelled.bracket_id, cancelled.leg) == (second.pk, "ENTRY")


# Its time is over


def test_an_entry_past_its_deadline_is_cancelled_once(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(entry_timeout_seconds=30)
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    assert sweep(29.9).expired == []
    assert sweep(30).expired == [book.execution_id]
    assert sweep(30.5).expired == []
    assert not execution_expire(execution_id=book.execution_id, now=at(31))
    assert (book.execution.cancel_requested_at, book.execution.cancel_reason) == (at(30), "entry_timeout")
    send_cancels(book, broker)
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "entry_timeout")
    assert "within its time limit" in book.execution.reason


def test_an_entry_that_is_to_be_kept_is_kept(submitted: Submitted) -> None:
    book = submitted(entry_timeout_seconds=30, on_timeout="KEEP")
    book.hear(told(book.entry, T.SUBMITTED))
    assert sweep(31).expired == []
    assert not execution_expire(execution_id=book.execution_id, now=at(31))
    assert book.execution.cancel_requested_at is None


def test_an_entry_filled_in_time_does_not_expire(submitted: Submitted) -> None:
    book = submitted(entry_timeout_seconds=30)
    book.hear(fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    assert sweep(31).expired == []
    assert not execution_expire(execution_id=book.execution_id, now=at(31))
    assert (book.execution.status, book.execution.cancel_requested_at) == ("OPEN", None)


def test_an_entry_filled_in_part_expires_with_its_rest(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(entry_timeout_seconds=30)
    book.hear(fill(book.entry, "4"), told(book.stop, T.PRE_SUBMITTED))
    assert sweep(31).expired == [book.execution_id]
    send_cancels(book, broker)
    assert broker.cancelled == [book.entry.order_id]


@pytest.mark.parametrize("on_timeout", ["CANCEL", "KEEP"])
def test_what_nobody_took_in_time_is_given_up(requested: Requested, on_timeout: str) -> None:
    book = Book(requested(entry_timeout_seconds=30, on_timeout=on_timeout).pk)
    assert sweep(30).expired == [book.execution_id]
    assert (book.execution.status, book.execution.reason_code) == ("NOT_PLACED", "deadline_passed")


def test_without_a_deadline_nothing_expires(submitted: Submitted) -> None:
    book = submitted(**LIMIT)
    assert sweep(10_000).expired == []
    assert not execution_expire(execution_id=book.execution_id, now=at(10_000))


# Sent again


def test_what_no_worker_took_is_sent_again_after_a_while(requested: Requested) -> None:
    execution = requested()
    assert sweep(4.9).resent == []
    assert sweep(5).resent == [execution.pk]


def test_what_a_worker_took_is_never_sent_again(requested: Requested, broker: FakeBroker) -> None:
    # Given one that died after its write-ahead and one that died before it
    written, claimed = requested(**LIMIT), requested(**LIMIT)
    broker.fail_at = {1: FailAt.AFTER_WRITE_AHEAD}
    with pytest.raises(ProcessDied):
        execution_submit(execution_id=written.pk, broker=broker, now=at(1))
    Execution.objects.filter(pk=claimed.pk).update(status="SUBMITTING", claimed_at=at(1))
    # Then neither the sweep nor a new connection hands them out
    assert sweep(1000).resent == []
    assert requested_resend() == []


def test_a_new_connection_sends_what_waits_at_once(requested: Requested) -> None:
    execution = requested()
    assert requested_resend() == [execution.pk]


def test_a_cancel_without_effect_is_sent_again_after_a_while(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    ask_to_cancel(book, seconds=30)
    assert sweep(34.9).cancels == []
    assert sweep(35).cancels == [book.execution_id]
    send_cancels(book, broker, seconds=36)
    assert sweep(40.9).cancels == []
    assert sweep(41).cancels == [book.execution_id]
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    assert sweep(60).cancels == []


def test_a_refused_leg_is_followed_up_by_the_sweep(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), message(book.stop, 201, "no", MessageMeaning.REFUSAL))
    assert sweep(14.9).cancels == []
    assert sweep(15).cancels == [book.execution_id]


def test_executions_on_which_nothing_is_due_do_not_crowd_out_those_on_which_it_is(
    submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a batch full of open positions whose rest was cancelled long ago
    monkeypatch.setattr("app.executions.services.sweep.BATCH_MAX", 2)
    for _ in range(2):
        old = submitted(**LIMIT)
        old.hear(told(old.stop, T.PRE_SUBMITTED), fill(old.entry, "4"))
        ask_to_cancel(old)
        old.hear(told(old.entry, T.CANCELLED, filled=4, remaining=6))
    # When a cancel is due on a younger one
    young = submitted(**LIMIT)
    ask_to_cancel(young)
    # Then the sweep reaches it
    assert sweep(100).cancels == [young.execution_id]


@pytest.mark.django_db(transaction=True)
def test_the_sweep_puts_tasks_into_the_queue(requested: Requested, settings: Settings) -> None:
    queue = redis.Redis.from_url(settings.REDIS_URL)
    execution = requested()
    assert dispatch.MESSENGER.flush(seconds_max=5)
    queue.delete("broker")
    assert sweep(10).resent == [execution.pk]
    assert dispatch.MESSENGER.flush(seconds_max=5)
    (raw,) = queue.lrange("broker", 0, -1)
    headers = json.loads(raw)["headers"]
    assert (headers["task"], headers["argsrepr"]) == ("executions.submit", f"[{execution.pk}]")
    queue.close()


def test_a_cancel_noted_by_a_clock_that_ran_ahead_is_sent_again(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a cancel that was lost, sent by a worker whose clock was two hours ahead
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    ask_to_cancel(book)
    Execution.objects.filter(pk=book.execution_id).update(cancel_requested_at=at(7200))
    OrderCommand.objects.update(tried_at=at(7200), sent_at=at(7200))
    # Then the sweep does not wait for two hours
    assert sweep(60).cancels == [book.execution_id]
    # And what was sent a moment ago gets its time
    OrderCommand.objects.update(tried_at=at(58), sent_at=at(58))
    assert sweep(60).cancels == []


@pytest.mark.django_db(transaction=True)
def test_what_still_waits_in_the_queue_is_not_sent_again(requested: Requested, settings: Settings) -> None:
    # Given a burst of which the worker has not taken everything yet
    execution = requested()
    assert dispatch.MESSENGER.flush(seconds_max=5)
    with redis.Redis.from_url(settings.REDIS_URL) as queue:
        queue.delete("broker")
        queue.rpush("broker", "another task")
        # Then no copies are put behind it
        assert sweep(10).resent == []
        assert dispatch.MESSENGER.flush(seconds_max=5)
        assert queue.llen("broker") == 1
        # And when the queue is empty, what is still not taken was lost
        queue.delete("broker")
        assert sweep(10).resent == [execution.pk]
        queue.delete("broker")


def test_what_the_sweep_sends_itself_does_not_keep_it_from_sending_what_was_lost(
    submitted: Submitted, requested: Requested
) -> None:
    # Given positions that are being closed, for which every sweep sends a task, and a request whose task was lost
    books = [submitted(), submitted()]
    for book in books:
        book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
        Execution.objects.filter(pk=book.execution_id).update(flatten_requested_at=at(30))
    lost = requested()
    # Then it is sent again by the first sweep that finds the queue empty
    assert sweep(50).resent == [lost.pk]
