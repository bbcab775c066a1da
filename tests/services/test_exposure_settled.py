"""Differences between the account and our books that a person settles."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from app.core.errors import FixRequest
from app.domain.broker_events import ToldStatus
from app.executions.models import Decision
from app.executions.services.resolve import execution_resolve
from app.executions.services.resolve_facts import Act, Asked
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World, position, stop_gone

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
OTHER_PROGRAM = 77


def unexplained(world: World, *, holds: int) -> None:
    world.holds(holds)
    world.reconcile(after=1)
    world.reconcile(after=10)
    assert position().unexplained


def test_a_person_says_that_it_was_closed_elsewhere(held: Book, world: World, analyst: User) -> None:
    unexplained(world, holds=4)
    seen = execution_resolve(
        execution_id=held.execution_id,
        asked=Asked(act=Act.CLOSED_ELSEWHERE),
        user=analyst,
        now=at(world.seconds),
        dry_run=True,
    )
    assert (seen.difference, seen.open_before, seen.open_after) == (-6, 10, 4)
    assert held.execution.open_quantity == 10
    execution_resolve(
        execution_id=held.execution_id,
        asked=Asked(act=Act.CLOSED_ELSEWHERE, difference=seen.difference),
        user=analyst,
        now=at(world.seconds),
        facts=seen.facts,
    )
    assert held.execution.open_quantity == 4
    assert world.reconcile(after=30) == []
    assert position().in_doubt is False
    decision = Decision.objects.get(action="CLOSED_ELSEWHERE")
    assert (decision.user, decision.actor, decision.evidence["open_after"]) == (analyst, "PERSON", "4.0000")


@pytest.mark.case("T59")
def test_what_a_person_settles_in_part_leaves_the_rest_in_doubt(held: Book, world: World, analyst: User) -> None:
    unexplained(world, holds=4)
    asked = Asked(act=Act.CLOSED_ELSEWHERE, quantity=Decimal(2))
    execution_resolve(execution_id=held.execution_id, asked=asked, user=analyst, now=at(world.seconds))
    assert (held.execution.open_quantity, position().unexplained, position().in_doubt) == (8, -4, True)
    # Then the rest of it can be settled at once, and nothing is left
    asked = Asked(act=Act.CLOSED_ELSEWHERE)
    rest = execution_resolve(execution_id=held.execution_id, asked=asked, user=analyst, now=at(world.seconds))
    assert (rest.difference, rest.open_after) == (-4, 4)
    assert (position().unexplained, position().in_doubt) == (0, False)
    assert world.reconcile(after=30) == []


def test_a_person_says_that_it_is_not_ours_and_the_guard_goes_on(held: Book, world: World, analyst: User) -> None:
    stop_gone(held, world.broker)
    unexplained(world, holds=20)
    asked = Asked(act=Act.NOT_OURS)
    execution_resolve(execution_id=held.execution_id, asked=asked, user=analyst, now=at(world.seconds))
    assert (position().others, held.execution.open_quantity) == (10, 10)
    world.look(held, after=5)
    assert [ticket.quantity for ticket in world.broker.singles] == [10]


@pytest.mark.parametrize(
    ("holds", "act", "asked", "code"),
    [
        (10, Act.NOT_OURS, {}, "position_agrees"),
        (20, Act.CLOSED_ELSEWHERE, {}, "nothing_missing"),
        (4, Act.CLOSED_ELSEWHERE, {"quantity": Decimal(7)}, "quantity_too_large"),
        (4, Act.CLOSED_ELSEWHERE, {"quantity": Decimal(-1)}, "quantity_too_large"),
        (4, Act.NOT_OURS, {"difference": Decimal(-5)}, "facts_changed"),
    ],
)
def test_what_cannot_be_settled_so_is_refused(
    held: Book, world: World, analyst: User, holds: int, act: Act, asked: dict[str, Decimal], code: str
) -> None:
    world.holds(holds)
    world.reconcile(after=1)
    wanted = Asked(act=act, **asked)
    with pytest.raises(FixRequest) as refused:
        execution_resolve(execution_id=held.execution_id, asked=wanted, user=analyst, now=at(world.seconds))
    assert refused.value.code == code
    assert (held.execution.open_quantity, position().others) == (10, 0)


def test_the_first_shares_of_an_empty_account_are_ours_and_nobody_elses(submitted: Submitted, world: World) -> None:
    # Given an account that was looked at while it was empty
    world.broker.positions_book = []
    world.reconcile()
    # When its first shares are sold in TWS before it is looked at again
    book = submitted()
    world.seconds += 1
    events = (told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    book.hear(*events, seconds=world.seconds)
    world.broker.holds(told(book.stop, T.PRE_SUBMITTED))
    world.deal_of_others(-10)
    world.reconcile(after=1)
    # Then the deal that was told is what explains it, also within the seconds in which a report may lag
    assert position().in_doubt is True
    world.reconcile(after=10)
    assert book.execution.exit_reason or book.execution.open_quantity == 0
