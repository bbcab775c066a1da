"""Shares that an exit of ours and an order of somebody else closed at the same moment: a person is told, once."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from pytest_django import Settings

from app.domain.broker_events import ToldStatus
from app.domain.exposure import closed_twice
from app.executions.models import Decision, ExecutionFlag
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.case("T39")]
OTHER_PROGRAM = 77


def stopped_out(book: Book, world: World, *, holds: int, others: int, before: float = 0, client_id: int = 0) -> None:
    """Have the stop hit, and `others` deal so many shares that many seconds before it."""
    world.seconds -= before
    world.deal_of_others(others, client_id=client_id)
    world.seconds += before
    hit = [fill(book.stop, "10", executed_at=at(world.seconds)), told(book.stop, ToldStatus.FILLED)]
    book.hear(*hit, seconds=world.seconds)
    world.broker.open_book = []
    world.holds(holds)


def flags(book: Book) -> list[tuple[str, str]]:
    return [(flag.code, flag.sentence) for flag in ExecutionFlag.objects.filter(execution=book.execution_id)]


def test_what_both_closed_is_flagged_once_with_the_deals(held: Book, world: World) -> None:
    stopped_out(held, world, holds=-10, others=-10)
    for _ in range(3):
        world.reconcile(after=11)
    sentence = (
        "AAPL: deals that are not ours closed the shares that its exits closed as well "
        f"(SELL 10 at 191, {at(100):%Y-%m-%dT%H:%M:%S} UTC)"
    )
    assert flags(held) == [("closed_twice", sentence)]
    assert held.execution.attention == sentence
    (decision,) = Decision.objects.filter(action="CLOSED_TWICE")
    assert (decision.reason, Decimal(decision.evidence["held"])) == (
        "10 shares were closed twice, within seconds.",
        -10,
    )


@pytest.mark.parametrize(
    ("holds", "others", "before"),
    [
        pytest.param(0, -10, 0, id="others held ten, and sold them"),
        pytest.param(-10, -10, 40, id="somebody went short long before the stop was hit"),
        pytest.param(10, 10, 0, id="somebody bought"),
    ],
)
def test_what_nobody_closed_twice_is_nobodys_business(
    held: Book, world: World, holds: int, others: int, before: float
) -> None:
    stopped_out(held, world, holds=holds, others=others, before=before)
    world.reconcile(after=11)
    world.reconcile(after=11)
    assert [code for code, _ in flags(held) if code == "closed_twice"] == []


def test_another_program_that_is_known_may_go_short_at_any_moment(held: Book, world: World, settings: Settings) -> None:
    settings.OTHERS_CLIENT_IDS = [OTHER_PROGRAM]
    stopped_out(held, world, holds=-10, others=-10, client_id=OTHER_PROGRAM)
    world.reconcile(after=11)
    assert flags(held) == []


@pytest.mark.parametrize(
    ("held", "exits", "deals", "twice"),
    [
        (-10, -10, [-10], 10),
        (-4, -10, [-4], 4),
        (-3, -10, [-10], 3),  # others held seven
        (-12, -10, [-10], 0),  # somebody was short by two before
        (10, 10, [10], 10),  # a short position
        (-10, -10, [10], 0),
        (-10, -10, [], 0),
        (0, -10, [-10], 0),
        (10, -10, [-10], 0),
        (-10, -10, [-15, 5], 10),
    ],
)
def test_how_many_shares_were_closed_twice(held: int, exits: int, deals: Sequence[int], twice: int) -> None:
    found = closed_twice(held=Decimal(held), exits=Decimal(exits), deals=[Decimal(deal) for deal in deals])
    assert found == twice
