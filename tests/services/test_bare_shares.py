"""Shares without a working stop are told to a person even where nothing can be sent."""

from collections.abc import Callable

import pytest

from app.alerts.models import Alert
from app.domain.broker_events import ToldStatus
from app.executions.services.bare_shares import BARE_SECONDS_MAX, bare_shares_tell
from app.worker.watchdog import watchdog_look
from tests.services.book import Book
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db
T = ToldStatus


@pytest.fixture
def held(submitted: Callable[..., Book]) -> Book:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    return book


def flags(book: Book) -> list[str]:
    return book.execution.attention.splitlines()


@pytest.mark.case("T14")
def test_shares_whose_stop_is_gone_are_told_once_with_an_alert(held: Book) -> None:
    held.hear(told(held.stop, T.CANCELLED))
    lost_at = max(order.events.latest("received_at").received_at for order in (held.entry, held.stop))
    seconds = (lost_at - at(0)).total_seconds() + BARE_SECONDS_MAX
    assert bare_shares_tell(now=at(seconds)) == []
    watchdog_look(now=at(seconds + 1))
    watchdog_look(now=at(seconds + 60))
    assert flags(held) == [f"tranche 1: 10 shares have had no working stop since {lost_at:%Y-%m-%d %H:%M:%S} UTC"]
    assert Alert.objects.filter(execution_id=held.execution_id).count() == 1


@pytest.mark.case("T14")
def test_the_seconds_count_from_the_end_of_the_stop(held: Book) -> None:
    # Given a stop that worked for long before it was lost
    held.hear(told(held.stop, T.CANCELLED, received_at=at(1000)))
    assert bare_shares_tell(now=at(1000 + BARE_SECONDS_MAX)) == []
    assert bare_shares_tell(now=at(1001 + BARE_SECONDS_MAX)) == [held.execution_id]
    assert flags(held) == [f"tranche 1: 10 shares have had no working stop since {at(1000):%Y-%m-%d %H:%M:%S} UTC"]


@pytest.mark.case("T14")
def test_shares_behind_a_stop_for_a_part_of_them_are_told(held: Book) -> None:
    held.hear(told(held.stop, T.PRE_SUBMITTED, remaining=4))
    assert bare_shares_tell(now=at(10_000)) == [held.execution_id]
    (flag,) = flags(held)
    assert flag.startswith("tranche 1: 6 shares have had no working stop since ")


def test_shares_behind_a_working_stop_are_not_told(held: Book) -> None:
    assert bare_shares_tell(now=at(10_000)) == []
    assert flags(held) == []


def test_shares_that_are_being_closed_are_told_too(held: Book) -> None:
    # Given a close that waits: for a halt, for a word of the broker, for another client's order
    held.hear(told(held.stop, T.CANCELLED))
    execution = held.execution
    execution.flatten_requested_at = at(30)
    execution.save()
    assert bare_shares_tell(now=at(10_000)) == [held.execution_id]
