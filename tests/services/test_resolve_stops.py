"""A person takes shares over or has a stop placed: never more than the account holds, asked again before sending."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from app.brokers.errors import BrokerTimeout
from app.core import clock
from app.core.errors import Conflict, FixRequest
from app.domain.broker_events import ClosedElsewhere, ToldStatus
from app.domain.terms import Leg
from app.executions.models import Actor, Order, OrderCommand
from app.executions.services.acts_send import acts_send
from app.executions.services.audit import audit_findings
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.replay import execution_replay
from app.executions.services.resolve import Resolution, execution_resolve
from app.executions.services.resolve_facts import Act, Asked
from app.market.models import Instrument
from tests.services.book import Book
from tests.services.heard import at, fill, told
from tests.services.world import World, open_position, position, stop_gone

pytestmark = pytest.mark.django_db
T = ToldStatus


def resolve(book: Book, world: World, act: Act, *, user: User | None = None, **said: Any) -> Resolution:
    how = {name: said.pop(name) for name in ("facts", "dry_run") if name in said}
    numbers = {name: Decimal(value) for name, value in said.items()}
    asked = Asked(act=act, **numbers)
    return execution_resolve(execution_id=book.execution_id, asked=asked, user=user, now=at(world.seconds), **how)


def sent(book: Book, world: World, *, after: float = 0) -> list[tuple[Decimal, Decimal | None]]:
    """Have what was decided sent; return size and price of each single order so far."""
    world.seconds += after
    acts_send(execution_id=book.execution_id, broker=world.broker, now=at(world.seconds))
    return [(ticket.quantity, ticket.stop_price) for ticket in world.broker.singles]


@pytest.fixture
def split(held: Book, world: World) -> Book:
    """Ten shares became twenty at half the price; the stop was cancelled by the exchange, and a person is asked."""
    Instrument.objects.update(last_price=Decimal(95), last_price_at=clock.now() + timedelta(minutes=5))
    stop_gone(held, world.broker)
    world.holds(20)
    world.reconcile(after=1)
    world.reconcile(after=10)
    assert position().unexplained == 10
    return held


def test_what_a_split_left_is_taken_over_with_a_stop_where_a_person_wants_it(
    split: Book, world: World, analyst: User
) -> None:
    seen = resolve(split, world, Act.TAKE_OVER, quantity="20", stop_price="90", user=analyst, dry_run=True)
    assert (seen.open_before, seen.open_after, seen.others_after) == (10, 20, 0)
    assert [(one.kind, one.text) for one in seen.sends] == [("PLACE", "SELL 20 STOP 90.00 GTC")]
    assert not split.execution.brackets.filter(orders__leg=Leg.PROTECT).exists()
    resolve(split, world, Act.TAKE_OVER, quantity="20", stop_price="90", user=analyst, facts=seen.facts)
    # The guard, which looks before it is sent, places nothing beside it and does not throw it away
    for _ in range(3):
        world.look(split, after=1)
    assert world.broker.singles == []
    assert sent(split, world) == [(20, 90)]
    assert sent(split, world, after=5) == [(20, 90)], "once"
    protect = split.order(Leg.PROTECT)
    split.hear(told(protect, T.PRE_SUBMITTED), seconds=world.seconds)
    for _ in range(3):
        world.look(split, after=5)
    assert world.reconcile(after=30) == []
    assert (position().in_doubt, len(world.broker.singles), world.broker.cancelled) == (False, 1, [])
    # And when it fills, the execution is closed, twenty of twenty
    split.hear(fill(protect, "20", "89.9"), seconds=world.seconds)
    assert (split.execution.status, split.execution.open_quantity, split.execution.exit_reason) == (
        "CLOSED",
        0,
        "PROTECT",
    )
    assert [str(found.code) for found in audit_findings(now=at(world.seconds + 60))] == []
    assert execution_replay(split.execution_id) == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"quantity": "21", "stop_price": "90"}, "quantity_too_large"),
        ({"quantity": "20"}, "would_trigger_at_once"),
        ({"quantity": "20", "stop_price": "95"}, "would_trigger_at_once"),
        ({"quantity": "20", "stop_price": "0"}, "price_not_positive"),
        ({"quantity": "20", "stop_price": "90.001"}, "price_off_tick"),
        ({"stop_price": "90"}, "field_missing"),
        ({"quantity": "-1", "stop_price": "90"}, "field_missing"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(split: Book, world: World, said: dict[str, str], code: str) -> None:
    Instrument.objects.update(price_increments=[{"low_edge": "0", "increment": "0.01"}])
    with pytest.raises(FixRequest) as refused:
        resolve(split, world, Act.TAKE_OVER, **said)
    assert (refused.value.code, split.execution.open_quantity) == (code, 10)


def test_more_than_was_filled_is_not_taken_over_without_its_stop(split: Book, world: World) -> None:
    Instrument.objects.update(last_price_at=clock.now() - timedelta(minutes=5))
    with pytest.raises(FixRequest) as refused:
        resolve(split, world, Act.TAKE_OVER, quantity="20")
    assert refused.value.code == "field_missing"


def test_what_was_taken_to_be_closed_elsewhere_is_taken_back(
    held: Book, world: World, analyst: User, settings: Settings
) -> None:
    # Given shares that an exclusive account did not show for a while: the execution ended EXTERNAL, its stop is gone
    settings.ACCOUNT_USE = "EXCLUSIVE"
    world.holds(0)
    world.reconcile(after=1)
    world.reconcile(after=10)
    stop_gone(held, world.broker)
    assert (held.execution.status, held.execution.exit_reason) == ("CLOSED", "EXTERNAL")
    # When they are there again, as others', and a person takes them back
    world.holds(10)
    world.reconcile(after=30)
    assert position().others == 10
    resolve(held, world, Act.TAKE_OVER, quantity="10", user=analyst)
    # Then it is open again, behind a stop where the last one was
    assert (held.execution.status, held.execution.open_quantity, position().others) == ("OPEN", 10, 0)
    assert sent(held, world) == [(10, 185)]
    assert world.reconcile(after=30) == []


@pytest.mark.parametrize(("holds", "quantity", "left"), [(10, "4", 6), (4, "4", 0)])
def test_less_is_claimed_where_a_person_says_so(held: Book, world: World, holds: int, quantity: str, left: int) -> None:
    world.holds(holds)
    world.reconcile(after=20)
    seen = resolve(held, world, Act.TAKE_OVER, quantity=quantity)
    assert [(one.kind, one.text) for one in seen.sends] == [("MODIFY", "cut to 4 shares")]
    assert (held.execution.open_quantity, position().others) == (4, left)
    world.look(held)
    world.look(held, after=1)
    assert [ticket.quantity for _id, ticket, _parent in world.broker.modified] == [4]


# A stop


@pytest.fixture
def bare(held: Book, world: World) -> Book:
    """Ten shares whose stop is gone, of which the account shows six: nobody knows why, and the guard places nothing."""
    stop_gone(held, world.broker)
    world.holds(6)
    world.reconcile(after=1)
    world.reconcile(after=10)
    world.look(held)
    assert world.broker.singles == []
    return held


def test_a_stop_is_placed_for_what_is_held_and_not_more(bare: Book, world: World, analyst: User) -> None:
    for too_many in ("7", "10"):
        with pytest.raises(FixRequest) as refused:
            resolve(bare, world, Act.PROTECT, quantity=too_many, stop_price="184")
        assert (refused.value.code, refused.value.details["quantity_max"]) == ("quantity_too_large", "6")
    resolve(bare, world, Act.PROTECT, stop_price="184", user=analyst)
    for _ in range(3):
        world.look(bare, after=1)
    assert sent(bare, world) == [(6, 184)]
    command = OrderCommand.objects.get(reason_code="protected")
    assert (command.kind, command.actor, command.user) == ("PLACE", "PERSON", analyst)


def test_a_stop_is_not_sent_where_the_account_holds_something_else_by_then(bare: Book, world: World) -> None:
    resolve(bare, world, Act.PROTECT, stop_price="184")
    world.holds(2)
    assert sent(bare, world) == []
    assert bare.order(Leg.PROTECT).status == "NOT_PLACED"
    assert "is not sent, the account holds 2 by now, and our books say 10; look again" in bare.execution.attention
    assert sent(bare, world, after=5) == []


def test_a_stop_waits_for_the_accounts_answer_and_not_for_ever(bare: Book, world: World) -> None:
    resolve(bare, world, Act.PROTECT, stop_price="184")
    world.broker.question_fails["positions"] = BrokerTimeout("late")
    assert sent(bare, world, after=5) == []
    assert bare.order(Leg.PROTECT).status == "CREATED"
    assert sent(bare, world, after=30) == []
    assert bare.order(Leg.PROTECT).status == "NOT_PLACED"
    assert "the broker could not be asked in time" in bare.execution.attention


def test_a_target_that_nothing_links_with_the_stop_goes_with_it(submitted: Callable[..., Book], world: World) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.target, T.SUBMITTED), told(book.stop, T.CANCELLED))
    world.holds(10)
    world.reconcile()
    seen = resolve(book, world, Act.PROTECT, stop_price="184")
    assert [(one.kind, one.order_ref) for one in seen.sends][1] == ("CANCEL", book.target.order_ref)
    assert sent(book, world) == [(10, 184)]
    assert world.broker.cancelled == [book.target.order_id]


@pytest.mark.parametrize(
    ("said", "code"),
    [({}, "field_missing"), ({"stop_price": "190"}, "would_trigger_at_once"), ({"stop_price": "184"}, "nothing_bare")],
)
def test_a_stop_that_cannot_be_is_refused(held: Book, world: World, said: dict[str, str], code: str) -> None:
    if code != "nothing_bare":
        stop_gone(held, world.broker)
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.PROTECT, **said)
    assert (refused.value.code, world.broker.singles) == (code, [])


# Closed too much


@pytest.fixture
def oversold(held: Book, world: World) -> Book:
    """Fifteen of ten shares were sold: the stop filled, and a close beside it for five."""
    held.hear(told(held.stop, T.PRE_SUBMITTED, remaining=15), fill(held.stop, "15"), seconds=world.seconds)
    world.broker.open_book = []
    world.holds(-5)
    world.reconcile(after=20)
    assert (held.execution.open_quantity, position().in_doubt) == (-5, False)
    return held


def test_what_was_closed_too_much_is_bought_back_once(oversold: Book, world: World, analyst: User) -> None:
    seen = resolve(oversold, world, Act.CLOSE_SURPLUS, user=analyst, dry_run=True)
    assert [(one.kind, one.text) for one in seen.sends] == [("PLACE", "BUY 5 MARKET")]
    resolve(oversold, world, Act.CLOSE_SURPLUS, user=analyst, facts=seen.facts)
    with pytest.raises(FixRequest) as refused:
        resolve(oversold, world, Act.CLOSE_SURPLUS, user=analyst)
    assert refused.value.code == "surplus_closing"
    assert sent(oversold, world) == sent(oversold, world, after=5) == [(5, None)]
    (ticket,) = world.broker.singles
    surplus = oversold.order(Leg.SURPLUS)
    assert (ticket.action, ticket.order_type) == ("BUY", "MARKET")
    oversold.hear(told(surplus, T.SUBMITTED), fill(surplus, "5"), seconds=world.seconds)
    world.holds(0)
    assert (oversold.execution.status, oversold.execution.open_quantity) == ("CLOSED", 0)
    assert world.reconcile(after=30) == []
    for _ in range(3):
        world.look(oversold, after=5)
    assert (len(world.broker.singles), world.broker.cancelled) == (1, [])
    assert [str(found.code) for found in audit_findings(now=at(world.seconds + 60))] == []
    assert execution_replay(oversold.execution_id) == []


@pytest.mark.case("T43")
def test_what_was_closed_too_much_is_bought_back_though_deals_of_ours_have_moved_the_account(
    oversold: Book, world: World, submitted: Callable[..., Book]
) -> None:
    # Given an account that was compared, and an execution that fills since
    other = submitted()
    open_position(other, world.broker)
    world.holds(5)
    # Then what is asked for is sent: the account and our books have moved alike
    resolve(oversold, world, Act.CLOSE_SURPLUS)
    assert sent(oversold, world, after=20) == [(5, None)]


@pytest.mark.case("T43")
def test_what_was_closed_too_much_is_not_bought_back_twice(oversold: Book, world: World) -> None:
    # Given somebody who buys two of five back in TWS after that was asked for, which was judged
    resolve(oversold, world, Act.CLOSE_SURPLUS)
    back = ClosedElsewhere(
        dedupe_key="elsewhere:back",
        account=world.broker.account_id,
        received_at=at(world.seconds),
        order_ref=oversold.entry.order_ref,
        quantity=Decimal(-2),
        evidence="two came back",
    )
    oversold.hear(back, seconds=world.seconds)
    world.holds(-3)
    assert oversold.execution.open_quantity == -3
    assert sent(oversold, world, after=20) == []
    assert (
        "is not sent, 3 shares were closed too much by now, and it is of 5; look again" in oversold.execution.attention
    )


@pytest.mark.case("T56")
def test_an_account_that_holds_none_of_it_settles_what_was_closed_too_much_by_our_books(
    held: Book, world: World, analyst: User
) -> None:
    # Given shares that were to be closed, and a split that made fifteen of ten while their order filled
    execution_flatten_request(
        execution_id=held.execution_id, actor=Actor.PERSON, user=analyst, reason="", now=at(world.seconds)
    )
    held.hear(told(held.stop, T.PRE_SUBMITTED, remaining=15), fill(held.stop, "15"), seconds=world.seconds)
    world.broker.open_book = []
    world.holds(0)
    world.reconcile(after=20)
    world.reconcile(after=15)
    assert (held.execution.open_quantity, position().unexplained) == (-5, 5)
    # Then a person says that it holds none, and nothing is bought back
    seen = resolve(held, world, Act.TAKE_OVER, quantity="0", user=analyst)
    assert (seen.open_before, seen.open_after, seen.others_after, list(seen.sends)) == (-5, 0, 0, [])
    assert world.reconcile(after=15) == []
    assert (held.execution.open_quantity, held.execution.status) == (0, "CLOSED")
    assert (position().others, position().in_doubt, world.broker.singles) == (0, False, [])


@pytest.mark.parametrize(("holds", "code"), [(0, "no_surplus"), (-2, "quantity_too_large"), (3, "no_surplus")])
def test_no_more_is_bought_back_than_the_account_shows(oversold: Book, world: World, holds: int, code: str) -> None:
    world.holds(holds)
    world.reconcile(after=20)
    with pytest.raises(FixRequest) as refused:
        resolve(oversold, world, Act.CLOSE_SURPLUS, quantity="5")
    assert (refused.value.code, world.broker.singles) == (code, [])


def test_a_position_that_is_held_has_no_surplus(held: Book, world: World) -> None:
    with pytest.raises(FixRequest) as refused:
        resolve(held, world, Act.CLOSE_SURPLUS)
    assert refused.value.code == "no_surplus"


def test_a_close_that_waits_ends_with_what_is_taken_over(split: Book, world: World, analyst: User) -> None:
    # Given an execution that is to be closed, and of which nothing is sent because the account is in doubt
    execution_flatten_request(
        execution_id=split.execution_id, actor=Actor.PERSON, user=analyst, reason="out", now=at(world.seconds)
    )
    resolution = resolve(split, world, Act.TAKE_OVER, quantity="20", stop_price="90", user=analyst)
    assert "It is not to be closed any more: ask for that anew." in resolution.text
    # Then it is guarded with its new size, and not closed
    assert (split.execution.flatten_requested_at, [one.keep_quantity for one in split.brackets]) == (None, [None])
    assert sent(split, world) == [(20, 90)]
    assert execution_flatten_send(execution_id=split.execution_id, broker=world.broker, now=at(world.seconds)) == 0


def test_what_is_being_closed_takes_nothing_over(split: Book, world: World, analyst: User) -> None:
    # Given a closing order at the broker: what it claimed could be sold beside that
    execution_flatten_request(
        execution_id=split.execution_id, actor=Actor.PERSON, user=analyst, reason="out", now=at(world.seconds)
    )
    stop = split.stop
    Order.objects.create(
        account=stop.account,
        bracket=stop.bracket,
        leg=Leg.CLOSE.value,
        order_ref=stop.order_ref.replace("STOP_LOSS", "CLOSE"),
        action=stop.action,
        order_type="MARKET",
        quantity=10,
        time_in_force="DAY",
        status="WORKING",
        order_id=900,
        client_id=1,
        sent_at=at(world.seconds),
        perm_id=77,
    )
    with pytest.raises(Conflict, match="It is being closed") as refused:
        resolve(split, world, Act.TAKE_OVER, quantity="20", stop_price="90", user=analyst)
    assert (refused.value.code, world.broker.singles) == ("closing_already", [])
