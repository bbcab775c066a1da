"""The broker works with so many orders on one side of a contract: what needs more is not begun, and no stop is lost."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries, Settings

from app.accounts.models import Account
from app.core.errors import FixRequest
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.terms import Action, Leg
from app.executions.models import Execution, Order, OrderCommand
from app.executions.services.order_room import execution_room_require, orders_at_work
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.request import execution_request
from app.executions.services.submit import execution_submit
from app.setups.models import Setup
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, message, told

pytestmark = [pytest.mark.django_db, pytest.mark.case("T23")]

Submitted = Callable[..., Book]
T = ToldStatus
FULL = (
    201,
    "Order rejected - reason:Your account has a minimum of 20 orders working on either the buy or sell side",
    MessageMeaning.REFUSAL,
)
THREE_TARGETS = [{"price": Decimal(190 + number), "fraction": Decimal("0.3")} for number in (5, 6, 7)]


@pytest.fixture
def limit(settings: Settings) -> Callable[[int], None]:
    def allow(orders: int) -> None:
        settings.ORDERS_PER_CONTRACT_MAX = orders

    return allow


def working(book: Book) -> Book:
    """Have the broker work with all orders of an execution, its entries filled."""
    for order in book.orders:
        book.hear(told(order, T.SUBMITTED if order.leg == Leg.ENTRY.value else T.PRE_SUBMITTED))
    for order in book.orders:
        if order.leg == Leg.ENTRY.value:
            book.hear(fill(order, str(order.quantity.normalize())))
    return book


def guard_of(broker: FakeBroker) -> Guard:
    """Return a guard that looks for the first time soon after what the day's events told."""
    guard = Guard(broker)
    guard.now = at(20)
    return guard


def of_others(execution: Execution, broker: FakeBroker, *, count: int) -> None:
    """Have the broker hold orders of a person, on the side of the execution's exits."""
    entry = Order.objects.get(bracket__execution=execution, bracket__tranche=1, leg=Leg.ENTRY.value)
    named = [{"order_ref": "by hand", "perm_id": 77 + number, "order_id": 0, "client_id": 0} for number in range(count)]
    foreign = [told(entry, T.SUBMITTED, **name) for name in named]
    broker.holds_foreign(*foreign, con_id=execution.con_id, action=Action.SELL)


@pytest.mark.parametrize(("allowed", "is_taken"), [(6, False), (7, True), (0, True)])
def test_an_execution_that_needs_more_orders_than_the_broker_works_with_is_refused(
    make_setup: Callable[..., Setup], analyst: User, limit: Callable[[int], None], allowed: int, is_taken: bool
) -> None:
    # Given three targets and a rest: four stops and three targets on one side
    limit(allowed)
    setup = make_setup(take_profits=THREE_TARGETS)
    try:
        execution_request(setup=setup, user=analyst, idempotency_key="key", body={}, now=at(0))
        refusal = None
    except FixRequest as error:
        refusal = error
    assert Execution.objects.count() == int(is_taken)
    if refusal is not None:
        assert refusal.code == "too_many_orders"
        assert refusal.details == {"action": "SELL", "needed": 7, "working": 0, "limit": 6}


def test_orders_of_other_executions_and_of_others_count(
    requested: Callable[..., Execution], broker: FakeBroker, limit: Callable[[int], None]
) -> None:
    # Given one execution, and two orders of a person on the side of its exits, by the last complete answer
    first = requested()
    of_others(first, broker, count=2)
    execution_reconcile(broker=broker, now=at(1), settle_seconds=0)
    assert orders_at_work(account=first.account, con_id=first.con_id) == {Action.BUY: 1, Action.SELL: 3}
    # Then a fourth order on that side finds no room where three are allowed
    limit(3)
    with pytest.raises(FixRequest, match="3 are there already"):
        requested()


def test_what_was_requested_first_is_sent_and_what_finds_no_room_is_given_up_unsent(
    requested: Callable[..., Execution], broker: FakeBroker, limit: Callable[[int], None]
) -> None:
    # Given two executions, requested while there was room for both
    first, second = requested(), requested()
    limit(1)
    # When the later one is taken first
    assert execution_submit(execution_id=second.pk, broker=broker, now=at(1)) == ""
    assert execution_submit(execution_id=first.pk, broker=broker, now=at(2)) != ""
    # Then nothing of it was sent, and it says why
    second.refresh_from_db()
    assert (second.status, second.reason_code) == ("NOT_PLACED", "too_many_orders")
    assert "the broker works with 1 on each side" in second.reason
    sent = Order.objects.filter(sent_at__isnull=False)
    assert {order.bracket.execution_id for order in sent} == {first.pk}
    assert len(broker.sent) == 1


@pytest.mark.parametrize("is_taken", [True, False])
def test_what_was_requested_later_takes_room_once_it_was_taken(
    requested: Callable[..., Execution], broker: FakeBroker, limit: Callable[[int], None], is_taken: bool
) -> None:
    # Given a younger execution that was sent already, or waits
    older, younger = requested(), requested()
    if is_taken:
        execution_submit(execution_id=younger.pk, broker=broker, now=at(1))
    limit(1)
    # Then the older one finds room if that waits
    assert (execution_submit(execution_id=older.pk, broker=broker, now=at(2)) == "") is is_taken


def test_orders_on_another_contract_or_in_another_account_take_no_room(
    requested: Callable[..., Execution], broker: FakeBroker
) -> None:
    execution = requested()
    of_others(execution, broker, count=2)
    execution_reconcile(broker=broker, now=at(1), settle_seconds=0)
    another = Account.objects.create(account_id="DU7654321")
    assert orders_at_work(account=execution.account, con_id=execution.con_id + 1) == {}
    assert orders_at_work(account=another, con_id=execution.con_id) == {}


def test_a_stop_that_was_refused_for_want_of_room_gets_the_place_of_a_target(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given filled tranches with targets, and a last one without, whose stop the broker has no room for
    book = working(submitted(take_profits=THREE_TARGETS))
    bare_stop = book.order(Leg.STOP_LOSS, tranche=4)
    book.hear(message(bare_stop, *FULL))
    guard = guard_of(broker)
    # When the guard looks
    for number in range(3):
        guard.look(book, after=number)
    # Then it asks for the place of the farthest target, and for no further order
    target = book.order(Leg.TAKE_PROFIT, tranche=3)
    assert [command.order_id for command in OrderCommand.objects.filter(kind="CANCEL")] == [target.pk]
    assert broker.cancelled == [target.order_id]
    assert broker.singles == []
    # And once the place is free the stop is placed, for the shares of the last tranche, once
    book.hear(told(target, T.CANCELLED, received_at=at(24)))
    for _ in range(3):
        guard.look(book, after=4)
    (stop,) = broker.singles
    assert (stop.quantity, stop.stop_price) == (bare_stop.quantity, bare_stop.stop_price)
    assert [order.status for order in book.orders if order.leg == Leg.STOP_LOSS.value][:3] == ["HELD"] * 3


def test_a_stop_that_is_refused_again_for_want_of_room_gets_the_place_of_the_next_target(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given a stop for which a target gave its place, twice, and others' orders took it
    book = working(submitted(take_profits=THREE_TARGETS))
    book.hear(message(book.order(Leg.STOP_LOSS, tranche=4), *FULL))
    guard = guard_of(broker)
    targets = [book.order(Leg.TAKE_PROFIT, tranche=tranche) for tranche in (3, 2, 1)]
    for target in targets[:2]:
        guard.look(book, after=4)
        book.hear(told(target, T.CANCELLED, received_at=guard.now))
        guard.look(book, after=4)
        refused = Order.objects.get(leg=Leg.PROTECT.value, status="SENT")
        book.hear(message(refused, *FULL))
        Order.objects.filter(pk=refused.pk).update(finished_at=guard.now)
    # Then the next one gives its place at once, though it was refused alike twice
    guard.look(book, after=4)
    assert broker.cancelled == [target.order_id for target in targets]


def test_no_target_gives_its_place_for_a_stop_that_is_not_sent(
    submitted: Submitted, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a stop that the broker has no room for, and a guard that has tried as often as it may
    book = working(submitted(take_profits=THREE_TARGETS))
    book.hear(message(book.order(Leg.STOP_LOSS, tranche=4), *FULL))
    monkeypatch.setattr("app.executions.services.guard_asks.REPAIRS_MAX", 0)
    guard = guard_of(broker)
    for number in range(3):
        guard.look(book, after=number)
    # Then the targets stay, and a person is asked
    assert (OrderCommand.objects.filter(kind="CANCEL").count(), broker.cancelled) == (0, [])
    assert "did not help" in book.execution.attention


def test_no_order_is_sent_after_a_refusal_for_want_of_room_where_no_target_can_give_its_place(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = working(submitted())
    book.hear(message(book.stop, *FULL))
    guard = guard_of(broker)
    for _ in range(9):
        guard.look(book, after=4)
    assert broker.singles == []
    told_to_person = [line for line in book.execution.attention.splitlines() if "no more" in line]
    assert told_to_person == ["tranche 1: 10 shares have no stop, and the broker takes no more SELL orders of AAPL"]


def test_a_lost_stop_is_placed_however_many_orders_we_count(
    submitted: Submitted, broker: FakeBroker, limit: Callable[[int], None]
) -> None:
    # Given more orders on that side than are allowed, by an answer that may be old by now
    book = working(submitted())
    book.hear(told(book.stop, T.CANCELLED))
    of_others(book.execution, broker, count=3)
    execution_reconcile(broker=broker, now=at(30), settle_seconds=0)
    limit(1)
    # Then only the broker can say that there is no room
    Guard(broker).look(book, after=1)
    assert [ticket.quantity for ticket in broker.singles] == [10]


def test_a_refusal_for_want_of_room_holds_for_a_minute(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a person who was asked to end an order in TWS, of which we hear nothing
    book = working(submitted())
    guard = guard_of(broker)
    book.hear(message(book.stop, *FULL))
    Order.objects.filter(pk=book.stop.pk).update(finished_at=guard.now)
    for _ in range(5):
        guard.look(book, after=10)
    assert broker.singles == []
    # Then the stop is tried again
    guard.look(book, after=15)
    assert len(broker.singles) == 1


def test_an_order_of_the_same_side_that_ended_before_the_refusal_makes_no_room(
    submitted: Submitted, broker: FakeBroker
) -> None:
    before = working(submitted())
    before.hear(told(before.stop, T.CANCELLED, received_at=at(12)))
    book = working(submitted())
    book.hear(message(book.stop, *FULL))
    Order.objects.filter(pk=book.stop.pk).update(finished_at=at(14))
    guard = guard_of(broker)
    for _ in range(3):
        guard.look(book, after=4)
    assert [ticket.order_ref for ticket in broker.singles] == []


def test_what_is_at_work_is_counted_in_a_few_statements_however_much_it_is(
    submitted: Submitted, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    working(submitted())
    for _ in range(3):
        working(submitted())
    one = Execution.objects.select_related("account").last()
    assert one is not None
    with django_assert_num_queries(4):
        assert orders_at_work(account=one.account, con_id=one.con_id) == {Action.SELL: 4}


def test_without_a_number_nothing_is_counted_for_what_is_about_to_be_sent(
    requested: Callable[..., Execution],
    limit: Callable[[int], None],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    execution = requested()
    limit(0)
    with django_assert_num_queries(0):
        execution_room_require(execution)
