"""Exits that were refused or not answered: whether they live is asked for, before anything is sent in their place."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from app.brokers.errors import BrokerTimeout
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.terms import Leg
from app.executions.models import Decision, Order, OrderCommand
from app.executions.services import exits_settle
from app.executions.services.commands_send import left_behind_send
from app.executions.services.exits_settle import SEND_AGAIN_MAX
from app.executions.services.flatten import execution_flatten_send
from app.executions.services.guard_watch import ANSWER_SECONDS
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
REFUSAL = (201, "Order rejected - reason:The contract is not available for short sale.", MessageMeaning.REFUSAL)


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


def bare(book: Book) -> Book:
    """Have the entry filled and its stop cancelled by somebody."""
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.stop, T.CANCELLED))
    return book


def protects(book: Book) -> list[Order]:
    return [order for order in book.orders if order.leg == Leg.PROTECT.value]


@pytest.mark.case("T24")
def test_a_refused_stop_that_lives_is_not_replaced(submitted: Submitted, guard: Guard) -> None:
    # Given a stop of the guard's that the broker refuses, though it lives
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    book.hear(message(stop, *REFUSAL))
    guard.broker.holds(told(stop, T.PRE_SUBMITTED))
    # When the guard looks, now and later
    for _ in range(5):
        guard.look(book, after=ANSWER_SECONDS)
    # Then the broker's open orders are believed: no second one is placed beside it
    assert [(order.pk, order.status) for order in protects(book)] == [(stop.pk, "HELD")]
    assert len(guard.broker.singles) == 1
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T24")
def test_a_stop_that_is_refused_after_it_worked_lives_by_the_same_words_as_before(
    submitted: Submitted, guard: Guard
) -> None:
    # Given a stop of the guard's at work, which is refused afterwards, as after a change that IB did not take
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    works = told(stop, T.PRE_SUBMITTED)
    book.hear(works, message(stop, *REFUSAL))
    assert protects(book)[0].status == "REJECTED"
    # When the open orders have it, in the words that were heard before
    guard.broker.holds(works)
    for _ in range(3):
        guard.look(book, after=ANSWER_SECONDS)
    # Then it lives, and nothing is placed beside it
    assert [(order.pk, order.status) for order in protects(book)] == [(stop.pk, "HELD")]
    assert len(guard.broker.singles) == 1
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T24")
def test_a_refused_stop_that_the_open_orders_lack_is_replaced_in_the_same_look(
    submitted: Submitted, guard: Guard
) -> None:
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    book.hear(message(stop, *REFUSAL))

    guard.look(book, after=ANSWER_SECONDS)

    assert [(order.status, order.refusal_proved) for order in protects(book)] == [("REJECTED", True), ("SENT", False)]
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T24")
def test_that_a_refused_stop_is_listed_as_finished_proves_no_life(submitted: Submitted, guard: Guard) -> None:
    # Given a stop that was refused, and another one without an answer, for which everything is asked
    refused_book, unanswered = bare(submitted()), bare(submitted())
    guard.look(refused_book, unanswered)
    (refused,), (silent,) = protects(refused_book), protects(unanswered)
    refused_book.hear(message(refused, *REFUSAL))
    # When the completed orders list the refused one as over
    guard.broker.completed_book = [told(refused, T.CANCELLED, source="completed_order")]
    exits_settle.exits_settle(order_pks=[refused.pk, silent.pk], broker=guard.broker, now=at(60))
    # Then its refusal is proved, and its shares get another one
    assert [(order.status, order.refusal_proved) for order in protects(refused_book)] == [("REJECTED", True)]


@pytest.mark.case("T24")
def test_a_stop_that_is_heard_of_while_the_open_orders_are_asked_for_is_not_taken_for_refused(
    submitted: Submitted, guard: Guard
) -> None:
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    book.hear(message(stop, *REFUSAL))
    # When the answer has it as inactive, and the news that it lives comes meanwhile
    guard.broker.holds(told(stop, T.INACTIVE, source="open_order"))
    guard.broker.during_questions = lambda: book.hear(told(stop, T.PRE_SUBMITTED))
    exits_settle.exits_settle(order_pks=[stop.pk], broker=guard.broker, now=at(60))
    # Then what lives is neither taken for refused nor cancelled
    assert [(order.status, order.refusal_proved) for order in protects(book)] == [("HELD", False)]
    assert not OrderCommand.objects.filter(kind="CANCEL").exists()


@pytest.mark.case("T24")
def test_while_the_open_orders_are_not_told_nothing_is_sent_in_place_of_a_refused_stop(
    submitted: Submitted, guard: Guard
) -> None:
    book = bare(submitted())
    guard.look(book)
    book.hear(message(protects(book)[0], *REFUSAL))
    guard.broker.question_fails["open_orders"] = BrokerTimeout("no answer")
    for _ in range(3):
        guard.look(book, after=ANSWER_SECONDS)
    assert len(guard.broker.singles) == 1
    # And once they are, it is
    guard.broker.question_fails.clear()
    guard.look(book, after=ANSWER_SECONDS)
    assert len(guard.broker.singles) == 2


@pytest.mark.case("T24")
def test_a_refused_close_that_lives_is_not_sent_twice(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a flatten whose CLOSE the broker refuses, though it lives
    book = bare(submitted())
    kill_switch_engage(account=None, user=None, reason="news", flatten=True, now=at(30))
    execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(31))
    close = book.order(Leg.CLOSE)
    book.hear(message(close, *REFUSAL))
    broker.holds(told(close, T.SUBMITTED))
    # When it is enforced again
    for number in range(4):
        execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(35 + number))
    # Then it stays the one
    assert [ticket.order_ref for ticket in broker.singles] == [close.order_ref]
    assert book.order(Leg.CLOSE).status == "WORKING"


def test_what_is_certain_is_repaired_before_the_broker_is_asked_about_what_is_not(
    submitted: Submitted, guard: Guard
) -> None:
    # Given a stop that was refused and may live, and another position whose stop is certainly gone
    doubtful = bare(submitted())
    guard.look(doubtful)
    book_of_doubt = protects(doubtful)[0]
    doubtful.hear(message(book_of_doubt, *REFUSAL))
    certain = bare(submitted())
    # When the guard looks at both
    sent_when_asked: list[list[str]] = []
    guard.broker.during_questions = lambda: sent_when_asked.append([t.order_ref for t in guard.broker.singles])
    guard.look(doubtful, certain, after=ANSWER_SECONDS)
    # Then the certain one has its stop by the time the broker is asked about the other
    assert sent_when_asked == [[book_of_doubt.order_ref, protects(certain)[0].order_ref]]


@pytest.mark.case("T29")
def test_a_native_bracket_without_an_answer_is_not_sent_again_leg_by_leg(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    order_pks = [order.pk for order in book.orders]
    exits_settle.exits_settle(order_pks=order_pks, broker=guard.broker, now=at(60), may_send=lambda _pk: True)
    assert (guard.broker.modified, book.statuses) == ([], ["SENT", "SENT"])


@pytest.mark.case("T29")
def test_what_another_client_id_sent_is_not_sent_again(submitted: Submitted, guard: Guard) -> None:
    # Given a stop without an answer, sent by a worker with another client id: its order id is of that client's numbers
    book = bare(submitted())
    guard.look(book)
    Order.objects.filter(pk=protects(book)[0].pk).update(client_id=77)
    for _ in range(4):
        guard.look(book, after=ANSWER_SECONDS)
    assert (guard.broker.modified, len(guard.broker.singles)) == ([], 1)
    assert not Decision.objects.filter(action="SEND_AGAIN").exists()


@pytest.mark.case("T29")
def test_a_stop_without_an_answer_is_sent_again_under_its_own_id(submitted: Submitted, guard: Guard) -> None:
    # Given a stop of the guard's that the Gateway swallowed
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    # When two seconds pass without an answer
    guard.look(book, after=1)
    guard.look(book, after=1)
    assert guard.broker.modified == []
    guard.look(book, after=1.1)
    # Then it is sent once more as the same order
    ((order_id, ticket, parent_id),) = guard.broker.modified
    assert (order_id, ticket.order_ref, ticket.quantity, parent_id) == (stop.order_id, stop.order_ref, 10, 0)
    assert Decision.objects.filter(action="SEND_AGAIN", order=stop).count() == 1
    # And at most so often, and never as a new one
    for _ in range(10):
        guard.look(book, after=ANSWER_SECONDS)
    assert len(guard.broker.modified) == SEND_AGAIN_MAX
    assert len(protects(book)) == len(guard.broker.singles) == 1


@pytest.mark.case("T29")
@pytest.mark.parametrize("where", ["open", "completed"])
def test_a_stop_whose_answer_was_lost_is_found_and_not_sent_again(
    submitted: Submitted, guard: Guard, where: str
) -> None:
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    if where == "open":
        guard.broker.holds(told(stop, T.PRE_SUBMITTED))
    else:
        guard.broker.completed_book.append(told(stop, T.CANCELLED))
    guard.look(book, after=1)
    guard.look(book, after=2)
    assert guard.broker.modified == []
    assert protects(book)[0].status == ("HELD" if where == "open" else "CANCELLED")


@pytest.mark.case("T29")
def test_a_stop_that_is_refused_when_it_is_sent_again_is_replaced_once_it_is_proved_absent(
    submitted: Submitted, guard: Guard
) -> None:
    book = bare(submitted())
    guard.look(book)
    guard.look(book, after=0.1)
    guard.look(book, after=2)
    (stop,) = protects(book)
    assert len(guard.broker.modified) == 1
    book.hear(message(stop, 103, "Duplicate order id", MessageMeaning.REQUEST_REFUSED))
    guard.look(book, after=ANSWER_SECONDS)
    assert [order.status for order in protects(book)] == ["NOT_PLACED", "SENT"]


@pytest.mark.case("T29")
def test_a_swallowed_target_of_a_bracket_is_told(submitted: Submitted, guard: Guard) -> None:
    # Given a bracket of which the Gateway swallowed the target
    book = submitted(take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    guard.broker.holds(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    # When two seconds pass
    guard.look(book)
    guard.look(book, after=2)
    # Then it is known never to have arrived, because the others of the same breath have
    assert book.target.status == "NOT_PLACED"
    assert f"{book.target.order_ref}: never reached the broker" in book.execution.attention
    assert guard.broker.modified == []


@pytest.mark.case("T29")
def test_a_swallowed_stop_of_a_bracket_is_replaced_where_shares_are_held(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    guard.look(book)
    guard.look(book, after=2)
    assert book.stop.status == "NOT_PLACED"
    assert [ticket.order_ref for ticket in guard.broker.singles] == [order.order_ref for order in protects(book)]


def test_an_unanswered_bracket_is_left_to_the_reconcile(submitted: Submitted, guard: Guard) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    for _ in range(4):
        guard.look(book, after=ANSWER_SECONDS)
    assert book.statuses == ["SENT", "SENT", "SENT"]
    assert guard.broker.modified == guard.broker.questions == []


@pytest.mark.case("T24")
@pytest.mark.parametrize("end", [T.CANCELLED, T.INACTIVE])
def test_a_refused_stop_that_is_listed_as_over_is_refused(submitted: Submitted, guard: Guard, end: ToldStatus) -> None:
    # Given a stop that was refused, and another one unanswered, so that finished orders are asked for, too
    refused, unanswered = bare(submitted()), bare(submitted())
    guard.look(refused, unanswered)
    (stop,) = protects(refused)
    refused.hear(message(stop, *REFUSAL))
    guard.broker.completed_book = [told(stop, end, source="completed_order", order_id=0, client_id=0)]
    # When both are in doubt
    guard.look(refused, unanswered, after=2.1)
    guard.look(refused, unanswered, after=ANSWER_SECONDS)
    # Then the list of finished orders is no sign of life: the refused one is replaced
    assert [(order.status, order.refusal_proved) for order in protects(refused)] == [
        ("REJECTED", True),
        ("SENT", False),
    ]


def test_an_exit_whose_row_is_locked_holds_up_no_other(
    submitted: Submitted, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two refused stops in doubt, the first of them in a row that somebody has locked
    locked, free = bare(submitted()), bare(submitted())
    guard.look(locked, free)
    for book in (locked, free):
        book.hear(message(protects(book)[0], *REFUSAL))
    prove = exits_settle._refusal_prove

    def held_up(order: Order, **more: Any) -> None:
        if order.bracket.execution_id == locked.execution_id:
            raise OperationalError("canceling statement due to statement timeout") from QueryCanceled()
        prove(order, **more)

    monkeypatch.setattr(exits_settle, "_refusal_prove", held_up)
    guard.look(locked, free, after=ANSWER_SECONDS)
    # Then the other one is settled, and replaced
    assert [order.status for order in protects(locked)] == ["REJECTED"]
    assert [order.status for order in protects(free)] == ["REJECTED", "SENT"]


def test_a_refused_stop_that_is_listed_as_inactive_is_replaced_and_cancelled(
    submitted: Submitted, guard: Guard
) -> None:
    # Given a stop of the guard's that the broker refuses, and keeps among its open orders without working with it
    book = bare(submitted())
    guard.look(book)
    (stop,) = protects(book)
    book.hear(message(stop, *REFUSAL))
    guard.broker.holds(told(stop, T.INACTIVE, source="open_order"))
    # When the guard looks
    guard.look(book, after=ANSWER_SECONDS)
    # Then its shares get another one, and it is cancelled: somebody could send it on in TWS
    assert [(one.status, one.refusal_proved) for one in protects(book)] == [("REJECTED", True), ("SENT", False)]
    assert left_behind_send(broker=guard.broker, now=guard.now) == 1
    assert guard.broker.cancelled == [stop.order_id]
    assert execution_replay(book.execution_id) == []
