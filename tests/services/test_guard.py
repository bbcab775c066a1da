"""What the guard writes down, sends and leaves to a person, against a broker of the test's own."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_ensure
from app.brokers.errors import NotConnected
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions import selectors
from app.executions.models import Decision, Execution, Order
from app.executions.services.commands_send import order_send
from app.executions.services.guard import (
    _write_down,
    bracket_protection,
    execution_ids_to_guard,
    guard_look,
)
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker, ProcessDied
from tests.services.guard_at import Guard
from tests.services.heard import fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


def filled(book: Book, *, stop: ToldStatus = T.PRE_SUBMITTED) -> None:
    """Have the entry filled and the stop told as it is."""
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    book.hear(fill(book.entry, "10", "190.5"))
    if stop is not T.PRE_SUBMITTED:
        book.hear(told(book.stop, stop))


def protect_of(book: Book) -> list[Order]:
    return [order for order in book.orders if order.leg == Leg.PROTECT.value]


def test_a_covered_position_is_left_alone(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book)
    assert guard.look(book) == guard.look(book, after=60) == 0
    assert not Decision.objects.exists()


def test_a_stop_that_was_cancelled_is_replaced_at_once(submitted: Submitted, guard: Guard) -> None:
    # Given a filled entry whose stop somebody cancelled
    book = submitted()
    filled(book, stop=T.CANCELLED)
    # When the guard looks
    assert guard.look(book) == 1
    # Then a stop like the first one is written down, sent, and a person is told
    (new,) = protect_of(book)
    assert (new.status, new.quantity, new.stop_price, new.action) == ("SENT", 10, 185, "SELL")
    assert (new.time_in_force, new.order_ref) == ("GTC", f"{book.execution.key}-1-PROTECT")
    assert [ticket.order_ref for ticket in guard.broker.singles] == [new.order_ref]
    assert new.order_ref in book.execution.attention
    decision = Decision.objects.get()
    assert (decision.actor, decision.action, decision.order_id) == ("GUARD", "PLACE_STOP", new.pk)
    assert decision.evidence["held"] == "10.0000"


def test_a_target_goes_with_the_stop_that_is_replaced(submitted: Submitted, guard: Guard) -> None:
    # Given a position with a target, and a stop that somebody cancelled
    book = submitted(take_profits=[{"price": Decimal(200)}])
    filled(book, stop=T.CANCELLED)
    book.hear(told(book.target, T.SUBMITTED))
    # When the stop is replaced
    assert guard.look(book) == 1
    # Then the target, which nothing links with the new stop, is cancelled behind it, and a person is told
    (new,) = protect_of(book)
    assert [ticket.order_ref for ticket in guard.broker.singles] == [new.order_ref]
    assert guard.broker.cancelled == [book.target.order_id]
    assert f"{book.target.order_ref}: its cancel was asked for" in book.execution.attention
    assert Decision.objects.get().evidence["cancels"] == [book.target.order_ref]


def test_a_target_that_outlived_the_replaced_stop_is_cancelled(submitted: Submitted, guard: Guard) -> None:
    # Given a worker that died before the target's cancel was sent
    book = submitted(take_profits=[{"price": Decimal(200)}])
    filled(book, stop=T.CANCELLED)
    book.hear(told(book.target, T.SUBMITTED))
    guard.look(book)
    guard.broker.cancelled.clear()
    book.hear(told(protect_of(book)[0], T.PRE_SUBMITTED))
    # When the next one looks
    guard.look(book, after=60)
    assert guard.look(book, after=1) == 1
    # Then it cancels it
    assert guard.broker.cancelled == [book.target.order_id]


def test_a_stop_taken_by_a_target_whose_deal_is_not_told_yet_is_not_replaced(
    submitted: Submitted, guard: Guard
) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    filled(book)
    book.hear(told(book.target, T.FILLED, filled="10", remaining="0"), told(book.stop, T.CANCELLED))
    # Then the broker is asked for the deal, and no stop is placed for shares that are gone
    assert guard.look(book) == guard.look(book, after=60) == 0
    assert protect_of(book) == []
    book.hear(fill(book.target, "10", "200", exec_id="0000e0d5.00000008.01.01"))
    assert guard.look(book, after=60) == 0
    assert book.execution.status == "CLOSED"


def test_nothing_is_done_while_the_repair_is_unanswered(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.look(book)
    assert guard.look(book, after=60) == 0
    assert len(protect_of(book)) == 1


def test_a_repair_that_lives_settles_it(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.look(book)
    book.hear(told(protect_of(book)[0], T.PRE_SUBMITTED))
    assert guard.look(book, after=60) == 0


def test_a_repair_whose_worker_died_before_sending_is_sent_by_the_next(submitted: Submitted, guard: Guard) -> None:
    # Given a repair written down by a worker that lost its connection
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.broker.place_order_fails = NotConnected("The connection is away.")
    assert guard.look(book) == 0
    assert [order.status for order in protect_of(book)] == ["CREATED"]
    # When the connection is back
    guard.broker.place_order_fails = None
    assert guard.look(book, after=5) == 1
    # Then it is sent, and only once
    assert len(guard.broker.singles) == len(protect_of(book)) == 1


def test_a_repair_that_is_not_needed_any_more_is_never_sent(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.broker.place_order_fails = NotConnected("The connection is away.")
    guard.look(book)
    guard.broker.place_order_fails = None
    # When the shares are gone meanwhile
    book.hear(fill(book.stop, "10", "185", exec_id="0000e0d5.00000009.01.01"))
    guard.look(book, after=5)
    assert [order.status for order in protect_of(book)] == ["NOT_PLACED"]
    assert not guard.broker.singles


def test_a_repair_that_died_after_its_write_ahead_is_not_sent_again(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.broker.dies_after_write_ahead = True
    with pytest.raises(ProcessDied):
        guard.look(book)
    guard.broker.dies_after_write_ahead = False
    assert guard.look(book, after=60) == 0
    assert not guard.broker.singles


def test_an_order_is_placed_once_whoever_asks(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.look(book)
    (new,) = protect_of(book)
    with pytest.raises(Exception, match="sent once"):
        order_send(order_pk=new.pk, broker=guard.broker)
    assert len(guard.broker.singles) == 1


def test_a_worker_whose_connection_is_not_known_yet_sends_nothing(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.broker.place_order_fails = NotConnected("away")
    guard.look(book)
    guard.broker.place_order_fails, guard.broker.connection = None, BrokerConnection(pk=0)
    with pytest.raises(NotConnected):
        order_send(order_pk=protect_of(book)[0].pk, broker=guard.broker)
    assert (protect_of(book)[0].status, guard.broker.singles) == ("CREATED", [])


def test_the_broker_gets_a_moment_to_cut_a_stop_itself(submitted: Submitted, guard: Guard) -> None:
    # Given four of ten filled, the rest cancelled, and the stop of the full size still
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    book.hear(fill(book.entry, "4", "190"), told(book.entry, T.CANCELLED))
    assert guard.look(book) == 0
    # When it stays so
    assert guard.look(book, after=1) == 1
    # Then it is cut, without its parent, which is gone
    ((order_id, ticket, parent_id),) = guard.broker.modified
    assert (order_id, ticket.quantity, parent_id) == (book.stop.order_id, 4, 0)


def test_a_stop_that_is_cut_stays_where_a_person_has_moved_it(submitted: Submitted, guard: Guard) -> None:
    # Given a stop moved in TWS, and an entry that ended with fewer shares than the stop would sell
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal("188.5")), fill(book.entry, "4"))
    book.hear(told(book.entry, T.CANCELLED, filled=4, remaining=6))
    # When it is cut
    guard.look(book)
    guard.look(book, after=1)
    # Then it still waits where it was moved to
    [(_order_id, ticket, _parent)] = guard.broker.modified
    assert (ticket.quantity, ticket.stop_price) == (4, Decimal("188.5"))


def test_a_stop_that_replaces_another_waits_where_a_person_had_moved_that(submitted: Submitted, guard: Guard) -> None:
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal("188.5")))
    filled(book, stop=T.CANCELLED)
    guard.look(book)
    assert [order.stop_price for order in protect_of(book)] == [Decimal("188.5")]


def test_a_stop_that_replaces_one_of_ours_waits_where_a_person_had_moved_that(
    submitted: Submitted, guard: Guard
) -> None:
    # Given a stop of ours that somebody moved in TWS and then cancelled
    book = submitted()
    filled(book, stop=T.CANCELLED)
    guard.look(book)
    first = protect_of(book)[0]
    book.hear(told(first, T.PRE_SUBMITTED, stop_price=Decimal("189.5")), told(first, T.CANCELLED))
    # When another takes its place
    guard.look(book, after=5)
    # Then it waits there too
    assert [order.stop_price for order in protect_of(book)] == [Decimal("189.5")] * 2


def test_an_entry_that_fills_more_than_its_stop_covers_is_cancelled_with_the_first_repair(
    submitted: Submitted, guard: Guard
) -> None:
    # Given an entry that somebody made larger in TWS than its stop is
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED, remaining=25), told(book.stop, T.PRE_SUBMITTED))
    book.hear(fill(book.entry, "11"))
    # When it has filled the first share beyond it
    guard.look(book)
    # Then that gets a stop, and the rest of the entry is cancelled at once: it could come in any number of pieces
    assert [order.quantity for order in protect_of(book)] == [1]
    assert guard.broker.cancelled == [book.entry.order_id]


def test_the_entry_is_cancelled_even_where_no_more_repairs_are_done(
    submitted: Submitted, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.executions.services.guard_asks.REPAIRS_MAX", 0)
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED, remaining=25), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "11"))
    guard.look(book)
    assert (protect_of(book), guard.broker.cancelled) == ([], [book.entry.order_id])


def test_an_open_entry_whose_stop_sleeps_on_is_cancelled(submitted: Submitted, guard: Guard) -> None:
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED, why_held="child,trigger"))
    book.hear(fill(book.entry, "4", "190"))
    assert guard.look(book) == 0
    assert guard.look(book, after=1) == 1
    assert guard.broker.cancelled == [book.entry.order_id]
    assert book.execution.cancel_reason == "stop_lost"


def test_a_stop_left_over_is_cancelled(submitted: Submitted, guard: Guard) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    filled(book)
    book.hear(fill(book.target, "10", "200", exec_id="0000e0d5.00000008.01.01"))
    assert guard.look(book) == 0
    assert guard.look(book, after=1) == 1
    assert guard.broker.cancelled == [book.stop.order_id]


def test_what_another_client_placed_is_left_to_a_person(submitted: Submitted, guard: Guard) -> None:
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    book.hear(fill(book.entry, "4", "190"), told(book.entry, T.CANCELLED))
    guard.broker.connection = connection_ensure(account_id=book.execution.account.account_id, client_id=9)
    guard.look(book)
    assert guard.look(book, after=1) == 0
    assert not guard.broker.modified
    assert "only client id 1 can change it" in book.execution.attention


def test_only_what_can_need_it_is_looked_at(submitted: Submitted) -> None:
    held, over = submitted(), submitted()
    filled(held)
    over.hear(told(over.entry, T.CANCELLED), told(over.stop, T.CANCELLED))
    assert execution_ids_to_guard("DU1234567") == [held.execution_id]
    assert execution_ids_to_guard("DU7654321") == []


def test_what_needs_nothing_is_told_from_two_queries_and_forgotten(
    submitted: Submitted, guard: Guard, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Given a stop that is missing after its repair was given up for now, and positions that are covered
    lacking, *covered = submitted(), submitted(), submitted(), submitted()
    for book in covered:
        filled(book)
    guard.broker.place_order_fails = NotConnected("no line")
    filled(lacking, stop=T.CANCELLED)
    guard.look(lacking)
    bracket_id = lacking.stop.bracket_id
    assert bracket_id in guard.watch.needs

    # When it is replaced, then what is covered costs two queries, however many there are
    guard.broker.place_order_fails = None
    guard.look(lacking, after=5)
    (protect,) = protect_of(lacking)
    lacking.hear(told(protect, T.SUBMITTED))
    ids = [book.execution_id for book in (lacking, *covered)]
    with django_assert_num_queries(2):
        look = guard_look(execution_ids=ids, broker=guard.broker, watch=guard.watch, now=guard.now)
    assert (look.brackets, look.repaired, look.asks_broker, look.again) == (4, 0, False, frozenset())
    # And how long it has been missing begins anew, should it ever be missing again
    assert bracket_id not in guard.watch.needs


def test_what_is_asked_to_be_closed_meanwhile_gets_no_stop(submitted: Submitted, guard: Guard) -> None:
    # Given a stop that is gone, and a wish to close that comes between the look and the lock
    book = submitted()
    filled(book, stop=T.CANCELLED)
    looked = selectors.with_orders(Execution.objects.filter(pk=book.execution_id)).get()
    bracket = looked.brackets.all()[0]
    (repair,) = bracket_protection(bracket).repairs
    Execution.objects.filter(pk=looked.pk).update(flatten_requested_at=clock.now())
    # Then nothing is written down
    assert _write_down(looked.pk, bracket.pk, repair, broker=guard.broker, now=guard.now) is None
    assert protect_of(book) == []
