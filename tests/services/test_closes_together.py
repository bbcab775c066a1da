"""Closes whose stops ended together: the account is asked once for all, and by no answer that may lack something."""

from collections.abc import Callable

import pytest
from django.db import DatabaseError

from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.services.flatten import closing_ask, execution_flatten_send
from app.worker.close_thread import CloseThread
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told
from tests.services.world import all_to_be_closed

pytestmark = [pytest.mark.django_db, pytest.mark.case("T42")]

Submitted = Callable[..., Book]
T = ToldStatus
GOOD_SECONDS = "app.executions.services.flatten.ANSWER_GOOD_SECONDS"


@pytest.fixture
def closing(submitted: Submitted) -> list[Book]:
    """Three positions that are to be closed; their stops are cancelled."""
    books = all_to_be_closed(submitted, 3)
    for book in books:
        book.hear(told(book.stop, T.CANCELLED))
    return books


def closes(book: Book) -> list[str]:
    return [order.status for order in book.orders if order.leg == Leg.CLOSE.value]


def woken(broker: FakeBroker, books: list[Book]) -> None:
    work(CloseThread(broker=broker, on_doubt=lambda: None), books)


def work(thread: CloseThread, books: list[Book]) -> None:
    """Wake it as the guard does, and have it take all steps that are due."""
    for book in books:
        thread.wake(book.execution_id)
    thread._work()


def test_for_all_that_are_woken_the_account_is_asked_once(
    closing: list[Book], broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GOOD_SECONDS, 60.0)  # However slow the machine is.
    woken(broker, closing)
    assert [closes(book) for book in closing] == [["SENT"]] * 3
    assert broker.questions == ["positions", "fills_since"]


def test_by_an_answer_that_has_grown_old_nothing_is_sent(
    closing: list[Book], broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given answers that are too old at once
    monkeypatch.setattr(GOOD_SECONDS, -1.0)
    woken(broker, closing)
    # Then each step asks by itself
    assert [closes(book) for book in closing] == [["SENT"]] * 3
    assert broker.questions.count("positions") > 3


def test_what_was_told_since_the_answer_is_asked_for_again(
    closing: list[Book], broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GOOD_SECONDS, 60.0)
    # Given an answer, and a stop that turns out to have sold before it ended
    first, second, _ = closing
    answer = closing_ask(execution_ids=[book.execution_id for book in closing], broker=broker, now=at(31))
    first.hear(fill(first.stop, "4", "185"))
    # Then that answer is none for its execution, but for the others
    assert (answer.is_good_for(first.execution_id), answer.is_good_for(second.execution_id)) == (False, True)
    execution_flatten_send(execution_id=first.execution_id, broker=broker, now=at(32), answer=answer)
    execution_flatten_send(execution_id=second.execution_id, broker=broker, now=at(32), answer=answer)
    assert broker.questions.count("positions") == 2
    assert [int(ticket.quantity) for ticket in broker.singles] == [6, 10]


def test_where_the_account_cannot_be_asked_for_all_each_is_asked_for(
    closing: list[Book], broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise DatabaseError("the server has gone away")

    monkeypatch.setattr("app.worker.close_thread.closing_ask", fail)
    monkeypatch.setattr("app.worker.close_thread.connections.close_all", lambda: None)  # The test's own is one of them.
    woken(broker, closing)
    assert [closes(book) for book in closing] == [["SENT"]] * 3
    assert broker.questions.count("positions") == 3


def test_what_is_in_doubt_holds_back_none_but_itself(closing: list[Book], broker: FakeBroker) -> None:
    # Given a deal of one execution's stop that is told to who asks, and not recorded yet
    first, *_others = closing
    broker.deals.append(fill(first.stop, "10", "185"))
    asked: list[int] = []
    thread = CloseThread(broker=broker, on_doubt=lambda: asked.append(1))
    work(thread, closing)
    assert [closes(book) for book in closing] == [[], ["SENT"], ["SENT"]]
    assert asked == [1]
