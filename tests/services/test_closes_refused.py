"""Where the broker refuses what closes positions, the next ones keep their stops, and one is tried now and then."""

from collections.abc import Callable

import pytest

from app.core.errors import RetryLater
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.close_circuit import COOL_DOWN
from app.domain.terms import Leg
from app.executions.models import Actor, Execution, Order
from app.executions.services.flags_resolve import flags_resolve
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.kill_switch import kill_switch_release
from app.worker.flatten_waits import FlattenWaits
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, message, told
from tests.services.world import all_to_be_closed

pytestmark = [pytest.mark.django_db, pytest.mark.case("T64")]

Submitted = Callable[..., Book]
T = ToldStatus
OVER = 40 + COOL_DOWN.total_seconds()


@pytest.fixture
def held(submitted: Submitted) -> list[Book]:
    """Positions with lone stops, all to be closed."""
    return all_to_be_closed(submitted, 6)


def step(book: Book, broker: FakeBroker, *, seconds: float) -> int:
    return execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(seconds))


def last_close(book: Book) -> Order:
    return [order for order in book.orders if order.leg == Leg.CLOSE.value][-1]


def refused(book: Book, broker: FakeBroker, *, seconds: float, times: int = 1) -> None:
    """Give up its stop, and have the broker refuse what closes it."""
    step(book, broker, seconds=seconds)
    book.hear(told(book.stop, T.CANCELLED))
    for _ in range(times):
        step(book, broker, seconds=seconds)
        book.hear(message(last_close(book), 201, "no closing", MessageMeaning.REFUSAL, received_at=at(seconds)))
        assert last_close(book).status == "REJECTED"


def test_after_refusals_in_a_row_the_next_keeps_its_stop(held: list[Book], broker: FakeBroker) -> None:
    for book in held[:3]:
        refused(book, broker, seconds=40)
    cancelled = list(broker.cancelled)
    # When the fourth is to be closed, nothing of it is touched, and the code says why
    with pytest.raises(RetryLater) as waits:
        step(held[3], broker, seconds=41)
    assert (waits.value.code, broker.cancelled, held[3].stop.status) == ("closes_refused", cancelled, "HELD")
    # When the refusals are some time ago, one is tried, and no other until that is answered
    assert step(held[3], broker, seconds=OVER) == 1
    with pytest.raises(RetryLater):
        step(held[4], broker, seconds=OVER + 1)
    held[3].hear(told(held[3].stop, T.CANCELLED))
    step(held[3], broker, seconds=OVER + 2)
    held[3].hear(fill(last_close(held[3]), "10"))
    # When it was closed, the others are
    assert step(held[4], broker, seconds=OVER + 3) == 1
    assert broker.cancelled == [*cancelled, held[3].stop.order_id, held[4].stop.order_id]


def test_one_contract_that_cannot_be_closed_keeps_no_other_from_it(held: list[Book], broker: FakeBroker) -> None:
    # Given refusals of one contract
    refused(held[0], broker, seconds=40, times=3)
    Execution.objects.filter(pk=held[0].execution_id).update(con_id=1)
    assert step(held[1], broker, seconds=41) == 1
    # When another's are refused too, it is the account
    Execution.objects.filter(pk=held[1].execution_id).update(con_id=2)
    held[1].hear(told(held[1].stop, T.CANCELLED))
    refused(held[1], broker, seconds=42)
    with pytest.raises(RetryLater):
        step(held[2], broker, seconds=43)


def test_what_was_refused_in_many_contracts_is_not_forgotten_while_one_of_them_is_tried(
    held: list[Book], broker: FakeBroker
) -> None:
    # Given two contracts that cannot be closed, of which one failed three times since the other did
    refused(held[0], broker, seconds=40)
    Execution.objects.filter(pk=held[0].execution_id).update(con_id=1)
    refused(held[1], broker, seconds=41, times=3)
    Execution.objects.filter(pk=held[1].execution_id).update(con_id=2)
    # Then a third keeps its stops, half a minute later it is tried, and a fourth keeps its own meanwhile and after it
    with pytest.raises(RetryLater):
        step(held[2], broker, seconds=42)
    refused(held[2], broker, seconds=OVER + 2)
    Execution.objects.filter(pk=held[2].execution_id).update(con_id=3)
    with pytest.raises(RetryLater):
        step(held[3], broker, seconds=OVER + 3)


def test_a_stop_that_was_lost_meanwhile_does_not_wait_and_is_back_after_one_refusal(
    held: list[Book], broker: FakeBroker
) -> None:
    for book in held[:3]:
        refused(book, broker, seconds=40)
    book = held[3]
    book.hear(told(book.stop, T.CANCELLED))
    assert step(book, broker, seconds=41) == 1
    book.hear(message(last_close(book), 201, "no closing", MessageMeaning.REFUSAL, received_at=at(41)))
    # When its first order was refused too, it is given up at once
    assert step(book, broker, seconds=41) == 0
    assert "tranche 1: 1 order to close 10 shares failed" in book.execution.attention
    assert book.execution.flatten_requested_at is None
    guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=at(42))
    assert book.order(Leg.PROTECT).status == "SENT"


def test_who_asks_again_for_what_was_refused_is_heard(held: list[Book], broker: FakeBroker) -> None:
    # Given one position whose closing orders failed, so that it is guarded again
    book = held[0]
    refused(book, broker, seconds=40, times=3)
    step(book, broker, seconds=40)
    assert "3 orders to close 10 shares failed" in book.execution.attention
    guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=at(41))
    protect = book.order(Leg.PROTECT)
    book.hear(told(protect, T.PRE_SUBMITTED))
    # When a person wants it closed all the same, its own refusals do not count
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="out", now=at(42))
    assert step(book, broker, seconds=43) == 1
    assert broker.cancelled[-1] == protect.order_id


def test_a_person_is_told_once_that_it_keeps_its_stop(held: list[Book], broker: FakeBroker) -> None:
    for book in held[:3]:
        refused(book, broker, seconds=40)
    waits, book = FlattenWaits(), held[3]
    for second in range(20):
        assert waits.step(book.execution_id, broker=broker, now=at(41 + second)) is False
        assert [flag.code for flag in book.execution.flags.all()] == ["closes_refused"]
    assert book.stop.order_id not in broker.cancelled
    # And it is closed when its turn has come
    for second in range(20, 40):
        waits.step(book.execution_id, broker=broker, now=at(41 + second))
    assert book.stop.order_id in broker.cancelled


def test_the_flag_ends_with_the_wish(held: list[Book], broker: FakeBroker) -> None:
    for book in held[:3]:
        refused(book, broker, seconds=40)
    FlattenWaits().step(held[3].execution_id, broker=broker, now=at(41))
    flags_resolve(now=at(42))
    flag = held[3].execution.flags.get()
    assert flag.resolved_at is None
    kill_switch_release(account=None, user=None, reason="over", now=at(43))
    flags_resolve(now=at(44))
    flag.refresh_from_db()
    assert (flag.resolved_at, flag.resolved_how) == (at(44), "not_closing")
