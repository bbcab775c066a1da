"""What the broker says of an order is the reason a person reads, in the broker's own words."""

from collections.abc import Callable

import pytest

from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.services.cancel import execution_cancel_send, execution_expire
from app.executions.services.guard import UNANSWERED_SECONDS
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, message, told

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
@pytest.mark.parametrize("parked", [False, True])
def test_a_code_of_no_table_refuses_what_the_complete_answers_lack(
    submitted: Submitted, guard: Guard, parked: bool
) -> None:
    # Given an entry that is answered with a code that nobody knows, and whose cancel finds nothing
    book = submitted()
    if parked:
        book.hear(told(book.entry, T.INACTIVE), told(book.stop, T.INACTIVE))
    book.hear(message(book.entry, 9876, LIMIT, SUSPECTED), message(book.stop, 9876, LIMIT, SUSPECTED))
    book.hear(message(book.entry, *GONE))
    assert (book.execution.status, book.execution.attention) == ("WORKING" if parked else "SUBMITTING", "")
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


def cancelled_at_broker(book: Book, *, words: str = "") -> None:
    """Have the entry cancelled by nobody here, and its stop with it, as the broker tells it: the reason comes last."""
    book.hear(told(book.entry, T.PRE_SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    book.hear(told(book.entry, T.CANCELLED))
    book.hear(message(book.entry, 202, f"Order Canceled - reason:{words}", MessageMeaning.INFORMATION, words))
    book.hear(told(book.stop, T.CANCELLED))


@pytest.mark.case("T27")
def test_why_the_broker_cancelled_it_is_told_in_its_own_words(submitted: Submitted) -> None:
    book = submitted()
    cancelled_at_broker(book, words="Corporate\naction")
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "cancelled_at_broker")
    said = 'It was cancelled at the broker, not by us: "Corporate action"'
    assert book.execution.reason == said
    # And what is said of it afterwards, without a reason, takes none away
    book.hear(message(book.entry, *GONE))
    assert book.execution.reason == said
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T27")
def test_why_the_stop_of_a_cancelled_entry_was_gone_is_told(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a stop that the broker cancelled, whereupon the entry was
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), told(book.stop, T.CANCELLED))
    book.hear(message(book.stop, 202, "…", MessageMeaning.INFORMATION, "Margin"))
    execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(30))
    book.hear(told(book.entry, T.CANCELLED))
    # Then its words are the reason, too
    assert book.execution.reason_code == "stop_lost"
    assert book.execution.reason.endswith(' The broker had cancelled the stop: "Margin"')


@pytest.mark.case("T19")
def test_a_day_order_at_the_end_of_its_day_expired(submitted: Submitted) -> None:
    # Given a DAY entry that ends without a word
    book = submitted()
    cancelled_at_broker(book)
    assert book.execution.reason == "It was cancelled at the broker, not by us."
    # When the completed orders say how
    book.hear(told(book.entry, T.CANCELLED, source="completed_order", ended_because="Expired"))
    # Then that is the reason
    assert book.execution.reason_code == "expired"
    assert book.execution.reason == "The entry was not filled, and expired with its day (DAY)."
    assert execution_replay(book.execution_id) == []


@pytest.mark.case("T10", "T19", "T27")
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (399, "Order Message:\nBUY 10 AAPL NASDAQ.NMS\nWarning: It will not be placed until 2026-11-30 09:30:00."),
        (404, "Shares for this order are not immediately available for short sale."),
    ],
)
def test_why_it_waited_stands_in_the_reason_of_its_time_limit(submitted: Submitted, code: int, words: str) -> None:
    # Given an entry that waits, and the broker says why
    book = submitted(entry_timeout_seconds=60)
    book.hear(message(book.entry, code, words, MessageMeaning.WARNING), told(book.entry, T.PRE_SUBMITTED))
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    # When its time limit passes
    assert execution_expire(execution_id=book.execution_id, now=at(61))
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    # Then both are told
    assert book.execution.reason_code == "entry_timeout"
    said = f' The broker had said of the entry ({code}): "{" ".join(words.split())}"'
    assert book.execution.reason.endswith(said)


@pytest.mark.case("T10")
@pytest.mark.parametrize("end", ["at work", "filled"])
def test_what_an_order_waited_for_is_not_its_last_word_once_it_has_come(submitted: Submitted, end: str) -> None:
    book = submitted()
    book.hear(message(book.entry, 404, "Held while shares are located.", MessageMeaning.WARNING))
    book.hear(told(book.entry, T.PRE_SUBMITTED, why_held="locate"))
    assert book.entry.last_error_code == 404
    book.hear(told(book.entry, T.SUBMITTED) if end == "at work" else fill(book.entry, "10"))
    assert (book.entry.last_error_code, book.entry.last_error) == (None, "")
    assert execution_replay(book.execution_id) == []
