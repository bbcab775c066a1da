"""What deals of others explain is judged by the first answer that tells them, anything else by two."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pytest_django import Settings

from app.accounts.models import Position
from app.domain.broker_events import ToldStatus
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World, open_position, position, stop_gone

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.mark.case("T2")
def test_what_deals_of_others_explain_is_judged_by_the_first_answer_that_tells_them(held: Book, world: World) -> None:
    # Given shares that somebody sold in TWS, whose stop still works
    world.deal_of_others(-6)
    world.holds(4)
    (judged,) = world.reconcile()
    assert judged.endswith("CLOSED_ELSEWHERE")
    assert held.execution.open_quantity == 4
    # Then the stop is cut as soon as the guard has looked twice
    world.look(held, after=1)
    world.look(held, after=1)
    resized = [(order_id, ticket.quantity) for order_id, ticket, _parent in world.broker.modified]
    assert resized == [(held.stop.order_id, 4)]


@pytest.mark.parametrize(
    ("sold", "holds"),
    [(-10, 10), (-10, 4), (-6, 0), (0, 0)],
    ids=["not reported yet", "reported in part", "more is gone", "no deal told"],
)
def test_two_answers_that_are_close_together_settle_nothing_that_deals_do_not_explain(
    held: Book, world: World, sold: int, holds: int
) -> None:
    if sold:
        world.deal_of_others(sold)
    world.holds(holds)
    assert [world.reconcile(), world.reconcile(after=9)] == [[], []]
    assert held.execution.open_quantity == 10


def test_what_was_sold_and_bought_back_by_hand_is_nothing(held: Book, world: World) -> None:
    world.deal_of_others(-6)
    world.deal_of_others(6)
    world.holds(10)
    assert [world.reconcile(), world.reconcile(after=11), world.reconcile(after=11)] == [[], [], []]
    assert (held.execution.open_quantity, position().others) == (10, 0)


@pytest.mark.case("T2")
def test_beside_a_young_deal_of_ours_a_report_may_know_that_in_place_of_others(
    submitted: Submitted, world: World
) -> None:
    world.holds(0)
    world.reconcile()
    book = submitted()
    open_position(book, world.broker)  # Recorded at the 20th second.
    world.seconds = 25.0
    world.deal_of_others(-10)
    world.holds(0)
    assert world.reconcile() == []
    assert book.execution.open_quantity == 10


@pytest.mark.case("T57")
def test_beside_young_fills_of_ours_what_others_sold_is_judged_at_once_unless_both_cancel_out(
    held: Book, submitted: Submitted, world: World
) -> None:
    # Given ten shares held for long, and an entry of ten more that fills while somebody sells three
    world.seconds = 40.0
    young = submitted()
    young.hear(told(young.entry, T.SUBMITTED), told(young.stop, T.PRE_SUBMITTED))
    young.hear(fill(young.entry, "10"), seconds=40.0)
    world.broker.holds(told(held.stop, T.PRE_SUBMITTED), told(young.stop, T.PRE_SUBMITTED))
    world.deal_of_others(-3)
    world.holds(17)
    (judged,) = world.reconcile(after=1)
    assert judged.endswith("CLOSED_ELSEWHERE")
    assert [book.execution.open_quantity for book in (held, young)] == [10, 7]


@pytest.mark.case("T57")
def test_who_sells_share_after_share_beside_fills_of_ours_is_judged_within_the_time_of_one_doubt(
    held: Book, submitted: Submitted, world: World
) -> None:
    world.seconds = 40.0
    # Given a deal of ours of the size of each of theirs, all the time: what is told may not be reported yet
    young = submitted()
    young.hear(told(young.entry, T.SUBMITTED), told(young.stop, T.PRE_SUBMITTED))
    world.broker.holds(told(held.stop, T.PRE_SUBMITTED), told(young.stop, T.PRE_SUBMITTED))
    found: list[str] = []
    for number in range(1, 5):
        young.hear(fill(young.entry, "1"), seconds=world.seconds)
        world.deal_of_others(-1)
        world.holds(10)
        found += world.reconcile(after=0.5)
        assert position().in_doubt is (not found), number
        world.seconds += 3.5
    assert [sentence.rpartition(": ")[2] for sentence in found] == ["CLOSED_ELSEWHERE"]
    assert held.execution.open_quantity + young.execution.open_quantity == 10


@pytest.mark.case("T58")
@pytest.mark.parametrize("young", [False, True], ids=["", "beside a young deal of ours"])
@pytest.mark.parametrize("between", [0, 12])
def test_what_somebody_sells_of_ours_is_found_though_another_program_buys_as_many(
    held: Book, submitted: Submitted, world: World, settings: Settings, between: int, *, young: bool
) -> None:
    settings.OTHERS_CLIENT_IDS = [77]
    world.seconds = 60.0
    if young:
        other = submitted()
        other.hear(told(other.entry, T.SUBMITTED), told(other.stop, T.PRE_SUBMITTED))
        other.hear(fill(other.entry, "10"), seconds=60.0)
        world.broker.holds(told(held.stop, T.PRE_SUBMITTED), told(other.stop, T.PRE_SUBMITTED))
    world.deal_of_others(-10)
    world.deal_of_others(10, client_id=77)
    world.holds(20 if young else 10)
    # Nothing is placed for shares that may be the other program's
    stop_gone(held, world.broker)
    assert world.look(held, after=between) is True
    assert world.broker.singles == []
    (judged,) = world.reconcile(after=1)
    assert judged.endswith("CLOSED_ELSEWHERE")
    assert (position().others, position().in_doubt) == (10, False)
    assert world.reconcile(after=20) == []


@pytest.fixture
def both(held: Book, submitted: Submitted, world: World) -> tuple[Book, Book]:
    """Ten shares long and ten short, side by side: the account holds none."""
    short = submitted(side="SHORT", stop_price=Decimal(195))
    open_position(short, world.broker)
    world.holds(0)
    world.seconds = 40.0
    assert world.reconcile() == []
    return held, short


@pytest.mark.case("T52")
def test_a_long_and_a_short_that_somebody_closed_in_tws_are_both_closed_though_the_account_holds_what_it_held(
    both: tuple[Book, Book], world: World
) -> None:
    world.deal_of_others(-10)
    world.deal_of_others(10)
    # Until it is judged, nothing is placed for either
    stop_gone(both[0], world.broker)
    assert world.look(both[0], after=1) is True
    assert world.broker.singles == []
    (judged,) = world.reconcile(after=20)
    assert judged.endswith("CLOSED_ELSEWHERE")
    assert [book.execution.open_quantity for book in both] == [0, 0]
    assert both[0].execution.exit_reason == "EXTERNAL"
    assert (position().others, position().in_doubt) == (0, False)


@pytest.mark.parametrize("another_program", [False, True])
def test_what_others_who_hold_shares_sell_and_buy_back_closes_neither_side(
    submitted: Submitted, world: World, settings: Settings, *, another_program: bool
) -> None:
    settings.OTHERS_CLIENT_IDS = [77]
    # Given a hundred shares of somebody's, and ten of ours on either side
    world.holds(100)
    world.reconcile()
    books = [submitted(), submitted(side="SHORT", stop_price=Decimal(195))]
    for book in books:
        open_position(book, world.broker)
    world.seconds = 40.0
    assert world.reconcile() == []
    world.deal_of_others(-6)
    world.deal_of_others(6)
    if another_program:
        world.deal_of_others(5, client_id=77)
        world.deal_of_others(-5, client_id=77)
    assert [world.reconcile(after=20), world.reconcile(after=20)] == [[], []]
    assert [book.execution.open_quantity for book in books] == [10, 10]
    assert position().others == 100


def test_what_a_named_program_sells_and_buys_back_closes_neither_side(
    both: tuple[Book, Book], world: World, settings: Settings
) -> None:
    settings.OTHERS_CLIENT_IDS = [77]
    world.deal_of_others(-10, client_id=77)
    world.deal_of_others(10, client_id=77)
    assert [world.reconcile(after=20), world.reconcile(after=20)] == [[], []]
    assert [book.execution.open_quantity for book in both] == [10, 10]


@pytest.mark.case("T2")
def test_what_was_sold_before_the_account_was_ever_compared_is_judged_by_the_first_answer(
    submitted: Submitted, world: World
) -> None:
    # Given an account that was looked at before it held anything, and shares that were sold as soon as they were bought
    world.holds(0)
    world.reconcile()
    Position.objects.all().delete()
    book = submitted()
    open_position(book, world.broker)  # Recorded at the 20th second.
    world.seconds = 22.0
    world.deal_of_others(-10)
    world.holds(0)
    (judged,) = world.reconcile(after=20)
    assert judged.endswith("CLOSED_ELSEWHERE")
    assert (book.execution.open_quantity, position().others) == (0, 0)


@pytest.mark.case("T62")
def test_a_sale_is_booked_on_what_was_held_when_it_was_made(held: Book, submitted: Submitted, world: World) -> None:
    # Given somebody who sells what one execution holds, before another one's entry fills
    world.deal_of_others(-10)
    young = submitted()
    young.hear(told(young.entry, T.SUBMITTED), told(young.stop, T.PRE_SUBMITTED))
    young.hear(fill(young.entry, "10", executed_at=at(world.seconds + 5)), seconds=world.seconds + 5)
    world.broker.holds(told(young.stop, T.PRE_SUBMITTED))
    world.holds(10)
    # When it is judged
    judged = world.reconcile(after=6) + world.reconcile(after=11)
    # Then it is the older one that is closed, though the other is younger
    assert [sentence.rpartition(": ")[2] for sentence in judged] == ["CLOSED_ELSEWHERE"]
    assert [book.execution.open_quantity for book in (held, young)] == [0, 10]
