"""A wish to close ends with the position, with what failed, with the kill switch: none of long ago sells anything."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from app.core.errors import Conflict
from app.domain.broker_events import ToldStatus
from app.domain.close import CLOSES_MAX
from app.domain.terms import Leg
from app.executions.models import Actor, Decision
from app.executions.services.close_request import CloseAsked, execution_close_request
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.kill_switch import kill_switch_enforce, kill_switch_engage, kill_switch_release
from app.executions.services.sweep import execution_sweep
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def open_book(submitted: Submitted) -> Book:
    """Ten shares behind a stop."""
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    return book


def engage(seconds: float = 30) -> None:
    kill_switch_engage(account=None, user=None, reason="news", flatten=True, now=at(seconds))


def close(book: Book, user: User, *, key: str, seconds: float, quantity: str = "10") -> None:
    asked = CloseAsked(quantity=Decimal(quantity))
    execution_close_request(
        execution_id=book.execution_id, asked=asked, user=user, idempotency_key=key, now=at(seconds)
    )


def step(book: Book, broker: FakeBroker, *, seconds: float) -> int:
    return execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(seconds))


def refused(book: Book, broker: FakeBroker, *, seconds: float) -> None:
    """Have every CLOSE refused until it is given up."""
    step(book, broker, seconds=seconds)
    book.hear(told(book.stop, T.CANCELLED), seconds=seconds)
    for number in range(CLOSES_MAX):
        assert step(book, broker, seconds=seconds + number) == 1
        book.hear(told(book.orders[-1], T.CANCELLED), seconds=seconds + number)
    assert step(book, broker, seconds=seconds + 5) == 0


# What failed


@pytest.mark.case("T25")
def test_closing_that_failed_is_over_and_may_be_asked_for_again(
    open_book: Book, broker: FakeBroker, analyst: User
) -> None:
    close(open_book, analyst, key="k1", seconds=30)
    refused(open_book, broker, seconds=31)
    assert open_book.execution.flatten_requested_at is None
    # Then the broker is not asked about it every second for ever
    broker.questions.clear()
    execution_sweep(now=at(40))
    step(open_book, broker, seconds=40)
    assert broker.questions == []
    # And who wants it closed all the same says so again, which is done
    close(open_book, analyst, key="k2", seconds=50)
    assert step(open_book, broker, seconds=51) == 1
    assert len(broker.singles) == CLOSES_MAX + 1


@pytest.mark.case("T25")
def test_the_switch_that_closed_it_in_vain_does_not_begin_anew_and_the_next_one_does(
    open_book: Book, broker: FakeBroker
) -> None:
    engage()
    refused(open_book, broker, seconds=31)
    assert kill_switch_enforce(now=at(40)).closing == []
    # Engaged anew it is closed
    kill_switch_release(account=None, user=None, reason="over", now=at(50))
    engage(seconds=60)
    assert open_book.execution.flatten_requested_at == at(60)


def test_a_part_that_could_not_be_closed_may_be_asked_for_again(
    submitted: Submitted, broker: FakeBroker, analyst: User
) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    close(book, analyst, key="k1", seconds=30, quantity="4")
    step(book, broker, seconds=31)
    book.hear(told(book.stop, T.PRE_SUBMITTED, source="open_order", remaining=6), seconds=32)
    for number in range(CLOSES_MAX):
        assert step(book, broker, seconds=33 + number) == 1
        book.hear(told(book.orders[-1], T.CANCELLED), seconds=33 + number)
    assert step(book, broker, seconds=40) == 0
    assert book.execution.close_requested_at is None
    close(book, analyst, key="k2", seconds=50, quantity="4")
    assert book.execution.close_requested_at == at(50)


# What is over


def closed(book: Book, broker: FakeBroker) -> None:
    """Have it closed by its CLOSE."""
    step(book, broker, seconds=31)
    book.hear(told(book.stop, T.CANCELLED), seconds=32)
    step(book, broker, seconds=33)
    sold = fill(book.order(Leg.CLOSE), "10", exec_id="0000e0d5.0c105e.01.01")
    book.hear(told(book.order(Leg.CLOSE), T.SUBMITTED), sold, seconds=34)
    assert book.execution.status == "CLOSED"


def busted(book: Book, *, seconds: float) -> None:
    """Have the deal that closed it taken back."""
    bust = fill(book.order(Leg.CLOSE), "0", exec_id="0000e0d5.0c105e.01.02", cumulative=Decimal(0))
    book.hear(bust, seconds=seconds)
    assert (book.execution.status, book.execution.open_quantity) == ("OPEN", 10)


def test_what_is_there_again_long_after_is_not_sold_by_the_wish_of_then(
    open_book: Book, broker: FakeBroker, analyst: User
) -> None:
    close(open_book, analyst, key="k1", seconds=30)
    closed(open_book, broker)
    assert open_book.execution.flatten_requested_at == at(30), "it stands as long as it is closed"
    busted(open_book, seconds=100)
    # Then it is the guard's, and a person decides
    assert (step(open_book, broker, seconds=101), len(broker.singles)) == (0, 1)
    assert open_book.execution.flatten_requested_at is None
    close(open_book, analyst, key="k2", seconds=110)


def test_what_is_told_late_within_a_moment_is_closed_too(open_book: Book, broker: FakeBroker, analyst: User) -> None:
    close(open_book, analyst, key="k1", seconds=30)
    closed(open_book, broker)
    busted(open_book, seconds=60)
    assert step(open_book, broker, seconds=61) == 1


# What the kill switch wanted


def test_a_released_switch_closes_nothing_of_which_nothing_was_sent(open_book: Book, broker: FakeBroker) -> None:
    engage()
    kill_switch_release(account=None, user=None, reason="over", now=at(40))
    assert step(open_book, broker, seconds=41) == 0
    assert (broker.cancelled, broker.singles) == ([], [])
    assert Decision.objects.filter(action="FLATTEN_DROPPED", execution=open_book.execution_id).count() == 1


def test_a_released_switch_goes_on_closing_what_has_no_stop_any_more(open_book: Book, broker: FakeBroker) -> None:
    engage()
    step(open_book, broker, seconds=31)
    kill_switch_release(account=None, user=None, reason="over", now=at(40))
    open_book.hear(told(open_book.stop, T.CANCELLED), seconds=41)
    assert step(open_book, broker, seconds=42) == 1


def test_a_released_switch_leaves_what_a_person_closes(open_book: Book) -> None:
    execution_flatten_request(
        execution_id=open_book.execution_id, actor=Actor.PERSON, user=None, reason="close", now=at(29)
    )
    engage()
    kill_switch_release(account=None, user=None, reason="over", now=at(40))
    assert open_book.execution.flatten_requested_at == at(29)


def test_what_another_switch_wants_closed_is_closed(open_book: Book) -> None:
    kill_switch_engage(account=open_book.execution.account, user=None, reason="mine", flatten=True, now=at(29))
    engage()
    kill_switch_release(account=None, user=None, reason="over", now=at(40))
    assert open_book.execution.flatten_requested_at == at(40)
    with pytest.raises(Conflict):
        kill_switch_release(account=None, user=None, reason="over", now=at(41))


@pytest.mark.case("T25")
def test_what_was_closed_before_is_no_beginning_of_what_the_released_switch_wanted(
    open_book: Book, broker: FakeBroker, analyst: User
) -> None:
    # Given a part that was closed, for which the stop was cut
    close(open_book, analyst, key="k1", seconds=30, quantity="4")
    step(open_book, broker, seconds=31)
    open_book.hear(told(open_book.stop, T.PRE_SUBMITTED, source="open_order", remaining=6), seconds=32)
    assert step(open_book, broker, seconds=33) == 1
    sold = open_book.order(Leg.CLOSE)
    open_book.hear(fill(sold, "4"), told(sold, T.FILLED), seconds=34)
    # When the switch wants the rest closed, and is released before anything was sent for that
    engage(seconds=60)
    assert open_book.execution.flatten_requested_at == at(60)
    kill_switch_release(account=None, user=None, reason="over", now=at(61))
    # Then the rest is kept
    assert (open_book.execution.flatten_requested_at, open_book.execution.open_quantity) == (None, 6)
