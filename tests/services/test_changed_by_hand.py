"""What a person changes in TWS: the rows say what the broker works with, and what we change leaves it there."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import ToldStatus
from app.executions.services.replay import execution_replay
from app.executions.services.ticket import order_ticket
from tests.services.book import Book
from tests.services.heard import fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.mark.parametrize("size", ["7", "25"])
def test_an_entry_of_another_size_calls_a_person_and_is_over_when_that_is_filled(
    submitted: Submitted, size: str
) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    # When somebody changes the size of the entry
    book.hear(told(book.entry, T.SUBMITTED, remaining=Decimal(size)))
    # Then the row says so, and a person is told
    assert book.entry.quantity == Decimal(size)
    assert book.execution.attention == f"ENTRY: the broker works {size} shares, not 10"
    # And it is open until that is filled, not longer
    book.hear(fill(book.entry, str(int(size) - 1)))
    assert book.entry.status == "WORKING"
    book.hear(fill(book.entry, "1"))
    assert (book.entry.status, book.execution.open_quantity) == ("FILLED", Decimal(size))


def test_an_entry_whose_new_size_was_never_told_is_over_when_it_is_told_filled(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "7"))
    book.hear(told(book.entry, T.FILLED, filled=7, remaining=0))
    assert (book.entry.quantity, book.entry.status) == (7, "FILLED")


@pytest.mark.parametrize("source", ["status", "completed_order"])
@pytest.mark.parametrize(("end", "remaining"), [(T.FILLED, 0), (T.CANCELLED, 75)])
def test_an_entry_that_was_made_larger_unseen_has_the_size_that_was_filled(
    submitted: Submitted, end: ToldStatus, remaining: int, source: str
) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "25"))
    against = "ENTRY: its deals add up to 25, the order is of 10: the smaller number counts"
    assert (book.entry.status, book.execution.attention) == ("FILLED", against)
    book.hear(told(book.entry, end, filled=25, remaining=remaining, source=source))
    assert (book.entry.status, book.entry.quantity, book.execution.open_quantity) == ("FILLED", 25, 25)
    assert execution_replay(book.execution_id) == []


@pytest.mark.parametrize("source", ["open_order", "status"])
def test_a_live_word_that_leaves_nothing_to_fill_ends_no_order(submitted: Submitted, source: str) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "4"))
    # When a message about the partly filled entry, or its stop, carries a size of 0
    book.hear(told(book.entry, T.SUBMITTED, filled=4, remaining=0, source=source))
    book.hear(told(book.stop, T.PRE_SUBMITTED, filled=0, remaining=0, source=source))
    # Then both are as large as they were
    assert (book.entry.quantity, book.entry.status) == (10, "WORKING")
    assert (book.stop.quantity, book.stop.status) == (10, "HELD")


def test_a_size_below_what_is_filled_is_not_taken_over(submitted: Submitted) -> None:
    book = submitted()
    book.hear(fill(book.entry, "4"), told(book.entry, T.SUBMITTED, filled=1, remaining=2))
    assert (book.entry.quantity, book.entry.status) == (10, "WORKING")
    assert "the broker works 3 shares, not 10" in book.execution.attention


def test_a_stop_moved_by_hand_is_where_it_was_moved_to_for_us_too(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=book.stop.stop_price))
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal("187.5")))
    assert book.stop.stop_price == Decimal("187.5")
    assert book.execution.attention == ""
    # And what we send of it from now on leaves it there
    assert order_ticket(book.stop).stop_price == Decimal("187.5")
    assert execution_replay(book.execution_id) == []


def test_a_limit_moved_by_hand_is_where_it_was_moved_to_for_us_too(submitted: Submitted) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.target, T.SUBMITTED, limit_price=Decimal(199)))
    assert book.target.limit_price == 199


def test_a_price_that_is_not_told_or_that_the_order_does_not_have_changes_nothing(submitted: Submitted) -> None:
    book = submitted()
    stop_price = book.stop.stop_price
    # Given a status message before any open-order message, the echo of an unset price, and one of another order type
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal(0)))
    book.hear(told(book.stop, T.PRE_SUBMITTED, limit_price=Decimal(150)))
    assert (book.stop.stop_price, book.stop.limit_price) == (stop_price, None)


def test_a_late_word_of_another_price_does_not_rewrite_a_finished_order(submitted: Submitted) -> None:
    book = submitted()
    stop_price = book.stop.stop_price
    book.hear(told(book.stop, T.CANCELLED))
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal(150)))
    assert (book.stop.status, book.stop.stop_price) == ("CANCELLED", stop_price)
