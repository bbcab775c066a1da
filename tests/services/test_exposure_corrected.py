"""Deals of others that are corrected or busted count as they stand, and what was judged by them is told."""

import pytest
from pytest_django import Settings

from app.alerts.models import Alert
from app.domain.terms import Action
from tests.services.book import Book
from tests.services.world import World, position, stop_gone

pytestmark = [pytest.mark.django_db, pytest.mark.case("T53")]


@pytest.fixture(params=["SHARED", "EXCLUSIVE"], autouse=True)
def use(request: pytest.FixtureRequest, settings: Settings) -> str:
    settings.ACCOUNT_USE = request.param
    return str(request.param)


def judged(world: World) -> None:
    for _ in range(3):
        world.reconcile(after=11)


def test_a_sale_that_was_corrected_before_anybody_judged_it_counts_once(held: Book, world: World) -> None:
    sold = world.deal_of_others(-6)
    world.deal_of_others(-3, corrects=sold)
    world.holds(7)
    judged(world)
    assert (held.execution.open_quantity, position().others, position().in_doubt) == (7, 0, False)
    (said,) = held.execution.flags.filter(code="closed_elsewhere").values_list("sentence", flat=True)
    assert said.startswith("tranche 1: 3 shares were closed elsewhere (deals that are not ours: SELL 3 at 191, ")
    assert said.count("SELL") == 1


def test_a_sale_that_was_busted_before_anybody_judged_it_is_none(held: Book, world: World) -> None:
    world.deal_of_others(-2)
    sold = world.deal_of_others(-3)
    world.deal_of_others(0, corrects=sold, action=Action.SELL)
    world.holds(8)
    judged(world)
    assert (held.execution.open_quantity, position().others, position().in_doubt) == (8, 0, False)


def test_a_sale_that_is_busted_once_the_execution_has_ended_by_it_is_told(held: Book, world: World) -> None:
    # Given ten shares that were sold by hand, and an execution that has ended by that
    sold = world.deal_of_others(-10)
    world.holds(0)
    judged(world)
    stop_gone(held, world.broker)
    assert (held.execution.open_quantity, held.execution.status) == (0, "CLOSED")
    # When the sale turns out to be none, ten shares are there without a stop
    world.deal_of_others(0, corrects=sold, action=Action.SELL)
    world.holds(10)
    judged(world)
    # Then a person is told, and nobody takes them for others'
    assert position().others == 0
    told = held.execution.flags.filter(code="position_differs", resolved_at=None).get().sentence
    holds, _, why = told.partition(", and ")
    assert holds == "AAPL: the account holds 10, 0 were expected (0 of them others')"
    assert why.startswith("a deal that was taken into account already was corrected (SELL 0 at 191, ")
    assert Alert.objects.filter(kind="position_drift", resolved_at=None).exists()


def test_a_correction_of_the_price_alone_changes_nothing(held: Book, world: World) -> None:
    sold = world.deal_of_others(-4)
    world.holds(6)
    judged(world)
    world.deal_of_others(-4, corrects=sold)
    judged(world)
    assert (held.execution.open_quantity, position().others, position().in_doubt) == (6, 0, False)
    assert not Alert.objects.filter(kind="position_drift", resolved_at=None).exists()


def test_a_deal_from_before_the_entry_that_is_told_late_closes_nothing_that_the_account_shows(
    held: Book, world: World, settings: Settings
) -> None:
    settings.ACCOUNT_USE = "EXCLUSIVE"
    # Given a sale of shares that no execution claimed, told late, and a part of ours sold since
    world.deal_of_others(-10)
    world.deal_of_others(-2)
    world.holds(8)
    judged(world)
    assert (held.execution.open_quantity, position().others, position().in_doubt) == (8, 0, False)
    # What the account does not show is closed, whatever the deals say
    world.deal_of_others(-10)
    world.holds(0)
    judged(world)
    assert held.execution.open_quantity == 0
