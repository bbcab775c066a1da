"""Stops that are lost together: the account is asked once for all of them, and an old answer places nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.domain.broker_events import ToldStatus
from app.executions.services.exposure import ANSWER_GOOD_SECONDS
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.test_guard import filled, protect_of

pytestmark = [pytest.mark.django_db, pytest.mark.case("T41")]

Submitted = Callable[..., Book]


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


def without_stops(submitted: Submitted, *, count: int) -> list[Book]:
    books = [submitted() for _ in range(count)]
    for book in books:
        filled(book, stop=ToldStatus.CANCELLED)
    return books


def test_for_all_stops_that_are_gone_the_account_is_asked_once(submitted: Submitted, guard: Guard) -> None:
    books = without_stops(submitted, count=4)
    assert guard.look(*books) == 4
    assert guard.broker.questions == ["positions", "fills_since"]
    assert [order.status for book in books for order in protect_of(book)] == ["SENT"] * 4


def test_an_answer_that_has_grown_old_places_nothing_more(submitted: Submitted, guard: Guard) -> None:
    # Given a line on which each order takes so long that what the broker said of the account is old
    books = without_stops(submitted, count=3)

    def take_long() -> None:
        guard.now += timedelta(seconds=ANSWER_GOOD_SECONDS + 0.1)

    guard.broker.held_up = take_long
    # Then each look places one, by an answer of its own
    assert [guard.look(*books) for _ in range(4)] == [1, 1, 1, 0]
    assert guard.broker.questions.count("positions") == 3
    assert [order.status for book in books for order in protect_of(book)] == ["SENT"] * 3
