"""What is to be sent is a row that outlives its worker, and is settled by what the broker tells."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from app.brokers.errors import BrokerTimeout, NotConnected
from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.command import CommandReason, cancel_settled
from app.domain.order_status import TERMINAL, OrderStatus
from app.executions.models import Actor, Execution, OrderCommand
from app.executions.services.apply import broker_event_record
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.commands_send import left_behind_send
from app.executions.services.commands_write import cancels_write
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.record import broker_events_record
from app.executions.services.sweep import execution_sweep
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}


def working(submitted: Submitted) -> Book:
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    return book


def position(submitted: Submitted) -> Book:
    book = working(submitted)
    book.hear(fill(book.entry, "10"), told(book.entry, T.FILLED))
    return book


def cancels(book: Book) -> list[tuple[str, str, str]]:
    """Each cancel: the order's leg, why, and what settled it."""
    return commands(book, "CANCEL")


def commands(book: Book, kind: str) -> list[tuple[str, str, str]]:
    """Each command of a kind: the order's leg, why, and what settled it."""
    found = OrderCommand.objects.filter(execution=book.execution_id, kind=kind).order_by("id")
    return list(found.values_list("order__leg", "reason_code", "settled_how"))


def ask(book: Book, *, seconds: float = 30, user: User | None = None) -> None:
    execution_cancel_request(execution_id=book.execution_id, reason=CommandReason.REQUESTED, user=user, now=at(seconds))


# What rests in the Gateway


def left_behind(submitted: Submitted, broker: FakeBroker) -> Book:
    """An entry that was written ahead, and that no answer of the broker knows."""
    book = submitted(**LIMIT)
    execution_reconcile(broker=broker, now=clock.now() + timedelta(seconds=60), settle_seconds=30)
    assert book.statuses == ["NOT_PLACED", "NOT_PLACED"]
    return book


@pytest.mark.case("T22")
def test_the_cancel_of_what_was_left_in_the_gateway_outlives_the_worker_that_found_it(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given an entry that may rest in the Gateway, and a worker that dies right after it was proved NOT_PLACED
    book = left_behind(submitted, broker)
    assert cancels(book) == [("ENTRY", "left_behind", "")]
    assert broker.cancelled == []
    # When the next worker has its connection
    broker.cancel_fails = NotConnected("It is not READY yet.")
    with pytest.raises(NotConnected):
        left_behind_send(broker=broker, now=at(100))
    broker.cancel_fails = None
    assert left_behind_send(broker=broker, now=at(101)) == 1
    # Then it is cancelled, once, until there was time to answer
    assert broker.cancelled == [book.entry.order_id]
    assert left_behind_send(broker=broker, now=at(105)) == 0
    assert left_behind_send(broker=broker, now=at(106)) == 1
    # And the broker's answer settles it, whether it knew the order or not
    book.hear(message(book.entry, 10147, "not found", MessageMeaning.REQUEST_REFUSED), seconds=107)
    assert cancels(book) == [("ENTRY", "left_behind", "answered_10147")]
    assert left_behind_send(broker=broker, now=at(200)) == 0


@pytest.mark.case("T22")
def test_who_never_answers_to_it_is_told_to_a_person(submitted: Submitted, broker: FakeBroker) -> None:
    book = left_behind(submitted, broker)
    asked_at = OrderCommand.objects.get(kind="CANCEL").requested_at
    assert execution_sweep(now=asked_at + timedelta(seconds=31)).asks_broker
    assert book.execution.attention == ""
    assert execution_sweep(now=asked_at + timedelta(seconds=91)).overdue == [book.execution_id]
    assert "it may rest in the Gateway untransmitted" in book.execution.attention


def test_what_another_account_left_behind_is_left_to_its_worker(submitted: Submitted, broker: FakeBroker) -> None:
    left_behind(submitted, broker)
    broker.connection.account.account_id = "DU7654321"
    assert left_behind_send(broker=broker, now=at(100)) == 0


# Who asked, and once


def test_who_asks_first_is_noted_and_who_asks_again_changes_nothing(submitted: Submitted, analyst: User) -> None:
    book = working(submitted)
    ask(book, user=analyst)
    execution_cancel_request(
        execution_id=book.execution_id, reason=CommandReason.KILL_SWITCH, actor=Actor.KILL_SWITCH, now=at(40)
    )
    command = OrderCommand.objects.get(kind="CANCEL")
    assert (command.actor, command.user, command.reason_code) == ("PERSON", analyst, "requested")
    assert (command.order, command.bracket_id, command.requested_at) == (book.entry, book.entry.bracket_id, at(30))
    assert command.evidence == {"status": "WORKING", "filled": "0.0000"}


def test_an_order_has_one_unsettled_cancel_whoever_writes_it(submitted: Submitted) -> None:
    book = working(submitted)
    for reason in (CommandReason.CLOSING, CommandReason.EXIT_LEFT):
        cancels_write(orders=[book.stop], execution_id=book.execution_id, actor=Actor.GUARD, reason=reason, now=at(30))
    assert cancels(book) == [("STOP_LOSS", "closing", "")]
    command = OrderCommand.objects.get(kind="CANCEL")
    command.pk = None
    with pytest.raises(IntegrityError, match="one_unsettled_command_of_a_kind"), transaction.atomic():
        command.save()


def test_each_policy_gives_its_reason(submitted: Submitted, broker: FakeBroker) -> None:
    # Given an entry past its deadline, a stop that was refused, an exit that is left, and a position to be closed
    late = submitted(entry_timeout_seconds=30, **LIMIT)
    late.hear(told(late.entry, T.SUBMITTED))
    execution_sweep(now=at(31))
    broken = working(submitted)
    broken.hear(message(broken.stop, 201, "no", MessageMeaning.REFUSAL))
    execution_cancel_send(execution_id=broken.execution_id, broker=broker, now=at(31))
    closing = position(submitted)
    execution_flatten_request(execution_id=closing.execution_id, actor=Actor.PERSON, user=None, reason="", now=at(31))
    execution_flatten_send(execution_id=closing.execution_id, broker=broker, now=at(32))
    # Then each cancel says why
    assert cancels(late) == [("ENTRY", "entry_timeout", "")]
    assert cancels(broken) == [("ENTRY", "stop_lost", "")]
    assert cancels(closing) == [("STOP_LOSS", "closing", "")]
    assert broker.cancelled == [broken.entry.order_id, closing.stop.order_id]


def test_the_target_beside_a_new_stop_is_cancelled_with_the_write_ahead_of_that_stop(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal(1)}], **LIMIT)
    for order in (book.stop, book.target):
        book.hear(told(order, T.PRE_SUBMITTED))
    book.hear(fill(book.entry, "10"), told(book.entry, T.FILLED), told(book.stop, T.CANCELLED))
    broker.dies_after_write_ahead = False
    guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=clock.now())
    assert len(broker.singles) == 1
    assert cancels(book) == [("TAKE_PROFIT", "replaced", "")]
    protect = next(order for order in book.orders if order.leg == "PROTECT")
    command = OrderCommand.objects.get(kind="CANCEL")
    assert (command.sent_at, command.evidence["replaced_by"]) == (protect.sent_at, protect.order_ref)


# Sent, and settled by evidence


def test_one_that_was_never_sent_is_sent_at_once_and_one_that_may_have_been_gets_time(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = working(submitted)
    ask(book)
    send = {"execution_id": book.execution_id, "broker": broker}
    # Given a connection that is away: nothing was sent
    broker.cancel_fails = NotConnected("It is away.")
    with pytest.raises(NotConnected):
        execution_cancel_send(now=at(31), **send)
    assert OrderCommand.objects.get(kind="CANCEL").sent_at is None
    # When it breaks while sending
    broker.cancel_fails = BrokerTimeout("It broke.")
    with pytest.raises(BrokerTimeout):
        execution_cancel_send(now=at(32), **send)
    # Then it may have been sent, and is given time for an answer
    assert OrderCommand.objects.get(kind="CANCEL").sent_at == at(32)
    broker.cancel_fails = None
    assert execution_cancel_send(now=at(36), **send) == 0
    assert execution_cancel_send(now=at(37), **send) == 1


def test_it_is_noted_as_sent_before_the_first_byte(
    submitted: Submitted, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = working(submitted)
    ask(book)
    noted: list[object] = []
    monkeypatch.setattr(
        broker, "cancel_order", lambda _id: noted.append(OrderCommand.objects.get(kind="CANCEL").sent_at)
    )
    execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(31))
    assert noted == [at(31)]


@pytest.mark.parametrize("recorded", ["one by one", "many at once"])
@pytest.mark.parametrize(
    ("end", "how"),
    [
        (lambda order: told(order, T.CANCELLED), "order_cancelled"),
        (lambda order: fill(order, "10"), "order_filled"),
        (lambda order: message(order, 201, "no", MessageMeaning.REFUSAL), "order_rejected"),
    ],
    ids=["cancelled", "filled", "refused"],
)
def test_whatever_ends_the_order_settles_its_cancel(
    submitted: Submitted, recorded: str, end: Callable[..., object], how: str
) -> None:
    book = working(submitted)
    ask(book)
    # What only says that it is on its way, or fills a part, settles nothing
    for event in (told(book.entry, T.PENDING_CANCEL), fill(book.entry, "4"), end(book.entry)):
        assert cancels(book)[-1][2] == ""
        if recorded == "one by one":
            broker_event_record(event, now=at(40))
        else:
            broker_events_record([event], now=at(40))
        if book.entry.status in {status.value for status in TERMINAL}:
            break
    else:
        broker_event_record(fill(book.entry, "6"), now=at(41))
    assert cancels(book)[-1][2] == how


def test_a_cancel_before_anything_was_sent_is_settled_with_the_order(submitted: Submitted, requested: object) -> None:
    book = Book(requested().pk)  # type: ignore[operator]
    ask(book)
    assert cancels(book) == [("ENTRY", "requested", "order_not_placed")]


def test_what_was_never_sent_and_is_not_asked_for_any_more_is_withdrawn(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given a position that is to be closed, whose cancels could not be sent
    book = position(submitted)
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="", now=at(31))
    broker.cancel_fails = NotConnected("It is away.")
    with pytest.raises(NotConnected):
        execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(32))
    # When nobody closes it any more
    Execution.objects.update(flatten_requested_at=None)
    execution_sweep(now=at(61))
    assert cancels(book) == [("STOP_LOSS", "closing", "")]
    execution_sweep(now=at(62))
    # Then its stop is left alone for good
    assert cancels(book) == [("STOP_LOSS", "closing", "withdrawn")]
    assert execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(63)) == 0


@pytest.mark.parametrize("status", OrderStatus)
def test_a_cancel_is_settled_by_the_end_of_its_order_and_by_nothing_else(status: OrderStatus) -> None:
    how = cancel_settled(reason=CommandReason.REQUESTED, status=status)
    assert how == (f"order_{status.lower()}" if status in TERMINAL else "")
