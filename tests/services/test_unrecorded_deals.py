"""A deal of an exit that the broker tells and our rows do not have yet: what was decided without it is not sent."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from app.core.errors import RetryLater
from app.domain.broker_events import ToldStatus
from app.executions.models import Actor
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import APPLE, World, open_position, stop_gone

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


def held_under_target(submitted: Submitted, world: World) -> Book:
    world.holds(0)
    world.reconcile()
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal(1)}])
    open_position(book, world.broker)
    book.hear(told(book.target, T.SUBMITTED))
    world.broker.holds(told(book.target, T.SUBMITTED))
    world.holds(10)
    world.reconcile(after=60)
    return book


def target_closes_four_unheard(book: Book, world: World) -> None:
    deal = fill(book.target, "4", "200", exec_id="0000e0d5.000000aa.01.01")
    world.broker.deals.append(replace(deal, con_id=APPLE))
    world.holds(6)


def test_a_stop_is_not_placed_for_shares_that_the_target_has_just_closed(submitted: Submitted, world: World) -> None:
    # Given ten shares whose stop was cancelled by hand while the target closed four, which nobody has recorded yet
    book = held_under_target(submitted, world)
    stop_gone(book, world.broker)
    target_closes_four_unheard(book, world)
    # When the guard looks, it asks, and sends nothing for ten
    assert world.look(book, after=1) is True
    assert world.broker.singles == []
    # Then, once the deal is recorded, a stop for the six
    book.hear(world.broker.deals[-1])
    world.look(book, after=0.2)
    assert [ticket.quantity for ticket in world.broker.singles] == [6]


def test_a_close_waits_for_a_deal_of_an_exit(submitted: Submitted, world: World) -> None:
    book = held_under_target(submitted, world)
    stop_gone(book, world.broker)
    book.hear(told(book.target, T.CANCELLED, filled="0"))
    target_closes_four_unheard(book, world)
    execution_flatten_request(
        execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="a test", now=at(200)
    )
    with pytest.raises(RetryLater, match="may not hold"):
        execution_flatten_send(execution_id=book.execution_id, broker=world.broker, now=at(201))
    assert world.broker.singles == []


def test_a_deal_of_the_entry_holds_up_no_stop(submitted: Submitted, world: World) -> None:
    # More is held than our rows know: what they know of is to be protected now.
    world.holds(0)
    world.reconcile()
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "6"))
    world.broker.deals.append(replace(fill(book.entry, "4", exec_id="0000e0d5.000000bb.01.01"), con_id=APPLE))
    world.holds(10)
    stop_gone(book, world.broker)
    world.look(book, after=1)
    assert [ticket.quantity for ticket in world.broker.singles] == [6]
