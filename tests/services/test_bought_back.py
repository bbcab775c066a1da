"""What was closed too much, and somebody bought or sold back in TWS: it ends on the right side of zero."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import ToldStatus
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World, open_position, position

pytestmark = pytest.mark.django_db

T = ToldStatus


def with_target(submitted: Callable[..., Book], world: World) -> Book:
    """Ten shares with a stop and a target at work, in an account that held nothing before."""
    world.holds(0)
    world.reconcile()
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal(1)}])
    open_position(book, world.broker)
    book.hear(told(book.target, T.SUBMITTED))
    return book


@pytest.mark.parametrize(("bought", "left"), [(10, 0), (4, -6)])
def test_a_short_that_exits_opened_is_over_when_somebody_buys_it_back(
    submitted: Callable[..., Book], world: World, bought: int, left: int
) -> None:
    # Given ten shares that stop and target both have sold in one tick
    book = with_target(submitted, world)
    for order in (book.stop, book.target):
        book.hear(fill(order, "10", exec_id=f"0000e0d6.{order.pk:08x}.01.01"))
    world.broker.open_book = []
    world.holds(-10)
    world.reconcile(after=60)
    assert book.execution.open_quantity == -10
    # When somebody who saw the alert buys in TWS
    world.deal_of_others(bought)
    world.holds(bought - 10)
    world.reconcile()
    world.reconcile(after=10)
    # Then so many fewer were closed too much, and not so many more
    assert book.execution.open_quantity == left
    assert execution_replay(book.execution_id) == []
    assert (book.execution.status == "CLOSED") is (left == 0)


@pytest.mark.case("T66")
def test_what_others_closed_beside_an_exit_of_what_was_closed_too_much_is_closed_once_more(
    submitted: Callable[..., Book], world: World
) -> None:
    # Given ten shares, of which somebody sold three while the target worked on
    book = with_target(submitted, world)
    world.deal_of_others(-3)
    world.holds(7)
    world.reconcile()
    assert book.execution.open_quantity == 7
    # When the target closes all ten, and somebody sold two more in that moment
    world.deal_of_others(-2)
    now = {"executed_at": at(world.seconds), "received_at": at(world.seconds)}
    book.hear(fill(book.target, "10", "200", **now))
    world.broker.open_book = []
    world.holds(-5)
    world.reconcile(after=11)
    world.reconcile(after=11)
    # Then five were closed too much: none of them came back
    assert book.execution.open_quantity == -5
    assert position().others == 0
    assert execution_replay(book.execution_id) == []
