"""Moving a stop or a target: checked, sent once, proved by the echo, and told where it did not come to pass."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from app.core import clock
from app.core.errors import FixRequest
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.command import CommandReason
from app.domain.terms import Leg
from app.executions.models import Actor, Decision, OrderCommand
from app.executions.services.commands_send import changes_send, moves_send
from app.executions.services.commands_settle import commands_settle_rest
from app.executions.services.commands_write import change_write
from app.executions.services.move import Move, Moved, order_move_request
from app.executions.services.replay import execution_replay
from app.market.models import Instrument
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, message, told

pytestmark = pytest.mark.django_db
T = ToldStatus


@pytest.fixture
def running(submitted: Any) -> Book:
    """Ten shares held behind a stop at 185, with a target at 200, while the market is at 190."""
    book: Book = submitted(take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal(185)))
    book.hear(told(book.target, T.SUBMITTED, limit_price=Decimal(200)))
    return book


def move(book: Book, user: User, price: str, expected: str = "185", **said: Any) -> list[OrderCommand]:
    key = said.pop("key", f"move to {price}")
    what = said.pop("what", Moved.STOP)
    wanted = Move(what=what, price=Decimal(price), expected_price=Decimal(expected), **said)
    return order_move_request(
        execution_id=book.execution_id, move=wanted, user=user, idempotency_key=key, now=clock.now()
    )


def send(book: Book, broker: FakeBroker, *, seconds: float = 30) -> list[tuple[int, Decimal | None]]:
    """Send what was not sent; return each order's id with the price that it was sent with, of all so far."""
    moves_send(execution_id=book.execution_id, broker=broker, now=at(seconds))
    return [(order_id, ticket.stop_price or ticket.limit_price) for order_id, ticket, _parent in broker.modified]


def test_a_stop_is_moved_once_and_the_echo_proves_it(running: Book, broker: FakeBroker, analyst: User) -> None:
    (command,) = move(running, analyst, "187")
    assert (command.kind, command.reason_code, command.change) == ("MODIFY", "moved", {"stop_price": "187"})
    # The row stays where the broker has it until the broker says otherwise
    assert send(running, broker) == [(running.stop.order_id, Decimal(187))]
    assert send(running, broker, seconds=60) == [(running.stop.order_id, Decimal(187))]
    assert running.stop.stop_price == 185
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(187), source="open_order"), seconds=31)
    command.refresh_from_db()
    assert (running.stop.stop_price, command.settled_how, running.execution.attention) == (187, "echoed", "")
    decision = Decision.objects.get(action="MOVE_STOP")
    assert (decision.user, decision.evidence["orders"]) == (analyst, [running.stop.order_ref])
    assert execution_replay(running.execution_id) == []


def test_a_target_is_moved(running: Book, broker: FakeBroker, analyst: User) -> None:
    move(running, analyst, "195", "200", what=Moved.TARGET, tranche=1)
    assert send(running, broker) == [(running.target.order_id, Decimal(195))]


def test_the_same_key_moves_once_and_another_move_under_it_is_refused(
    running: Book, broker: FakeBroker, analyst: User
) -> None:
    first = move(running, analyst, "187", key="k")
    assert move(running, analyst, "187", key="k") == first
    send(running, broker)
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(187)), seconds=31)
    assert move(running, analyst, "187", key="k") == first, "also when it is done, and the price is another one"
    with pytest.raises(FixRequest) as refused:
        move(running, analyst, "188", "187", key="k")
    assert refused.value.code == "idempotency_key_reused"
    assert len(send(running, broker)) == 1


def test_who_wants_what_is_on_its_way_already_gets_that_under_a_key_of_his_own(
    running: Book, broker: FakeBroker, analyst: User
) -> None:
    # Given the same move asked for twice, under two keys
    first = move(running, analyst, "187", key="a")
    assert move(running, analyst, "187", key="b") == first
    send(running, broker)
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(187)), seconds=31)
    # When the second is sent again after it is done
    assert move(running, analyst, "187", key="b") == first
    # And another move under its key is refused
    with pytest.raises(FixRequest) as refused:
        move(running, analyst, "188", "187", key="b")
    assert (refused.value.code, len(send(running, broker))) == ("idempotency_key_reused", 1)


def test_a_move_that_another_change_took_over_is_answered_as_it_was(
    running: Book, broker: FakeBroker, analyst: User
) -> None:
    first = move(running, analyst, "187", key="a")
    cut = {"change": {"quantity": Decimal(4)}, "actor": Actor.GUARD, "reason": CommandReason.RESIZED}
    change_write(order=running.stop, execution=running.execution, now=at(30), **cut)
    assert move(running, analyst, "187", key="a") == first


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"price": "187", "expected": "184"}, "price_changed"),
        ({"price": "185"}, "price_unchanged"),
        ({"price": "0"}, "price_not_positive"),
        ({"price": "187.001"}, "price_off_tick"),
        ({"price": "190"}, "would_trigger_at_once"),
        ({"price": "195"}, "would_trigger_at_once"),
        ({"price": "200"}, "stop_wrong_side"),
        ({"price": "187", "tranche": 2}, "tranche_not_found"),
        ({"price": "187", "key": ""}, "idempotency_key_missing"),
        ({"price": "190", "expected": "200", "what": Moved.TARGET}, "would_trigger_at_once"),
        ({"price": "185", "expected": "200", "what": Moved.TARGET}, "target_wrong_side"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_sent(
    running: Book, broker: FakeBroker, analyst: User, said: dict[str, Any], code: str
) -> None:
    Instrument.objects.update(price_increments=[{"low_edge": "0", "increment": "0.01"}], last_price_at=clock.now())
    with pytest.raises(FixRequest) as refused:
        move(running, analyst, **said)
    assert refused.value.code == code
    assert send(running, broker) == []


def test_a_figure_that_is_refused_is_told_without_an_exponent(running: Book, analyst: User) -> None:
    with pytest.raises(FixRequest) as refused:
        move(running, analyst, "0E-8")
    assert refused.value.message == "A price must be positive, not 0."


def test_without_a_young_quote_the_broker_decides(running: Book, broker: FakeBroker, analyst: User) -> None:
    Instrument.objects.update(last_price_at=clock.now() - timedelta(minutes=5))
    move(running, analyst, "195")
    assert send(running, broker) == [(running.stop.order_id, Decimal(195))]


def test_a_short_position_is_moved_the_other_way_round(submitted: Any, broker: FakeBroker, analyst: User) -> None:
    book: Book = submitted(side="SHORT", stop_price=Decimal(195))
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    with pytest.raises(FixRequest) as refused:
        move(book, analyst, "190", "195")
    assert refused.value.code == "would_trigger_at_once"
    move(book, analyst, "192", "195")
    assert send(book, broker) == [(book.stop.order_id, Decimal(192))]


def test_the_stops_of_all_tranches_are_moved_or_of_one(submitted: Any, broker: FakeBroker, analyst: User) -> None:
    half = Decimal("0.5")
    book: Book = submitted(take_profits=[{"price": Decimal(p), "fraction": half} for p in (200, 210)])
    for order in book.orders:
        book.hear(told(order, T.PRE_SUBMITTED))
    stops = [order for order in book.orders if order.leg == "STOP_LOSS"]
    assert len(move(book, analyst, "184")) == 2
    assert {order_id for order_id, _price in send(book, broker)} == {stop.order_id for stop in stops}
    for stop in stops:
        book.hear(told(stop, T.PRE_SUBMITTED, stop_price=Decimal(184)), seconds=31)
    (second,) = move(book, analyst, "183", "184", tranche=2)
    assert second.order == stops[1]
    # A child is sent with its entry's id for as long as that lives
    send(book, broker)
    assert broker.modified[-1][2] == book.order(Leg.ENTRY, tranche=2).order_id


@pytest.mark.parametrize("code", [10326, 10327, 201])
def test_a_refused_move_leaves_the_old_price_and_is_told(
    running: Book, broker: FakeBroker, analyst: User, code: int
) -> None:
    (command,) = move(running, analyst, "187")
    send(running, broker)
    running.hear(message(running.stop, code, "Not like this", MessageMeaning.REQUEST_REFUSED), seconds=31)
    command.refresh_from_db()
    assert (running.stop.stop_price, running.stop.status, command.settled_how) == (185, "HELD", f"refused_{code}")
    assert running.execution.attention == (
        f"{running.stop.order_ref}: it was to be moved to 187.00, and the broker refused ({code}: Not like this): it "
        "stays at 185.00"
    )


def test_a_move_that_nothing_could_send_is_given_up_and_told(running: Book, broker: FakeBroker, analyst: User) -> None:
    (command,) = move(running, analyst, "187")
    commands_settle_rest(now=command.requested_at + timedelta(seconds=31))
    command.refresh_from_db()
    assert command.settled_how == "withdrawn"
    assert "nothing could be sent to the broker in time: it stays at 185.00" in running.execution.attention
    assert send(running, broker) == []


# Moved by hand meanwhile


def test_a_stop_that_was_moved_by_hand_before_ours_was_sent_stays_there(
    running: Book, broker: FakeBroker, analyst: User
) -> None:
    (command,) = move(running, analyst, "187")
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(188), source="open_order"), seconds=21)
    assert send(running, broker) == []
    command.refresh_from_db()
    assert (command.settled_how, running.stop.stop_price) == ("price_changed", 188)
    assert "somebody had moved it to 188.00 meanwhile: it stays there" in running.execution.attention


@pytest.mark.parametrize("ours", ["moved", "cut"])
def test_a_stop_moved_by_hand_while_ours_was_on_its_way_is_put_back_once(
    running: Book, broker: FakeBroker, analyst: User, ours: str
) -> None:
    # Given a change of ours on the wire
    if ours == "moved":
        move(running, analyst, "187")
        send(running, broker)
        echo: dict[str, Any] = {"stop_price": Decimal(187)}
    else:
        cut = {"change": {"quantity": Decimal(4)}, "actor": Actor.GUARD, "reason": CommandReason.RESIZED}
        change_write(order=running.stop, execution=running.execution, now=at(29), **cut)
        changes_send(execution_id=running.execution_id, orders=[running.stop], broker=broker, now=at(30))
        echo = {"stop_price": Decimal(185), "remaining": 4}
    # When somebody's move of the stop is echoed before ours, which then goes over it
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(186), source="open_order"), seconds=31)
    running.hear(told(running.stop, T.PRE_SUBMITTED, source="open_order", **echo), seconds=32)
    # Then it is put back where that person had it, and told
    assert send(running, broker, seconds=33)[-1] == (running.stop.order_id, Decimal(186))
    assert "somebody moved it to 186.00 while a change of ours was on its way" in running.execution.attention
    running.hear(
        told(running.stop, T.PRE_SUBMITTED, source="open_order", **(echo | {"stop_price": Decimal(186)})), seconds=34
    )
    assert running.stop.stop_price == 186
    # And once only: who moves it again has the last word
    running.hear(
        told(running.stop, T.PRE_SUBMITTED, source="open_order", **(echo | {"stop_price": Decimal(184)})), seconds=35
    )
    assert not OrderCommand.objects.filter(settled_at__isnull=True).exists()
    assert running.stop.stop_price == 184


def test_the_late_echo_of_an_earlier_move_is_nobody_elses(running: Book, broker: FakeBroker, analyst: User) -> None:
    move(running, analyst, "187")
    send(running, broker)
    move(running, analyst, "188")
    send(running, broker, seconds=31)
    for seconds, price in ((32, 187), (33, 188)):
        echo = told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(price), source="open_order")
        running.hear(echo, seconds=seconds)
    assert send(running, broker, seconds=34)[-1] == (running.stop.order_id, Decimal(188))
    assert (running.stop.stop_price, running.execution.attention) == (188, "")


def test_a_stop_that_is_being_cut_is_cut_and_moved(running: Book, broker: FakeBroker, analyst: User) -> None:
    cut = {"change": {"quantity": Decimal(4)}, "actor": Actor.GUARD, "reason": CommandReason.RESIZED}
    change_write(order=running.stop, execution=running.execution, now=at(29), **cut)
    (command,) = move(running, analyst, "187")
    assert command.change == {"quantity": "4", "stop_price": "187"}
    # The guard, which wants it cut again, adds nothing
    assert change_write(order=running.stop, execution=running.execution, now=at(30), **cut) == command
    send(running, broker)
    ((_id, ticket, _parent),) = broker.modified
    assert (ticket.quantity, ticket.stop_price) == (4, 187)
