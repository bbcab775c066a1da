"""A tranche that closed too much closed what the others held: no exit of theirs, and no close, goes beyond the rest."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from app.core.errors import Conflict
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.models import Order, open_quantity_of
from app.executions.services.close_request import CloseAsked, execution_close_request
from app.executions.services.flatten import execution_flatten_send
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def oversold(submitted: Submitted) -> Book:
    """Tranches of 4 and 6, the first one closed by its stop and by its target: it closed 4 too much, 2 are held."""
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal("0.4")}])
    for order in book.orders:
        book.hear(told(order, T.SUBMITTED))
    for order in book.orders:
        if order.leg == Leg.ENTRY.value:
            book.hear(fill(order, str(order.quantity.normalize())))
    book.hear(fill(book.target, "4", "200"), fill(book.stop, "4", "185"))
    assert (book.execution.open_quantity, opens(book)) == (2, [-4, 6])
    return book


def opens(book: Book) -> list[Decimal]:
    """Return how many shares each tranche holds."""
    return [open_quantity_of(Order.objects.filter(bracket=bracket)) for bracket in book.brackets]


def close(book: Book, user: User) -> None:
    asked = CloseAsked(fraction=Decimal(1))
    execution_close_request(execution_id=book.execution_id, asked=asked, user=user, idempotency_key="key", now=at(30))


@pytest.mark.parametrize("by", ["kill switch", "person"])
def test_no_more_is_closed_than_the_execution_holds(oversold: Book, broker: FakeBroker, analyst: User, by: str) -> None:
    if by == "person":
        close(oversold, analyst)
    else:
        kill_switch_engage(account=None, user=None, reason="news", flatten=True, now=at(30))
    # When the stop of the second tranche has gone first
    execution_flatten_send(execution_id=oversold.execution_id, broker=broker, now=at(31))
    stop = oversold.order(Leg.STOP_LOSS, tranche=2)
    assert broker.cancelled == [stop.order_id]
    oversold.hear(told(stop, T.CANCELLED), seconds=32)
    execution_flatten_send(execution_id=oversold.execution_id, broker=broker, now=at(33))
    # Then two shares are sold, and that is all there is
    (ticket,) = broker.singles
    assert (ticket.action, ticket.quantity) == ("SELL", 2)
    oversold.hear(fill(oversold.order(Leg.CLOSE, tranche=2), "2"), seconds=34)
    assert (oversold.execution.status, opens(oversold)) == ("CLOSED", [0, 0])
    assert Guard(broker).look(oversold, after=60) == 0
    assert execution_replay(oversold.execution_id) == []


def test_a_stop_is_cut_to_what_the_execution_holds(oversold: Book, broker: FakeBroker) -> None:
    guard = Guard(broker)
    for _ in range(5):
        guard.look(oversold, after=4)
    ((order_id, ticket, _parent),) = broker.modified
    assert (order_id, ticket.quantity) == (oversold.order(Leg.STOP_LOSS, tranche=2).order_id, 2)
    assert oversold.execution.attention.splitlines() == [
        "tranche 2: 4 of its shares were closed by the exits of tranche 1, which closed more than it held"
    ]
    assert (oversold.execution.open_quantity, opens(oversold)) == (2, [0, 2])


def test_what_may_be_explained_by_a_deal_that_was_not_told_is_left_as_it_is(
    oversold: Book, broker: FakeBroker, analyst: User
) -> None:
    entry = oversold.order(Leg.ENTRY)
    Order.objects.filter(pk=entry.pk).update(told_filled=entry.filled_quantity + 4)
    guard = Guard(broker)
    for _ in range(4):
        guard.look(oversold, after=4)
    with pytest.raises(Conflict) as refused:
        close(oversold, analyst)
    assert (refused.value.code, opens(oversold)) == ("surplus_first", [-4, 6])
    assert "4 shares more were closed than opened" in oversold.execution.attention
