"""What an event makes due at once: cancels that end by themselves, and questions to the broker."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.services.aftermath import cancel_rest_of_broken, is_over_unheard
from tests.services.book import Book
from tests.services.heard import fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


def broken(book: Book) -> None:
    """Have the entry parked, and its stop cancelled."""
    book.hear(told(book.entry, T.INACTIVE), told(book.stop, T.CANCELLED))


def test_what_ends_a_leg_has_the_rest_cancelled(submitted: Submitted) -> None:
    book = submitted()
    broken(book)
    assert cancel_rest_of_broken(book.execution_id, told(book.stop, T.CANCELLED))
    assert not cancel_rest_of_broken(book.execution_id, told(book.entry, T.SUBMITTED))


@pytest.mark.case("T40")
def test_a_stop_that_is_hit_has_the_rest_of_its_entry_cancelled(submitted: Submitted) -> None:
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    entered, hit = fill(book.entry, "4"), fill(book.stop, "4")
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.SUBMITTED), entered)
    assert not cancel_rest_of_broken(book.execution_id, entered)
    book.hear(hit)
    assert cancel_rest_of_broken(book.execution_id, hit)


@pytest.mark.case("T40")
def test_a_stop_that_is_hit_behind_a_filled_entry_has_nothing_cancelled(submitted: Submitted) -> None:
    book = submitted()
    hit = fill(book.stop, "4")
    book.hear(fill(book.entry, "10"), told(book.stop, T.SUBMITTED), hit)
    assert not cancel_rest_of_broken(book.execution_id, hit)


def test_a_refused_cancel_does_not_ask_for_another(submitted: Submitted) -> None:
    # Given a cancel that the broker refuses because the order is over
    book = submitted()
    broken(book)
    refused = message(book.entry, 10148, "can not be cancelled, state: Inactive.", MessageMeaning.WARNING)
    # Then no second cancel follows it, which would be refused as well, and so on for ever
    assert not cancel_rest_of_broken(book.execution_id, refused)
    # But the broker is asked how the order ended
    assert is_over_unheard(refused)


def test_a_cancel_refused_of_what_we_know_to_be_over_asks_nothing(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    assert not is_over_unheard(
        message(book.entry, 10148, "can not be cancelled, state: Inactive.", MessageMeaning.WARNING)
    )
    assert not is_over_unheard(told(book.entry, T.CANCELLED))


@pytest.mark.parametrize(("filled", "status"), [("0", "REJECTED"), ("4", "CANCELLED")])
def test_what_is_listed_as_finished_and_inactive_is_over(submitted: Submitted, filled: str, status: str) -> None:
    # Given an order whose refusal nobody heard
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    if filled != "0":
        book.hear(fill(book.entry, filled))
    # When the completed orders list it
    book.hear(told(book.entry, T.INACTIVE, source="completed_order", filled=filled, remaining="6"))
    # Then it is no order that is parked and may come back
    assert book.entry.status == status
    if status == "REJECTED":
        book.hear(told(book.stop, T.CANCELLED))
        assert "it was refused" in book.execution.reason
