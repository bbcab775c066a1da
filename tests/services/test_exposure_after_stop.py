"""The account changes without a deal, and a stop of ours closes what was not there any more: a person is told."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from app.alerts.models import Alert
from app.core.errors import Conflict, FixRequest
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.models import Actor, Execution, ExecutionFlag
from app.executions.services.acts_send import acts_send
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.request import execution_request
from app.executions.services.resolve import execution_resolve
from app.executions.services.resolve_facts import Act, Asked
from app.setups.models import Setup
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World, open_position, position

pytestmark = pytest.mark.django_db
T = ToldStatus


def resolve(book: Book, world: World, act: Act, *, quantity: str | None = None) -> None:
    asked = Asked(act=act, quantity=Decimal(quantity) if quantity else None)
    execution_resolve(execution_id=book.execution_id, asked=asked, user=None, now=at(world.seconds))


def stop_hit(book: Book, world: World) -> None:
    book.hear(fill(book.stop, "10", "89"), seconds=world.seconds)
    world.broker.open_book = []
    assert (book.execution.status, book.execution.open_quantity) == ("CLOSED", 0)


def codes(book: Book) -> set[str]:
    return set(ExecutionFlag.objects.filter(execution=book.execution_id).values_list("code", flat=True))


@pytest.mark.case("T44")
@pytest.mark.parametrize(("held_before", "held_after"), [(5, -5), (20, 10)])
def test_what_a_stop_closed_of_what_was_changed_without_a_deal_is_told(
    held: Book, world: World, held_before: int, held_after: int
) -> None:
    # Given shares that left the account, or were split, seen once; and the stop that is hit in these seconds
    world.holds(held_before)
    world.reconcile(after=1)
    stop_hit(held, world)
    world.holds(held_after)
    # When the account still disagrees
    for _ in range(3):
        world.reconcile(after=11)
    # Then it is nobody's, and a person is asked
    assert (position().unexplained, position().others) == (held_after, 0)
    assert "position_differs" in codes(held)
    (alert,) = Alert.objects.filter(kind="position_drift", resolved_at=None)
    assert f"the account holds {held_after}" in alert.text


@pytest.mark.case("T44")
def test_what_was_closed_twice_is_given_back(held: Book, world: World) -> None:
    world.holds(5)
    world.reconcile(after=1)
    stop_hit(held, world)
    world.holds(-5)
    for _ in range(2):
        world.reconcile(after=11)
    # When a person says that the five were ours, and gives the surplus back
    resolve(held, world, Act.CLOSED_ELSEWHERE)
    assert held.execution.open_quantity == -5
    assert "more_closed_than_opened" in codes(held)
    resolve(held, world, Act.CLOSE_SURPLUS)
    acts_send(execution_id=held.execution_id, broker=world.broker, now=at(world.seconds))
    # Then five are bought, and all is even
    assert [(ticket.action, ticket.quantity) for ticket in world.broker.singles] == [("BUY", 5)]
    surplus = held.order(Leg.SURPLUS)
    held.hear(told(surplus, T.SUBMITTED), fill(surplus, "5"), seconds=world.seconds)
    world.holds(0)
    assert world.reconcile(after=30) == []
    assert (held.execution.open_quantity, position().others, position().in_doubt) == (0, 0, False)


@pytest.mark.case("T50")
@pytest.mark.parametrize("holds_another", [False, True])
def test_what_was_closed_twice_before_the_connection_broke_is_told(
    held: Book, submitted: Callable[..., Book], world: World, holds_another: bool
) -> None:
    # Given a sale in TWS and a stop that filled beside it, both heard of; and a line that breaks for ten minutes then
    another = submitted() if holds_another else None
    if another is not None:
        open_position(another, world.broker)
    world.holds(20 if holds_another else 10)
    world.reconcile()
    world.deal_of_others(-6)
    sold_at = world.seconds
    filled = fill(held.stop, "10", "180", executed_at=at(sold_at), received_at=at(sold_at))
    held.hear(filled, told(held.stop, T.FILLED), seconds=sold_at)
    world.broker.open_book = []
    world.holds(4 if holds_another else -6)
    # When the account is compared at last
    (judged,) = world.reconcile(after=600)
    # Then it is told of the execution whose shares were closed twice
    if another is None:
        assert judged.endswith("CLOSED_ELSEWHERE")
        assert (position().others, held.execution.open_quantity) == (0, -6)
    else:  # Whose shares were sold in TWS nobody knows: what is still open is reduced first.
        assert (position().others, held.execution.open_quantity, another.execution.open_quantity) == (0, 0, 4)


@pytest.mark.case("T45", "T48")
def test_nothing_new_is_placed_while_a_person_is_asked(
    held: Book, world: World, analyst: User, make_setup: Callable[..., Setup]
) -> None:
    world.holds(5)
    for _ in range(2):
        world.reconcile(after=11)
    with pytest.raises(Conflict) as refused:
        execution_request(setup=make_setup(), user=analyst, idempotency_key="new", body={}, now=at(world.seconds))
    assert (refused.value.code, refused.value.details) == (
        "position_differs",
        {"symbol": "AAPL", "held": "5.0000", "difference": "-5.0000"},
    )
    assert Execution.objects.count() == 1
    # The alert says the number of now
    world.holds(3)
    for _ in range(2):
        world.reconcile(after=11)
    (alert,) = Alert.objects.filter(kind="position_drift", resolved_at=None)
    assert "the account holds 3" in alert.text
    # And once that is settled, it is over and entries are taken again
    resolve(held, world, Act.NOT_OURS)
    world.reconcile(after=11)
    assert not Alert.objects.filter(kind="position_drift", resolved_at=None).exists()
    execution_request(setup=make_setup(), user=analyst, idempotency_key="again", body={}, now=at(world.seconds))


def close_step(book: Book, world: World) -> None:
    execution_flatten_send(execution_id=book.execution_id, broker=world.broker, now=at(world.seconds))


@pytest.mark.case("T47")
def test_a_close_that_was_written_anew_is_not_missing(held: Book, world: World) -> None:
    # Given a close at the market, whose stop has sold 4 before the close that was written down could leave
    execution_flatten_request(
        execution_id=held.execution_id, actor=Actor.PERSON, user=None, reason="done", now=at(world.seconds)
    )
    held.hear(told(held.stop, T.CANCELLED), seconds=world.seconds)
    world.broker.place_order_fails = Conflict("held up", code="x")
    with pytest.raises(Conflict):
        close_step(held, world)
    world.broker.place_order_fails = None
    held.hear(fill(held.stop, "4", "185"), seconds=world.seconds)
    world.holds(6)
    for _ in range(3):
        close_step(held, world)
    assert [order.status for order in held.orders if order.leg == Leg.CLOSE.value] == ["NOT_PLACED", "SENT"]
    assert "never_arrived" not in codes(held)


@pytest.mark.case("T49")
@pytest.mark.parametrize("act", [Act.TAKE_OVER, Act.CLOSED_ELSEWHERE, Act.PROTECT])
def test_shares_are_settled_in_whole_numbers(held: Book, world: World, act: Act) -> None:
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, act, quantity="4.5")
    assert refused.value.code == "quantity_not_whole"


@pytest.mark.case("T44", "T54")
def test_a_split_while_a_close_waits_is_told_though_the_close_hides_it_for_a_while(held: Book, world: World) -> None:
    # Given ten shares that were split to twenty, heard of just before our order closes ten
    world.reconcile()
    world.holds(20)
    world.reconcile(after=1)
    filled = fill(held.stop, "10", "95", executed_at=at(world.seconds + 2), received_at=at(world.seconds + 2))
    held.hear(filled, told(held.stop, T.FILLED), seconds=world.seconds + 2)
    world.broker.open_book = []
    world.holds(10)
    # When the account holds ten, as if it did not know of that yet
    assert world.reconcile(after=3) == []
    # Then it is a difference all the same once it must know
    for _ in range(3):
        world.reconcile(after=11)
    assert "position_differs" in held.execution.flags.filter(resolved_at=None).values_list("code", flat=True)
    assert (position().others, position().in_doubt) == (0, True)
