"""For how long shares were without a stop while they were closed: a person reads it, with the closing deal."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from app.domain.broker_events import AnyBrokerEvent, ToldStatus
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg
from app.executions.models import Decision, Order
from app.executions.services.apply import broker_event_record
from app.executions.services.close_gap import CLOSED_BARE
from app.executions.services.guard_orders import protect_create
from app.executions.services.record import broker_events_record
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told
from tests.services.test_close_roads import ask, echo, held, step

pytestmark = pytest.mark.django_db
T = ToldStatus
Submitted = Callable[..., Book]
Hear = Callable[..., object]


def one_by_one(*events: AnyBrokerEvent) -> None:
    for event in events:
        broker_event_record(event, now=at(40))


def together(*events: AnyBrokerEvent) -> None:
    broker_events_record(events, now=at(40))


def gaps(book: Book) -> list[Decision]:
    return list(Decision.objects.filter(execution=book.execution, action=CLOSED_BARE))


@pytest.fixture
def closing(submitted: Submitted, broker: FakeBroker) -> Book:
    """A lone stop that was cancelled and told so at 31.5 s, and the CLOSE that followed it."""
    book = held(submitted(), group="")
    ask(book)
    step(book, broker, seconds=31)
    book.hear(told(book.stop, T.CANCELLED, received_at=at(31.5)))
    step(book, broker, seconds=31.6)
    return book


@pytest.mark.parametrize("hear", [one_by_one, together])
def test_the_gap_of_a_lone_stop_is_told_once(closing: Book, hear: Hear) -> None:
    close = closing.order(Leg.CLOSE)
    # While it is filled in part nothing is told yet
    hear(told(close, T.SUBMITTED), fill(close, "4", received_at=at(31.75)))
    assert gaps(closing) == []
    hear(fill(close, "6", exec_id="0000e0d5.00000001.01.01", received_at=at(32)), told(close, T.FILLED))
    (gap,) = gaps(closing)
    assert gap.reason == "10 shares had no stop for 0.50 s while they were closed."
    assert (gap.order_id, gap.evidence["seconds"]) == (close.pk, 0.5)
    assert gap.evidence["stops"] == [{"order_ref": closing.stop.order_ref, "status": "CANCELLED"}]
    # And not again by a correction; and a replay changes nothing
    hear(fill(close, "6", exec_id="0000e0d5.00000001.01.02", received_at=at(35)))
    assert gaps(closing) == [gap]
    assert execution_replay(closing.execution_id) == []


def test_where_the_stop_was_there_until_the_end_nothing_is_told(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted(), group="exits")
    ask(book)
    step(book, broker, seconds=31)
    close: Any = book.order(Leg.CLOSE)
    book.hear(echo(close, T.SUBMITTED, group="exits"), fill(close, "10", received_at=at(32)))
    book.hear(told(book.stop, T.CANCELLED, received_at=at(32.1)))
    assert gaps(book) == []


def stop_of_the_guard(book: Book, status: OrderStatus, *, ended: float | None) -> None:
    """Write down another stop of the same shares, sent unless its status says that it never was."""
    order = protect_create(book.execution, book.brackets[0], quantity=Decimal(10))
    sent = {} if status is OrderStatus.NOT_PLACED else {"sent_at": at(31), "order_id": 900, "client_id": 1}
    finished_at = None if ended is None else at(ended)
    Order.objects.filter(pk=order.pk).update(status=status.value, finished_at=finished_at, **sent)


@pytest.mark.parametrize(("status", "seconds"), [(OrderStatus.CANCELLED, 0.25), (OrderStatus.NOT_PLACED, 0.5)])
def test_the_gap_begins_when_the_last_stop_that_was_sent_ended(
    closing: Book, status: OrderStatus, seconds: float
) -> None:
    # Given another stop of these shares, which ended a quarter of a second later
    stop_of_the_guard(closing, status, ended=31.75)
    closing.hear(fill(closing.order(Leg.CLOSE), "10", received_at=at(32)))
    assert [gap.evidence["seconds"] for gap in gaps(closing)] == [seconds]


@pytest.mark.parametrize(
    ("status", "ended"), [(OrderStatus.WORKING, None), (OrderStatus.CANCELLED, 33)], ids=["at work", "until later"]
)
def test_where_another_stop_was_there_until_the_end_nothing_is_told(
    closing: Book, status: OrderStatus, ended: float | None
) -> None:
    stop_of_the_guard(closing, status, ended=ended)
    closing.hear(fill(closing.order(Leg.CLOSE), "10", received_at=at(32)))
    assert gaps(closing) == []


def test_only_a_close_is_told_to_have_left_shares_without_a_stop(submitted: Submitted) -> None:
    # A target that fills after the stop was lost is the guard's affair, and is told as that
    book = held(submitted(take_profits=[{"price": Decimal(200)}]))
    book.hear(told(book.stop, T.CANCELLED, received_at=at(31.5)), fill(book.target, "10", received_at=at(32)))
    book.hear(told(book.target, T.FILLED))
    assert gaps(book) == []
