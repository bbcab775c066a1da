"""Stops that are lost together: the account is asked once for all of them, and an old answer places nothing."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.accounts.models import Position
from app.domain.broker_events import ToldStatus
from app.executions.models import Execution
from app.executions.services.exposure import ANSWER_GOOD_SECONDS
from app.executions.services.guard import PLACING_SECONDS_MAX, SYMBOLS_AT_ONCE
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import told
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


@pytest.fixture
def in_many_symbols(submitted: Submitted) -> list[Book]:
    """Shares without their stops, each in a symbol of its own."""
    books = without_stops(submitted, count=6)
    for number, book in enumerate(books):
        Execution.objects.filter(pk=book.execution_id).update(symbol=f"SYM{number}")
    return books


@pytest.mark.case("T63")
def test_of_many_symbols_each_is_asked_about_once_and_the_first_need_not_wait_for_the_last(
    in_many_symbols: list[Book], guard: Guard
) -> None:
    placed: list[int] = []
    guard.broker.held_up = lambda: placed.append(len(guard.broker.symbols_asked))
    assert guard.look(*in_many_symbols) == 6
    assert guard.broker.symbols_asked == [f"SYM{number}" for number in range(6)]
    # How many were asked about when each was placed
    assert placed == [SYMBOLS_AT_ONCE] * 2 + [2 * SYMBOLS_AT_ONCE] * 2 + [3 * SYMBOLS_AT_ONCE] * 2


@pytest.mark.case("T63")
def test_a_look_that_takes_long_ends_and_the_next_goes_on_with_what_is_left(
    in_many_symbols: list[Book], guard: Guard
) -> None:
    # Given a line on which two orders take as long as one look may
    def take_long() -> None:
        guard.now += timedelta(seconds=PLACING_SECONDS_MAX / 2 - 0.05)

    guard.broker.held_up = take_long
    looks = [guard.found(*in_many_symbols) for _ in range(3)]
    # Then each symbol is asked about once all the same, and only the last look leaves nothing
    assert [(look.repaired, look.left) for look in looks] == [(4, True), (2, False), (0, False)]
    assert len(guard.broker.symbols_asked) == 6


@pytest.mark.case("T63")
def test_who_has_been_without_a_stop_for_longest_goes_first(submitted: Submitted, guard: Guard) -> None:
    # Given an account that was in doubt when the younger one lost its stop
    elder, younger = submitted(), submitted()
    filled(elder)
    filled(younger, stop=ToldStatus.CANCELLED)
    account, con_id = elder.execution.account, elder.execution.con_id
    in_doubt = {"reported_at": guard.now, "disputed_since": guard.now}
    doubt = Position.objects.create(account=account, con_id=con_id, **in_doubt)
    assert guard.look(elder, younger) == 0
    # And is not any more when the elder one does, on a line that has time for one
    doubt.delete()
    elder.hear(told(elder.stop, ToldStatus.CANCELLED))

    def take_long() -> None:
        guard.now += timedelta(seconds=ANSWER_GOOD_SECONDS + 0.1)

    guard.broker.held_up = take_long
    assert guard.look(elder, younger, after=4) == 1
    assert ([*protect_of(elder)], [order.status for order in protect_of(younger)]) == ([], ["SENT"])
