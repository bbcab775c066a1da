"""Putting a request on the wire: claimed once, written ahead, sent once."""

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest

from app.accounts.models import BrokerConnection
from app.accounts.services import OrderIdTooLow, connection_ensure
from app.brokers.base import BracketTicket
from app.brokers.errors import BrokerTimeout, NotConnected, QueueFull
from app.domain.execution_status import ExecutionStatus
from app.domain.order_status import OrderStatus
from app.domain.terms import Action, Leg, OrderType, TimeInForce
from app.executions.models import Execution, Order
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.submit import execution_submit
from tests.services.book import Book
from tests.services.fake_broker import FailAt, FakeBroker, ProcessDied
from tests.services.heard import at

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
CREATED, SENT, NOT_PLACED = OrderStatus.CREATED.value, OrderStatus.SENT.value, OrderStatus.NOT_PLACED.value


def submit(execution: Execution, broker: FakeBroker, *, seconds: float = 1) -> str:
    return execution_submit(execution_id=execution.pk, broker=broker, now=at(seconds))


# Sent as one native bracket


def test_a_bracket_is_sent_with_its_legs_and_answers_its_reference(requested: Requested, broker: FakeBroker) -> None:
    execution = requested(take_profits=[{"price": Decimal(200)}])
    # When it is submitted
    reference = submit(execution, broker)
    # Then one bracket went out, its ids above the floor, and the rows show it
    (sent,) = broker.sent
    book = Book(execution.pk)
    assert [ticket.order_ref.rsplit("-", 1)[1] for ticket in sent.ticket.orders] == [
        "ENTRY",
        "TAKE_PROFIT",
        "STOP_LOSS",
    ]
    assert reference == "IB-1:3" == book.execution.reference
    assert book.execution.status == ExecutionStatus.SUBMITTING.value
    assert [(o.order_id, o.client_id, o.status) for o in book.orders] == [(1, 1, SENT), (2, 1, SENT), (3, 1, SENT)]
    assert all(order.sent_at for order in book.orders)


def test_the_tickets_say_what_the_rows_say(requested: Requested, broker: FakeBroker) -> None:
    execution = requested(
        side="SHORT",
        entry_type="STOP_LIMIT",
        entry_price=Decimal(180),
        entry_limit_price=Decimal("179.50"),
        stop_price=Decimal(186),
        time_in_force="GTC",
        outside_rth=True,
    )
    submit(execution, broker)
    ticket = broker.sent[0].ticket
    entry, stop = ticket.entry, ticket.stop_loss
    assert (entry.action, entry.order_type, entry.stop_price, entry.limit_price, entry.time_in_force) == (
        Action.SELL,
        OrderType.STOP_LIMIT,
        Decimal(180),
        Decimal("179.50"),
        TimeInForce.GTC,
    )
    assert (stop.action, stop.order_type, stop.stop_price, stop.time_in_force) == (
        Action.BUY,
        OrderType.STOP,
        Decimal(186),
        TimeInForce.GTC,
    )
    assert (entry.outside_rth, stop.outside_rth, entry.quantity, stop.quantity) == (True, True, 10, 10)
    assert (ticket.contract.symbol, ticket.contract.exchange, ticket.contract.currency) == ("AAPL", "SMART", "USD")
    assert ticket.take_profit is None


def test_every_tranche_is_sent_as_a_bracket_of_its_own(requested: Requested, broker: FakeBroker) -> None:
    halves = [{"price": Decimal(200), "fraction": Decimal("0.5")}, {"price": Decimal(210), "fraction": Decimal("0.5")}]
    execution = requested(take_profits=halves)
    assert submit(execution, broker) == "IB-1:3"
    assert [sorted(sent.order_ids.values()) for sent in broker.sent] == [[1, 2, 3], [4, 5, 6]]


def test_the_ids_and_the_floor_are_in_the_rows_before_the_first_byte(requested: Requested, broker: FakeBroker) -> None:
    seen: list[tuple[list[int | None], list[str], int, int]] = []

    def look(order_ids: Mapping[str, int]) -> None:
        orders = Order.objects.filter(order_ref__in=order_ids).order_by("order_id")
        floor = BrokerConnection.objects.get(pk=broker.connection_id).order_id_floor
        seen.append(([o.order_id for o in orders], [o.status for o in orders], floor, len(broker.sent)))

    broker.after_write_ahead = look
    submit(requested(), broker)
    assert seen == [([1, 2], [SENT, SENT], 2, 0)]


# At most once


def test_submitting_again_sends_nothing(requested: Requested, broker: FakeBroker) -> None:
    execution = requested()
    submit(execution, broker)
    assert submit(execution, broker) == ""
    assert (len(broker.sent), broker.placements) == (1, 1)


def test_an_unknown_execution_sends_nothing(broker: FakeBroker) -> None:
    assert execution_submit(execution_id=999, broker=broker, now=at(0)) == ""
    assert broker.sent == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_race_send_one_bracket(
    requested: Requested, broker: FakeBroker, in_thread: Callable[[Callable[[], None]], Callable[[], None]]
) -> None:
    # Given two workers with a connection each, about to take the same executions
    executions = [requested() for _ in range(4)]
    other = FakeBroker(connection=connection_ensure(account_id=broker.account_id, client_id=2))
    barrier = threading.Barrier(2)
    answers: list[str] = []

    def worker(with_broker: FakeBroker) -> Callable[[], None]:
        def work() -> None:
            for execution in executions:
                barrier.wait(timeout=10)
                answers.append(submit(execution, with_broker))

        return in_thread(work)

    threads = [threading.Thread(target=worker(each)) for each in (broker, other)]
    # When both take each at the same time
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    # Then each was sent by one of them, and the other did not even ask for a turn
    sent = [ref for each in (broker, other) for bracket in each.sent for ref in bracket.order_ids]
    assert sorted(sent) == sorted(Order.objects.values_list("order_ref", flat=True))
    assert len(broker.sent) + len(other.sent) == broker.placements + other.placements == 4
    assert answers.count("") == 4


@pytest.mark.parametrize("fail_at", [FailAt.AFTER_WRITE_AHEAD, FailAt.BETWEEN_LEGS])
def test_a_death_after_the_write_ahead_leaves_it_sent_and_it_is_never_sent_again(
    requested: Requested, broker: FakeBroker, fail_at: FailAt
) -> None:
    execution = requested()
    broker.fail_at = {1: fail_at}
    with pytest.raises(ProcessDied):
        submit(execution, broker)
    sent_before = len(broker.sent)
    assert Book(execution.pk).statuses == [SENT, SENT]
    # When another worker is asked to submit it
    assert submit(execution, broker, seconds=100) == ""
    # Then nothing more goes out: only the broker's complete answer decides
    assert len(broker.sent) == sent_before
    assert Book(execution.pk).execution.status == ExecutionStatus.SUBMITTING.value


def test_an_unknown_outcome_is_told_and_never_sent_again(requested: Requested, broker: FakeBroker) -> None:
    execution = requested()
    broker.fail_at = {1: FailAt.AFTER_SEND}
    with pytest.raises(BrokerTimeout):
        submit(execution, broker)
    assert submit(execution, broker) == ""
    assert len(broker.sent) == 1
    assert Book(execution.pk).statuses == [SENT, SENT]


# Free again where nothing was sent


@pytest.mark.parametrize(("fail_at", "error"), [(FailAt.BEFORE_WRITE_AHEAD, NotConnected), (FailAt.QUEUE, QueueFull)])
def test_nothing_sent_frees_the_row_for_another_try(
    requested: Requested, broker: FakeBroker, fail_at: FailAt, error: type[Exception]
) -> None:
    execution = requested()
    broker.fail_at = {1: fail_at}
    with pytest.raises(error):
        submit(execution, broker)
    book = Book(execution.pk)
    assert (book.execution.status, book.execution.claimed_at) == (ExecutionStatus.REQUESTED.value, None)
    assert book.statuses == [CREATED, CREATED]
    # When the connection is back
    assert submit(execution, broker) == "IB-1:2"
    assert len(broker.sent) == 1


@pytest.mark.parametrize("ids", [[5, 6], [4, 5], [4, 7], [5, 7]], ids=str)
def test_an_order_id_that_is_not_above_the_floor_is_never_used(
    requested: Requested, broker: FakeBroker, ids: list[int]
) -> None:
    # Given a connection whose ids up to 5 belong to older orders, and a Gateway that rolled its counter back
    BrokerConnection.objects.filter(pk=broker.connection_id).update(order_id_floor=5)
    execution = requested()
    broker.next_ids = ids
    # When an id of the bracket would change an older order
    with pytest.raises(OrderIdTooLow) as refused:
        submit(execution, broker)
    # Then nothing is sent, the floor stays, and the row is free
    assert refused.value.code == "order_id_too_low"
    assert broker.sent == []
    assert BrokerConnection.objects.get(pk=broker.connection_id).order_id_floor == 5
    assert Book(execution.pk).execution.status == ExecutionStatus.REQUESTED.value
    broker.next_ids = []
    assert submit(execution, broker) == "IB-6:7"


def test_a_connection_to_another_account_leaves_the_execution_alone(requested: Requested) -> None:
    # Given an execution for a paper account, and a worker that was restarted on a live one
    execution = requested()
    live = FakeBroker(connection=connection_ensure(account_id="U7654321", client_id=1))
    # When that worker is handed it
    with pytest.raises(NotConnected) as refused:
        submit(execution, live)
    # Then it is not traded there, and stays for the right worker
    assert refused.value.code == "account_not_served"
    assert live.placements == 0
    assert Book(execution.pk).execution.status == ExecutionStatus.REQUESTED.value


def test_a_worker_that_has_no_connection_yet_leaves_the_execution_alone(requested: Requested) -> None:
    # Given a worker that serves the queue already, and does not know its connection's row yet
    execution = requested()
    unconnected = FakeBroker(connection=BrokerConnection(pk=0, account=execution.account, client_id=1))
    # When it is handed an execution
    with pytest.raises(NotConnected):
        submit(execution, unconnected)
    # Then it has not claimed it: whoever is connected can send it
    assert unconnected.placements == 0
    assert Book(execution.pk).execution.claimed_at is None
    assert Book(execution.pk).execution.status == ExecutionStatus.REQUESTED.value


def test_the_second_tranche_that_cannot_be_sent_does_not_undo_the_first(
    requested: Requested, broker: FakeBroker
) -> None:
    halves = [{"price": Decimal(200), "fraction": Decimal("0.5")}]
    execution = requested(take_profits=halves)
    broker.fail_at = {2: FailAt.BEFORE_WRITE_AHEAD}
    assert submit(execution, broker) == "IB-1:3"
    assert Book(execution.pk).statuses == [SENT, SENT, SENT, CREATED, CREATED]
    assert submit(execution, broker) == ""
    assert len(broker.sent) == 1


# Too late, or cancelled


def test_past_its_deadline_it_is_not_placed_and_says_why(requested: Requested, broker: FakeBroker) -> None:
    execution = requested(entry_timeout_seconds=30)
    assert submit(execution, broker, seconds=30) == ""
    book = Book(execution.pk)
    assert broker.placements == 0
    assert book.statuses == [NOT_PLACED, NOT_PLACED]
    assert (book.execution.status, book.execution.reason_code) == (ExecutionStatus.NOT_PLACED.value, "deadline_passed")
    assert "nothing was sent" in book.execution.reason
    assert book.execution.attention == ""


def test_just_before_its_deadline_it_is_sent(requested: Requested, broker: FakeBroker) -> None:
    assert submit(requested(entry_timeout_seconds=30), broker, seconds=29.9) == "IB-1:2"


def test_a_cancel_between_claim_and_write_ahead_sends_nothing_and_ends_it(
    requested: Requested, broker: FakeBroker
) -> None:
    execution = requested()

    def cancel(_: BracketTicket) -> None:
        execution_cancel_request(execution_id=execution.pk, reason="requested", now=at(2))

    broker.before_write_ahead = cancel
    # When the cancel arrives while the bracket waits for its turn
    assert submit(execution, broker) == ""
    # Then nothing was sent, the floor is where it was, and the execution says so at once
    book = Book(execution.pk)
    assert broker.sent == []
    assert BrokerConnection.objects.get(pk=broker.connection_id).order_id_floor == 0
    assert book.statuses == [NOT_PLACED, NOT_PLACED]
    assert (book.execution.status, book.execution.reason_code) == (
        ExecutionStatus.NOT_PLACED.value,
        "cancelled_before_sending",
    )


def test_a_cancel_while_there_is_no_connection_ends_it_instead_of_freeing_it(
    requested: Requested, broker: FakeBroker
) -> None:
    execution = requested()

    def cancel_then_lose_connection(_: BracketTicket) -> None:
        execution_cancel_request(execution_id=execution.pk, reason="requested", now=at(2))
        raise NotConnected("The connection was lost.")

    broker.before_write_ahead = cancel_then_lose_connection
    assert submit(execution, broker) == ""
    assert Book(execution.pk).execution.reason_code == "cancelled_before_sending"
    assert Book(execution.pk).execution.status == ExecutionStatus.NOT_PLACED.value


def test_a_cancel_between_two_tranches_keeps_the_first_and_ends_the_second(
    requested: Requested, broker: FakeBroker
) -> None:
    execution = requested(take_profits=[{"price": Decimal(200), "fraction": Decimal("0.5")}])

    def cancel_at_the_second(_: BracketTicket) -> None:
        if broker.placements == 2:
            execution_cancel_request(execution_id=execution.pk, reason="requested", now=at(2))

    broker.before_write_ahead = cancel_at_the_second
    assert submit(execution, broker) == "IB-1:3"
    book = Book(execution.pk)
    assert book.statuses == [SENT, SENT, SENT, NOT_PLACED, NOT_PLACED]
    assert book.order(Leg.ENTRY, tranche=2).order_id is None
    assert book.execution.attention == ""


def test_a_settled_execution_refuses_the_write_ahead_of_a_worker_that_comes_late(
    requested: Requested, broker: FakeBroker
) -> None:
    # Given a worker that waits for its turn while somebody proves that nothing was sent
    execution = requested()

    def settle(_: BracketTicket) -> None:
        Order.objects.filter(bracket__execution=execution).update(status=NOT_PLACED)

    broker.before_write_ahead = settle
    # When its turn comes
    assert submit(execution, broker) == ""
    # Then it sends nothing
    assert broker.sent == []
    assert Book(execution.pk).statuses == [NOT_PLACED, NOT_PLACED]
