"""Closing a position on each road: what is sent, in which order, and never without its stop or twice."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from app.brokers.base import Position
from app.core.errors import RetryLater
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.close import CLOSES_MAX
from app.domain.command import NOT_TAKEN
from app.domain.contract import Contract
from app.domain.terms import Leg, OrderType
from app.executions.models import Actor, Bracket, Execution, Order, OrderCommand
from app.executions.services.close_facts import is_flattening
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, message, told

pytestmark = pytest.mark.django_db
T = ToldStatus
Submitted = Callable[..., Book]
TARGET = {"take_profits": [{"price": Decimal(200)}]}
TEN = Decimal(10)


def echo(order: Order, status: ToldStatus, *, group: str, **more: Any) -> Any:
    """An open-order message about the order as it stands."""
    values = {
        "source": "open_order",
        "order_type": order.order_type,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "oca_group": group,
        "oca_type": 3 if group else 0,
    }
    return told(order, status, **values | more)


def gateway_group(book: Book) -> str:
    return str(book.entry.perm_id)


def held(book: Book, *, group: str | None = None) -> Book:
    """Its entry is filled and its exits are at work, in the Gateway's group or the one given."""
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    name = gateway_group(book) if group is None else group
    exits = [order for order in book.orders if order.leg != Leg.ENTRY]
    book.hear(*(echo(order, T.SUBMITTED, group=name) for order in exits))
    return book


def ask(book: Book) -> None:
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="out", now=at(30))


def step(book: Book, broker: FakeBroker, *, seconds: float) -> int:
    return execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(seconds))


def guard(book: Book, broker: FakeBroker, *, seconds: float) -> int:
    return guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=at(seconds)).repaired


def test_the_target_goes_to_the_market_and_the_stop_stays(submitted: Submitted, broker: FakeBroker) -> None:
    # Given 10 shares with a stop and a target that the broker has in one group
    book = held(submitted(**TARGET))
    # When they are closed
    ask(book)
    assert step(book, broker, seconds=31) == 1
    # Then the target becomes a market order, and nothing is cancelled or placed
    ((order_id, ticket, _parent),) = broker.modified
    assert (order_id, ticket.order_type, ticket.limit_price, ticket.quantity) == (
        book.target.order_id,
        OrderType.MARKET,
        None,
        TEN,
    )
    assert (ticket.oca_group, ticket.oca_type) == ("", 0)
    assert (broker.cancelled, broker.singles) == ([], [])
    # And asked again nothing is sent twice; the guard looks after the stop meanwhile
    assert step(book, broker, seconds=31.5) == 0
    assert not is_flattening(book.execution, book.brackets[0])
    # And the echo settles the change; the fill closes it, as a close and not as a target that was reached
    book.hear(echo(book.target, T.SUBMITTED, group=gateway_group(book), order_type="MARKET", limit_price=None))
    assert OrderCommand.objects.get(kind="MODIFY").settled_how == "echoed"
    assert step(book, broker, seconds=32) == 0
    book.hear(fill(book.target, "10"), told(book.target, T.FILLED), told(book.stop, T.CANCELLED))
    assert (book.execution.status, book.execution.exit_reason) == ("CLOSED", "CLOSE")
    assert step(book, broker, seconds=33) == 0
    assert execution_replay(book.execution_id) == []


@pytest.mark.parametrize("code", [10326, 329, 201])
def test_a_refused_change_of_the_target_goes_on_by_cancelling(
    submitted: Submitted, broker: FakeBroker, code: int
) -> None:
    book = held(submitted(**TARGET))
    ask(book)
    step(book, broker, seconds=31)
    book.hear(message(book.target, code, "refused", MessageMeaning.REQUEST_REFUSED))

    assert step(book, broker, seconds=32) == 2

    assert sorted(broker.cancelled) == sorted([book.stop.order_id, book.target.order_id])
    assert broker.singles == []
    book.hear(told(book.stop, T.CANCELLED), told(book.target, T.CANCELLED))
    step(book, broker, seconds=33)
    assert [ticket.quantity for ticket in broker.singles] == [TEN]


def test_a_change_that_is_being_processed_is_asked_for_again(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted(**TARGET))
    ask(book)
    step(book, broker, seconds=31)
    book.hear(message(book.target, 2102, "refused", MessageMeaning.REQUEST_REFUSED))

    assert step(book, broker, seconds=34) == 1

    assert [ticket.order_type for _id, ticket, _parent in broker.modified] == [OrderType.MARKET] * 2
    assert broker.cancelled == []


def test_a_close_joins_the_group_that_a_client_named(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted(), group="exits")
    ask(book)

    assert step(book, broker, seconds=31) == 1

    (ticket,) = broker.singles
    assert (ticket.quantity, ticket.oca_group, ticket.oca_type) == (TEN, "exits", 3)
    assert broker.cancelled == []
    # Its fill is recorded and the stop is still there: its cancel leaves at once
    close = book.order(Leg.CLOSE)
    book.hear(told(close, T.SUBMITTED), fill(close, "10"), told(close, T.FILLED))
    assert guard(book, broker, seconds=31.1) == 1
    assert broker.cancelled == [book.stop.order_id]


def test_a_close_that_comes_too_late_for_its_group_sells_nothing(submitted: Submitted, broker: FakeBroker) -> None:
    """201 "OCA group is already filled": an exit was faster, which its deals show."""
    book = held(submitted(), group="exits")
    ask(book)
    step(book, broker, seconds=31)
    close = book.order(Leg.CLOSE)
    book.hear(message(close, 201, "OCA group is already filled.", MessageMeaning.REFUSAL))

    # While the deals are not told, nothing is sent beside the stop that is there as far as anybody knows
    broker.holds(echo(book.stop, T.SUBMITTED, group="exits"))
    step(book, broker, seconds=32)
    assert (broker.cancelled, len(broker.singles)) == ([book.stop.order_id], 1)
    book.hear(fill(book.stop, "10"), told(book.stop, T.FILLED))
    assert step(book, broker, seconds=33) == 0
    assert (book.execution.status, book.execution.exit_reason, len(broker.singles)) == ("CLOSED", "STOP_LOSS", 1)


@pytest.mark.parametrize("road", ["auto", "target", "join", "cancel_first"])
def test_the_setting_says_which_road_is_taken(
    submitted: Submitted, broker: FakeBroker, settings: Settings, road: str
) -> None:
    settings.CLOSE_ROAD = road
    book = held(submitted(**TARGET))
    ask(book)
    step(book, broker, seconds=31)
    sent = (len(broker.modified), [ticket.oca_group for ticket in broker.singles], len(broker.cancelled))
    by_target, by_join, by_cancel = (1, [], 0), (0, [gateway_group(book)], 0), (0, [], 2)
    assert sent == {"auto": by_target, "target": by_target, "join": by_join, "cancel_first": by_cancel}[road]


def test_a_lone_stop_is_cancelled_and_the_close_follows_its_end(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted(), group="")
    ask(book)
    step(book, broker, seconds=31)
    assert (broker.cancelled, broker.singles) == ([book.stop.order_id], [])
    book.hear(told(book.stop, T.CANCELLED))
    # The guard places nothing beside it, and says that the next step of closing is due
    looked = guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=at(31.1))
    assert (looked.repaired, looked.closing) == (0, {book.execution_id})
    step(book, broker, seconds=31.2)
    assert [ticket.quantity for ticket in broker.singles] == [TEN]


def test_a_change_that_was_not_sent_after_all_is_sent_again_and_cancels_nothing(
    submitted: Submitted, broker: FakeBroker
) -> None:
    """Noted as sent, it was taken for one that the broker had not carried out, and the exits were cancelled."""
    book = held(submitted(**TARGET))
    ask(book)
    broker.modify_fails = RetryLater("It was not confirmed in time.", code="write_ahead_timeout")
    with pytest.raises(RetryLater):
        step(book, broker, seconds=31)
    assert OrderCommand.objects.get(kind="MODIFY").sent_at is None
    broker.modify_fails = None
    assert (step(book, broker, seconds=31.2), len(broker.modified), broker.cancelled) == (1, 1, [])


def test_a_change_that_got_lost_is_sent_again(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted(**TARGET))
    ask(book)
    for number in range(CLOSES_MAX):
        step(book, broker, seconds=31 + 3 * number)
        assert (len(broker.modified), broker.cancelled) == (number + 1, [])
        OrderCommand.objects.filter(kind="MODIFY", settled_at=None).update(
            settled_at=at(32 + 3 * number), settled_how=NOT_TAKEN
        )
    step(book, broker, seconds=50)
    assert len(broker.cancelled) == 2


def test_a_position_that_knows_a_deal_which_we_have_not_recorded_is_no_doubt(
    submitted: Submitted, broker: FakeBroker
) -> None:
    """Ten brackets of one instrument closed at once: the account is ahead of our rows for a moment."""
    first, second = held(submitted(**TARGET)), held(submitted(**TARGET))
    ask(second)
    assert step(second, broker, seconds=31) == 1
    # The first one's target has filled, and nobody has recorded it yet
    deal = fill(first.target, "10", con_id=first.execution.con_id)
    broker.deals = [deal]
    contract = Contract(symbol="AAPL", con_id=first.execution.con_id)
    broker.positions_book = [
        Position(account=broker.account_id, contract=contract, quantity=TEN, average_cost=Decimal(190))
    ]

    assert step(second, broker, seconds=34) == 1


def test_a_cut_that_is_answered_as_inactive_leaves_no_share_without_a_stop(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given ten shares, of which four are to be closed, and a stop that is not at work any more once it was cut
    book = held(submitted(), group="")
    Bracket.objects.filter(execution=book.execution_id).update(keep_quantity=6)
    Execution.objects.filter(pk=book.execution_id).update(close_requested_at=at(30))
    assert step(book, broker, seconds=31) == 1
    book.hear(told(book.stop, T.INACTIVE), seconds=32)
    # Then it goes first, lest it come to life beside what is sent next
    assert (step(book, broker, seconds=33), broker.cancelled) == (1, [book.stop.order_id])
    book.hear(told(book.stop, T.CANCELLED), seconds=34)
    step(book, broker, seconds=35)
    close = book.order(Leg.CLOSE)
    book.hear(told(close, T.SUBMITTED), fill(close, "4"), seconds=36)
    step(book, broker, seconds=37)
    # And what is kept is the guard's
    assert guard(book, broker, seconds=38) == 1
    assert [(ticket.order_type, ticket.quantity) for ticket in broker.singles] == [
        (OrderType.MARKET, 4),
        (OrderType.STOP, 6),
    ]
