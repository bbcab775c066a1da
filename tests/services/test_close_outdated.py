"""A close that was written down and not sent, while shares went elsewhere: it never closes more than is held."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.brokers.errors import NotConnected
from app.core.errors import Conflict
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.models import Order
from app.executions.services.commands_send import order_send
from app.executions.services.flatten import execution_flatten_send
from app.executions.services.guard_orders import protect_create
from app.executions.services.guard_watch import ANSWER_SECONDS
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, told

pytestmark = [pytest.mark.django_db, pytest.mark.case("T38")]

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def unsent(submitted: Submitted, broker: FakeBroker) -> Book:
    """Ten shares to be closed, whose CLOSE was written down when the connection broke."""
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.stop, T.CANCELLED))
    kill_switch_engage(account=None, user=None, reason="news", flatten=True, now=at(30))
    broker.place_order_fails = NotConnected("away")
    with pytest.raises(NotConnected):
        execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(31))
    broker.place_order_fails = None
    assert closes(book) == [("CREATED", 10)]
    return book


def closes(book: Book) -> list[tuple[str, int]]:
    return [(order.status, int(order.quantity)) for order in book.orders if order.leg == Leg.CLOSE.value]


def test_what_went_elsewhere_meanwhile_is_not_closed_once_more(unsent: Book, broker: FakeBroker) -> None:
    # When the stop turns out to have sold 4 before it ended
    unsent.hear(fill(unsent.stop, "4", "185"))
    for number in range(3):
        execution_flatten_send(execution_id=unsent.execution_id, broker=broker, now=at(40 + number))
    # Then a new close is written down for the rest, and the first one is never sent
    assert [int(ticket.quantity) for ticket in broker.singles] == [6]
    assert closes(unsent) == [("NOT_PLACED", 10), ("SENT", 6)]
    assert execution_replay(unsent.execution_id) == []


def test_an_unsent_close_ends_with_the_position(unsent: Book, broker: FakeBroker) -> None:
    unsent.hear(fill(unsent.stop, "10", "185"))
    guard = Guard(broker)
    for _ in range(2):
        guard.look(unsent, after=ANSWER_SECONDS)
    assert (closes(unsent), broker.singles) == ([("NOT_PLACED", 10)], [])
    assert unsent.execution.status == "CLOSED"


def test_the_size_is_compared_once_more_when_its_turn_has_come(unsent: Book, broker: FakeBroker) -> None:
    unsent.hear(fill(unsent.stop, "4", "185"))
    close = Order.objects.get(bracket__execution=unsent.execution_id, leg=Leg.CLOSE.value)
    with pytest.raises(Conflict) as refused:
        order_send(order_pk=close.pk, broker=broker)
    assert (refused.value.code, broker.singles) == ("close_outdated", [])


def test_no_stop_is_sent_beside_a_close_that_may_fill(unsent: Book, broker: FakeBroker) -> None:
    # Given a CLOSE that rests at the broker, and a stop that was written down for the same shares
    execution_flatten_send(execution_id=unsent.execution_id, broker=broker, now=at(40))
    close = unsent.order(Leg.CLOSE)
    unsent.hear(told(close, T.PRE_SUBMITTED))
    bracket = unsent.brackets[0]
    stop = protect_create(unsent.execution, bracket, quantity=Decimal(10))
    # Then both could close them
    with pytest.raises(Conflict) as refused:
        order_send(order_pk=stop.pk, broker=broker)
    assert refused.value.code == "close_outdated"
    assert [ticket.order_ref for ticket in broker.singles] == [close.order_ref]
