"""What is written about an execution while somebody else writes about it is not lost, nor told wrongly."""

import threading
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.db import transaction

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_reconciled
from app.domain.broker_events import ToldStatus
from app.domain.command import CommandReason
from app.executions.models import Actor, Order, OrderCommand
from app.executions.services.commands_send import changes_send
from app.executions.services.commands_settle import commands_settle_rest
from app.executions.services.commands_write import change_write
from tests.eventually import eventually
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told

T = ToldStatus


@pytest.fixture
def running(submitted: Any) -> Book:
    """Ten shares held behind a stop at 185, with a target at 200."""
    book: Book = submitted(take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.stop, T.PRE_SUBMITTED, stop_price=Decimal(185)))
    book.hear(told(book.target, T.SUBMITTED, limit_price=Decimal(200)))
    return book


def move(book: Book, order: Order, user: User, **change: Decimal) -> OrderCommand:
    return change_write(
        order=order,
        execution=book.execution,
        change=change,
        actor=Actor.PERSON,
        reason=CommandReason.MOVED,
        user=user,
        now=at(20),
    )


@pytest.mark.django_db
def test_what_a_move_told_is_not_written_over_by_what_is_told_of_another_order(
    running: Book, broker: FakeBroker, analyst: User
) -> None:
    # Given a stop that was moved by hand before our move was sent, and a target that another client id placed
    move(running, running.stop, analyst, stop_price=Decimal(187))
    move(running, running.target, analyst, limit_price=Decimal(210))
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(188), source="open_order"), seconds=21)
    Order.objects.filter(pk=running.target.pk).update(client_id=9)
    # When both moves are to be sent
    orders = [running.stop, running.target]
    assert changes_send(execution_id=running.execution_id, orders=orders, broker=broker, now=at(30)) == 0
    # Then a person is told of both
    stayed = "it was to be moved to 187.00, and somebody had moved it to 188.00 meanwhile: it stays there"
    assert running.execution.attention.splitlines() == [
        f"{running.stop.order_ref}: {stayed}",
        f"{running.target.order_ref}: only client id 9, which placed it, can change it",
    ]
    assert running.execution.flags.count() == 2


@pytest.mark.django_db
@pytest.mark.case("T51")
def test_the_echo_of_our_own_move_is_no_move_of_somebody_elses(
    running: Book, broker: FakeBroker, analyst: User
) -> None:
    # Given a move that was sent, and a cut that is written down before its echo, and wants the same price
    move(running, running.stop, analyst, stop_price=Decimal(187))
    changes_send(execution_id=running.execution_id, orders=[running.stop], broker=broker, now=at(21))
    cut = {"change": {"quantity": Decimal(4)}, "actor": Actor.GUARD, "reason": CommandReason.RESIZED}
    change_write(order=running.stop, execution=running.execution, now=at(22), **cut)
    running.hear(told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(187), source="open_order"), seconds=23)
    # When its turn has come, then it is cut, and nobody is told of anybody
    changes_send(execution_id=running.execution_id, orders=[running.stop], broker=broker, now=at(30))
    assert [(ticket.quantity, ticket.stop_price) for _id, ticket, _parent in broker.modified] == [(10, 187), (4, 187)]
    assert running.execution.attention == ""


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_echoed_while_it_is_given_up_was_taken(
    running: Book,
    broker: FakeBroker,
    analyst: User,
    connection: BrokerConnection,
    in_thread: Callable[[Callable[[], None]], Callable[[], None]],
) -> None:
    # Given a move that a complete answer did not know
    command = move(running, running.stop, analyst, stop_price=Decimal(187))
    changes_send(execution_id=running.execution_id, orders=[running.stop], broker=broker, now=at(30))
    connection_reconciled(connection_id=connection.pk, now=at(30) + timedelta(seconds=6))
    settling = threading.Thread(target=in_thread(lambda: commands_settle_rest(now=at(40))))
    # When its echo is recorded in the moment in which it is given up
    with transaction.atomic():
        type(running.execution).objects.select_for_update(no_key=True).get(pk=running.execution_id)
        settling.start()
        eventually(_somebody_waits)
        echo = told(running.stop, T.PRE_SUBMITTED, stop_price=Decimal(187), source="open_order")
        running.hear(echo, seconds=40)
    settling.join(10)
    # Then the echo has settled it, and nobody is told that it was not taken
    command.refresh_from_db()
    assert (command.settled_how, running.stop.stop_price, running.execution.attention) == ("echoed", 187, "")


def _somebody_waits() -> bool:
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
