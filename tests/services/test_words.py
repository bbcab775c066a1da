"""What the broker says of an order is the reason a person reads, in the broker's own words."""

from collections.abc import Callable

import pytest

from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.services.guard import UNANSWERED_SECONDS
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
LIMIT = "The value exceeds the Total Value Limit."
SUSPECTED = MessageMeaning.REFUSAL_SUSPECTED
GONE = (10147, "OrderId 1 that needs to be cancelled is not found.", MessageMeaning.REQUEST_REFUSED)


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


@pytest.mark.case("T9")
def test_why_an_order_was_refused_is_the_first_thing_that_was_said(submitted: Submitted) -> None:
    book = submitted()
    for order in (book.entry, book.stop):
        book.hear(message(order, 451, LIMIT, MessageMeaning.REFUSAL))
    book.hear(
        message(book.entry, 201, "Order rejected", MessageMeaning.REFUSAL),
        message(book.entry, *GONE),
        message(book.stop, 161, "Cancel attempted when order is not in a cancellable state", GONE[2]),
    )
    assert book.execution.status == "REJECTED"
    assert book.execution.reason == f"ENTRY was refused (451): {LIMIT}"
    assert [(order.last_error_code, order.last_error) for order in book.orders] == [(451, LIMIT)] * 2
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T9")
def test_a_code_of_no_table_refuses_what_the_complete_answers_lack(submitted: Submitted, guard: Guard) -> None:
    # Given an entry that is answered with a code that nobody knows, and whose cancel finds nothing
    book = submitted()
    book.hear(message(book.entry, 9876, LIMIT, SUSPECTED), message(book.stop, 9876, LIMIT, SUSPECTED))
    book.hear(message(book.entry, *GONE))
    assert (book.execution.status, book.execution.attention) == ("SUBMITTING", "")
    # When it is looked for, and no answer has it
    guard.look(book)
    guard.look(book, after=UNANSWERED_SECONDS)
    # Then it was refused, with these words
    assert book.statuses == ["REJECTED", "REJECTED"]
    assert book.execution.reason == f"ENTRY was refused (9876): {LIMIT}"
    assert book.execution.attention == ""
    assert guard.broker.singles == []
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T9")
def test_a_code_of_no_table_refuses_nothing_that_lives(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    book.hear(message(book.entry, 9876, LIMIT, SUSPECTED))
    guard.broker.holds(told(book.entry, T.PRE_SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    guard.look(book)
    guard.look(book, after=UNANSWERED_SECONDS)
    assert (book.execution.status, book.entry.status) == ("WORKING", "HELD")
    assert (book.entry.last_error_code, book.entry.refusal_suspected) == (9876, False)
    # And what is said of it from now on is about a living order
    book.hear(message(book.entry, 9877, "What is this?", MessageMeaning.UNKNOWN))
    assert book.execution.attention == "ENTRY: unknown code 9877: What is this?"
