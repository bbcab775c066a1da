"""An order that a person asked for is sent only where the account is as that person saw it, asked once more."""

import pytest

from app.executions.models import Order
from app.executions.services.resolve_facts import Act
from tests.services.book import Book
from tests.services.heard import at, fill
from tests.services.test_resolve_stops import resolve, sent
from tests.services.world import World, position, stop_gone

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(held: Book, world: World) -> Book:
    """Ten bare shares, and a stop for them that a person asked for."""
    stop_gone(held, world.broker)
    world.reconcile()
    resolve(held, world, Act.PROTECT, stop_price="184")
    return held


def protect(book: Book) -> Order:
    return book.orders[-1]


def test_it_is_sent_where_the_account_is_as_it_was_seen(asked: Book, world: World) -> None:
    assert sent(asked, world) == [(10, 184)]


def test_it_is_not_sent_where_the_broker_tells_a_deal_of_others(asked: Book, world: World) -> None:
    # Given shares that somebody has just sold in TWS, while the position report does not know it yet
    world.deal_of_others(-10, recorded=False)
    # Then no stop is sent that would open a position, and whoever asked for it is told
    assert sent(asked, world) == []
    assert protect(asked).status == "NOT_PLACED"
    assert "what was asked for is not sent, somebody else has traded it meanwhile; look again" in (
        asked.execution.attention
    )


def test_it_is_not_sent_where_as_much_is_held_and_not_all_of_it_is_ours(asked: Book, world: World) -> None:
    # Given a deal of others that is stored and not judged yet: what is held is what it was, by the report
    world.deal_of_others(-10)
    assert sent(asked, world) == []
    assert "the account holds 10 by now, and our books say 20" in asked.execution.attention


def test_our_own_deal_that_the_position_does_not_know_yet_is_no_doubt(held: Book, world: World) -> None:
    # Given a stop of six of ten shares, of which the position report lags the last deal of ours
    stop_gone(held, world.broker)
    world.reconcile()
    resolve(held, world, Act.PROTECT, stop_price="184", quantity="6")
    held.hear(fill(held.stop, "4", "185", received_at=at(world.seconds)), seconds=world.seconds)
    assert held.execution.open_quantity == 6
    assert sent(held, world) == [(6, 184)]


def test_a_difference_that_the_person_saw_does_not_hold_it_back(held: Book, world: World) -> None:
    # Given four of ten shares that nobody can explain to be gone
    stop_gone(held, world.broker)
    world.holds(6)
    world.reconcile(after=1)
    world.reconcile(after=10)
    assert position().disputed == -4
    # When a person has the rest protected
    resolve(held, world, Act.PROTECT, stop_price="184")
    # Then that is sent
    assert sent(held, world) == [(6, 184)]
