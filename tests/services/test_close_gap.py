"""For how long shares were without a stop while they were closed: a person reads it, with the closing deal."""

from collections.abc import Callable
from typing import Any

import pytest

from app.domain.broker_events import AnyBrokerEvent, ToldStatus
from app.domain.terms import Leg
from app.executions.models import Decision
from app.executions.services.apply import broker_event_record
from app.executions.services.close_gap import CLOSED_BARE
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
