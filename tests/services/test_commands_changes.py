"""A change and a placing are rows first, settled by what the broker tells."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from app.accounts.services import connection_reconciled
from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.command import CommandReason, change_settled, place_settled
from app.domain.order_status import TERMINAL, OrderStatus
from app.executions.models import Actor, Execution, OrderCommand
from app.executions.services.commands_send import changes_send
from app.executions.services.commands_write import change_write
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.submit import execution_submit
from app.executions.services.sweep import execution_sweep
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, message, told
from tests.services.test_commands import commands, left_behind, position

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}


def resize(book: Book, quantity: str, *, seconds: float = 30) -> None:
    change_write(
        order=book.stop,
        execution=book.execution,
        change={"quantity": Decimal(quantity)},
        actor=Actor.GUARD,
        reason=CommandReason.RESIZED,
        now=at(seconds),
    )


def send_changes(book: Book, broker: FakeBroker, *, seconds: float = 31) -> int:
    return changes_send(execution_id=book.execution_id, orders=[book.stop], broker=broker, now=at(seconds))


def test_a_change_is_a_row_first_and_settled_by_its_echo(submitted: Submitted, broker: FakeBroker) -> None:
    book = position(submitted)
    resize(book, "6")
    assert send_changes(book, broker) == 1
    # What is sent is the order as it is to be; its row is as it was told
    ((order_id, ticket, _parent),) = broker.modified
    assert (order_id, ticket.quantity, ticket.stop_price) == (book.stop.order_id, 6, book.stop.stop_price)
    assert (book.stop.quantity, commands(book, "MODIFY")) == (10, [("STOP_LOSS", "resized", "")])
    # An echo of the order as it was says nothing of it
    book.hear(told(book.stop, T.SUBMITTED, remaining=10, received_at=at(32)))
    assert commands(book, "MODIFY")[-1][2] == ""
    book.hear(told(book.stop, T.PRE_SUBMITTED, remaining=6, received_at=at(33)))
    assert (book.stop.quantity, commands(book, "MODIFY")[-1][2]) == (6, "echoed")


def test_a_refused_change_leaves_the_order_as_it_was(submitted: Submitted, broker: FakeBroker) -> None:
    book = position(submitted)
    resize(book, "6")
    refusal = message(book.stop, 10326, "OCA group revision is not allowed.", MessageMeaning.REQUEST_REFUSED)
    send_changes(book, broker)
    book.hear(refusal)
    assert (book.stop.quantity, book.stop.status) == (10, "HELD")
    assert commands(book, "MODIFY") == [("STOP_LOSS", "resized", "refused_10326")]


def test_a_newer_change_takes_the_place_of_an_older_one(submitted: Submitted, broker: FakeBroker) -> None:
    book = position(submitted)
    resize(book, "8")
    resize(book, "8", seconds=31)  # The same again is the same command.
    resize(book, "7", seconds=32)
    assert send_changes(book, broker, seconds=33) == 1
    resize(book, "6", seconds=34)
    assert send_changes(book, broker, seconds=34) == 1
    assert [ticket.quantity for _id, ticket, _parent in broker.modified] == [7, 6]
    assert [how for _leg, _reason, how in commands(book, "MODIFY")] == ["superseded", "superseded", ""]


def test_a_cancel_withdraws_a_change_that_was_not_sent(submitted: Submitted, broker: FakeBroker) -> None:
    book = position(submitted)
    resize(book, "8")
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="", now=at(31))
    execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(32))
    assert commands(book, "MODIFY") == [("STOP_LOSS", "resized", "withdrawn")]
    assert (broker.modified, broker.cancelled) == ([], [book.stop.order_id])


@pytest.mark.parametrize(("asked_at", "how"), [(35, ""), (37, "not_taken")])
def test_a_complete_answer_that_was_asked_for_later_says_that_a_change_was_lost(
    submitted: Submitted, broker: FakeBroker, asked_at: float, how: str
) -> None:
    book = position(submitted)
    resize(book, "8")
    send_changes(book, broker, seconds=31)
    connection_reconciled(connection_id=broker.connection_id, now=at(asked_at))
    execution_sweep(now=at(40))
    assert commands(book, "MODIFY")[-1][2] == how


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("is_as_wanted", [True, False])
def test_a_change_is_settled_by_echo_end_or_refusal(status: OrderStatus, is_as_wanted: bool) -> None:
    how = change_settled(status=status, is_as_wanted=is_as_wanted)
    assert how == (f"order_{status.lower()}" if status in TERMINAL else "echoed" if is_as_wanted else "")


# Placing


def test_the_placing_of_a_native_bracket_is_one_command_settled_by_the_answers(
    requested: Callable[..., Execution], broker: FakeBroker, analyst: User
) -> None:
    # Given a setup with two targets: two brackets
    targets = [{"price": Decimal(200), "fraction": Decimal("0.5")}]
    book = Book(requested(take_profits=targets, **LIMIT).pk)
    placed = list(OrderCommand.objects.filter(execution=book.execution_id))
    assert [(command.kind, command.actor, command.user) for command in placed] == [("PLACE", "PERSON", analyst)] * 2
    by_bracket = [[order.order_ref for order in book.orders if order.bracket == each] for each in book.brackets]
    assert [command.change["orders"] for command in placed] == by_bracket
    # When each order of the first is answered
    execution_submit(execution_id=book.execution_id, broker=broker, now=at(1))
    first = [order for order in book.orders if order.bracket == book.brackets[0]]
    for order in first:
        assert commands(book, "PLACE")[0][2] == ""
        book.hear(told(order, T.PRE_SUBMITTED))
    # Then that settles it, and nothing else
    assert [how for _leg, _reason, how in commands(book, "PLACE")] == ["answered", ""]
    placed[0].refresh_from_db()
    assert placed[0].sent_at == first[0].sent_at is not None


def test_what_never_arrived_settles_its_placing(submitted: Submitted, broker: FakeBroker) -> None:
    book = left_behind(submitted, broker)
    assert commands(book, "PLACE") == [("ENTRY", "requested", "not_placed")]


def test_a_repair_and_a_close_are_commands_too(submitted: Submitted, broker: FakeBroker) -> None:
    book = position(submitted)
    book.hear(told(book.stop, T.CANCELLED))
    guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=clock.now())
    protect = next(order for order in book.orders if order.leg == "PROTECT")
    book.hear(told(protect, T.PRE_SUBMITTED), told(protect, T.CANCELLED))
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="", now=at(31))
    execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(32))
    assert commands(book, "PLACE") == [
        ("ENTRY", "requested", "answered"),
        ("PROTECT", "bare_shares", "answered"),
        ("CLOSE", "closing", ""),
    ]


@pytest.mark.parametrize(
    ("statuses", "how"),
    [
        ([], ""),
        ([OrderStatus.WORKING, OrderStatus.SENT], ""),
        ([OrderStatus.NOT_PLACED, OrderStatus.CREATED], ""),
        ([OrderStatus.NOT_PLACED, OrderStatus.NOT_PLACED], "not_placed"),
        ([OrderStatus.NOT_PLACED, OrderStatus.WORKING], "answered"),
        ([OrderStatus.REJECTED, OrderStatus.CANCELLED], "refused"),
        ([OrderStatus.FILLED, OrderStatus.HELD], "answered"),
    ],
)
def test_placing_is_settled_when_nothing_of_it_is_unanswered(statuses: list[OrderStatus], how: str) -> None:
    assert place_settled(statuses) == how
