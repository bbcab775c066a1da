"""However many positions are to be closed at once, only a few are without a stop at a time, and these go first."""

from collections.abc import Callable

import pytest

from app.brokers.errors import NotConnected
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.services.close_facts import closed_bare
from app.worker import close_thread
from app.worker.close_thread import UNDER_WAY_MAX, UNDER_WAY_SECONDS_MAX, CloseThread
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import fill, told
from tests.services.world import all_to_be_closed

pytestmark = [pytest.mark.django_db, pytest.mark.case("T60")]

Submitted = Callable[..., Book]
T = ToldStatus
COUNT = 10


@pytest.fixture
def held(submitted: Submitted) -> list[Book]:
    """Positions with lone stops, all to be closed."""
    return all_to_be_closed(submitted, COUNT)


@pytest.fixture
def thread(broker: FakeBroker) -> CloseThread:
    return CloseThread(broker=broker, on_doubt=lambda: None)


def sweep(thread: CloseThread, books: list[Book]) -> None:
    """Want them all, as every sweep does, and take what steps there is room for."""
    for book in books:
        thread.want(book.execution_id)
    thread._work()


def cancelled(books: list[Book], broker: FakeBroker) -> list[int]:
    """Return the numbers of the positions whose stop was cancelled, in that order."""
    numbers = {book.stop.order_id: number for number, book in enumerate(books)}
    return [numbers[order_id] for order_id in broker.cancelled]


def closed(books: list[Book]) -> list[int]:
    """Return the numbers of the positions for which a closing order was written down."""
    return [number for number, book in enumerate(books) if any(one.leg == Leg.CLOSE.value for one in book.orders)]


def fill_close(book: Book) -> None:
    """Have what closes it filled, where it is not yet."""
    for order in book.orders:
        if order.leg == Leg.CLOSE.value and order.status != "FILLED":
            book.hear(fill(order, "10"))


def test_no_more_stops_are_cancelled_than_can_be_followed_by_closes(
    held: list[Book], thread: CloseThread, broker: FakeBroker
) -> None:
    sweep(thread, held)
    assert cancelled(held, broker) == [0, 1, 2, 3]
    # However often it is asked for again
    sweep(thread, held)
    assert (cancelled(held, broker), closed(held)) == ([0, 1, 2, 3], [])
    # When two of the stops are gone, those two are closed
    for book in held[:2]:
        book.hear(told(book.stop, T.CANCELLED))
        thread.wake(book.execution_id)
    thread._work()
    assert (cancelled(held, broker), closed(held)) == ([0, 1, 2, 3], [0, 1])
    # And when one of them is, another follows: a market that fills nothing takes no more stops away
    sweep(thread, held)
    assert cancelled(held, broker) == [0, 1, 2, 3]
    fill_close(held[0])
    thread._work()
    assert cancelled(held, broker) == [0, 1, 2, 3, 4]


def test_all_are_closed_in_the_end(held: list[Book], thread: CloseThread, broker: FakeBroker) -> None:
    for _ in range(COUNT):
        sweep(thread, held)
        bare = closed_bare(book.execution_id for book in held)
        assert len(bare) <= UNDER_WAY_MAX
        for book in held:
            if book.stop.order_id in broker.cancelled and book.stop.status == "HELD":
                book.hear(told(book.stop, T.CANCELLED))
                thread.wake(book.execution_id)
        thread._work()
        for number in closed(held):
            fill_close(held[number])
    sweep(thread, held)
    assert {book.execution.status for book in held} == {"CLOSED"}
    assert (cancelled(held, broker), closed(held)) == ([*range(COUNT)], [*range(COUNT)])


def test_after_a_restart_what_is_bare_goes_before_the_next_cancel(
    held: list[Book], thread: CloseThread, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a worker that ended with stops cancelled whose end was told to nobody who closes
    sweep(thread, held)
    for book in held[:UNDER_WAY_MAX]:
        book.hear(told(book.stop, T.CANCELLED))
    # When another one sweeps, these are closed before it cancels any
    closes_before: list[int] = []
    cancel = broker.cancel_order
    monkeypatch.setattr(broker, "cancel_order", lambda pk: (closes_before.append(len(broker.singles)), cancel(pk)))
    sweep(CloseThread(broker=broker, on_doubt=lambda: None), held)
    assert closed(held) == [*range(UNDER_WAY_MAX)]
    for book in held[:UNDER_WAY_MAX]:
        fill_close(book)
    sweep(CloseThread(broker=broker, on_doubt=lambda: None), held)
    assert closes_before == [UNDER_WAY_MAX] * UNDER_WAY_MAX
    assert cancelled(held, broker) == [*range(2 * UNDER_WAY_MAX)]


def test_while_the_line_is_away_no_further_stop_is_cancelled(
    held: list[Book], thread: CloseThread, broker: FakeBroker
) -> None:
    sweep(thread, held)
    for book in held[:UNDER_WAY_MAX]:
        book.hear(told(book.stop, T.CANCELLED))
    # Given closing orders that cannot leave
    broker.place_order_fails = NotConnected("The connection is away.")
    for _ in range(3):
        sweep(thread, held)
    assert (cancelled(held, broker), closed(held)) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert {order.status for book in held for order in book.orders if order.leg == Leg.CLOSE.value} == {"CREATED"}
    # When they can, they do, and the next follow
    broker.place_order_fails = None
    sweep(thread, held)
    assert [int(ticket.quantity) for ticket in broker.singles] == [10] * UNDER_WAY_MAX
    for book in held[:UNDER_WAY_MAX]:
        fill_close(book)
    sweep(thread, held)
    assert cancelled(held, broker) == [*range(2 * UNDER_WAY_MAX)]


def test_what_cannot_be_closed_keeps_the_rest_waiting_for_seconds_only(
    held: list[Book], thread: CloseThread, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given bare positions that the account does not show any more
    sweep(thread, held)
    for book in held[:UNDER_WAY_MAX]:
        book.hear(told(book.stop, T.CANCELLED))
    monkeypatch.setattr(
        "app.executions.services.flatten.exposure_doubts",
        lambda **asked: frozenset(one.pk for one in asked["executions"]) & {book.execution_id for book in held[:4]},
    )
    sweep(thread, held)
    assert (cancelled(held, broker), closed(held)) == ([0, 1, 2, 3], [])
    # When that has lasted, the others are closed without them
    thread._under_way = {pk: since - UNDER_WAY_SECONDS_MAX for pk, since in thread._under_way.items()}
    sweep(thread, held)
    assert (cancelled(held, broker), closed(held)) == ([*range(8)], [])


def test_who_lost_their_stops_while_they_waited_are_closed_at_once_by_few_questions(
    held: list[Book], thread: CloseThread, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.executions.services.flatten.ANSWER_GOOD_SECONDS", 60.0)  # However slow the machine is.
    for book in held:
        book.hear(told(book.stop, T.CANCELLED))
        thread.wake(book.execution_id)
    thread._work()
    assert closed(held) == [*range(COUNT)]
    # One for each few whose turn it is: about many it would not be answered in time
    assert broker.questions.count("positions") == 3


@pytest.mark.parametrize("broken", ["closed_bare", "closing_ask"])
def test_a_fault_of_ours_ends_neither_the_thread_nor_the_bound(
    held: list[Book], thread: CloseThread, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(f"app.worker.close_thread.{broken}", fail)
    sweep(thread, held)
    sweep(thread, held)
    assert cancelled(held, broker) == [0, 1, 2, 3]


@pytest.mark.case("T63")
def test_a_closing_that_has_begun_is_ended_before_another_begins(
    submitted: Submitted, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given many that are bare, and steps of which each wakes whom it was taken for
    steps: list[int] = []
    thread = CloseThread(broker=broker, on_doubt=lambda: None)

    def step(execution_id: int, **_: object) -> bool:
        steps.append(execution_id)
        if steps.count(execution_id) < 3:
            thread.wake(execution_id)
        return False

    monkeypatch.setattr(close_thread.flatten_waits, "step", step)
    monkeypatch.setattr(thread, "_ask", lambda _turn: None)
    for execution_id in (1, 2, 3):
        thread.wake(execution_id)
    thread._work()
    assert steps == [1, 1, 1, 2, 2, 2, 3, 3, 3]
