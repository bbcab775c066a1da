"""The sender with an outbox that is not in the database: what is sent is noted there first, and no row is read.

None of these tests may use a database: a query raises.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.accounts.fencing import Fenced
from app.accounts.models import Account, BrokerConnection
from app.brokers.base import OrderTicket, SendPermit
from app.brokers.errors import NotConnected
from app.core.errors import Conflict
from app.domain.command import CommandKind, CommandReason
from app.domain.order_status import OrderStatus
from app.domain.terms import Action, Leg, OrderType, TimeInForce
from app.executions.models import Actor, Bracket, Execution, Order, OrderCommand
from app.executions.outbox import LegRow, Outbox
from app.executions.services.commands_send import bracket_send, cancels_send, changes_send, order_send, order_send_again
from tests.permits import PermitOf
from tests.services.fake_broker import FakeBroker

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@dataclass
class Journal:
    """An `Outbox` that keeps what it is told in a list, and remembers the orders that it was given."""

    connection: BrokerConnection
    orders: dict[int, Order]
    commands: list[OrderCommand] = field(default_factory=list)
    is_deposed: bool = False
    lines: list[str] = field(default_factory=list)

    def holder(self) -> BrokerConnection:
        return self.connection

    def order(self, order_pk: int) -> Order:
        return self.orders[order_pk]

    def parent_id(self, order: Order) -> int:
        return 0

    def legs(self, execution_ids: Sequence[int]) -> Sequence[tuple[int, int, Sequence[LegRow]]]:
        return []

    def require_still_ours(self) -> None:
        if self.is_deposed:
            raise Fenced("Another worker has it.")

    def bracket_permit(self, bracket: Bracket) -> SendPermit:
        return PermitOf(note=self._note_ids, still_ours=self.require_still_ours)

    def order_permit(self, order: Order, *, replaces: Sequence[Order]) -> SendPermit:
        return PermitOf(note=self._note_ids, still_ours=self.require_still_ours)

    def take(
        self, kind: CommandKind, *, execution_id: int, orders: Sequence[Order], now: datetime
    ) -> Sequence[OrderCommand]:
        self.require_still_ours()
        due = [command for command in self.commands if command.kind == kind and command.order in orders]
        self.lines += [f"{command.kind} {command.order.order_ref}" for command in due]
        return due

    def give_back(self, unsent: Sequence[OrderCommand]) -> None:
        self.lines += [f"not sent: {command.kind} {command.order.order_ref}" for command in unsent]

    def moves_waiting(self, execution_id: int) -> Sequence[Order]:
        return []

    def left_behind(self, *, now: datetime) -> Sequence[OrderCommand]:
        return []

    def publish(self, execution_id: int) -> None:
        self.lines.append(f"told of {execution_id}")

    def _note_ids(self, order_ids: Mapping[str, int]) -> None:
        self.require_still_ours()
        self.lines += [f"{order_ref} is {order_id}" for order_ref, order_id in order_ids.items()]


@pytest.fixture
def journal() -> Journal:
    account = Account(pk=1, account_id="DU1")
    execution = Execution(pk=7, account=account, symbol="AAPL", security_type="STK", exchange="SMART", currency="USD")
    bracket = Bracket(pk=8, execution=execution, tranche=1, quantity=10)
    return Journal(
        connection=BrokerConnection(pk=2, account=account, client_id=1, fence=5, order_id_floor=40),
        orders={
            11: _stop(account, bracket, pk=11, ref="x-stop", order_id=21, status=OrderStatus.WORKING),
            12: _stop(account, bracket, pk=12, ref="x-protect", leg=Leg.PROTECT),
        },
    )


@pytest.fixture
def broker(journal: Journal) -> FakeBroker:
    return FakeBroker(connection=journal.connection)


def _stop(
    account: Account,
    bracket: Bracket,
    *,
    pk: int,
    ref: str,
    leg: Leg = Leg.STOP_LOSS,
    order_id: int | None = None,
    status: OrderStatus = OrderStatus.CREATED,
) -> Order:
    return Order(
        pk=pk,
        account=account,
        bracket=bracket,
        leg=leg,
        order_ref=ref,
        client_id=None if order_id is None else 1,
        order_id=order_id,
        action=Action.SELL,
        order_type=OrderType.STOP,
        quantity=Decimal(10),
        stop_price=Decimal(180),
        time_in_force=TimeInForce.GTC,
        status=status,
    )


def _command(journal: Journal, kind: CommandKind, **change: str) -> OrderCommand:
    order = journal.orders[11]
    command = OrderCommand(
        pk=31,
        kind=kind,
        execution=order.bracket.execution,
        bracket=order.bracket,
        order=order,
        actor=Actor.GUARD,
        reason_code=CommandReason.RESIZED,
        change=change,
        requested_at=NOW,
    )
    journal.commands.append(command)
    return command


def test_a_stop_is_noted_in_the_outbox_before_its_first_byte_and_no_row_is_read(
    journal: Journal, broker: FakeBroker
) -> None:
    noted_before: list[list[str]] = []
    broker.held_up = lambda: noted_before.append(list(journal.lines))
    # When a protective stop is sent, and with it the cancel of the one it replaces
    order_id = order_send(order_pk=12, broker=broker, replaces=[journal.orders[11]], outbox=journal)
    # Then its id, above the floor, was noted before it left
    assert (order_id, noted_before) == (41, [["x-protect is 41"]])
    assert [ticket.order_ref for ticket in broker.singles] == ["x-protect"]
    assert broker.cancelled == [21]
    assert journal.lines == ["x-protect is 41", "told of 7"]


def test_a_bracket_is_noted_in_the_outbox_before_its_first_byte_and_no_row_is_read(
    journal: Journal, broker: FakeBroker
) -> None:
    noted_before: list[list[str]] = []
    broker.held_up = lambda: noted_before.append(list(journal.lines))
    execution = journal.orders[12].bracket.execution
    bracket = Bracket(pk=9, execution=execution, tranche=2, quantity=10)
    legs = [
        _stop(execution.account, bracket, pk=21, ref="y-entry", leg=Leg.ENTRY),
        _stop(execution.account, bracket, pk=22, ref="y-stop"),
    ]
    bracket._prefetched_objects_cache = {"orders": legs}  # type: ignore[attr-defined]  # As prefetch_related leaves it.
    bracket_send(execution=execution, bracket=bracket, broker=broker, outbox=journal)
    assert noted_before == [["y-entry is 41", "y-stop is 42"]]
    assert journal.lines == ["y-entry is 41", "y-stop is 42", "told of 7"]


def test_an_order_that_was_sent_already_is_not_sent_by_another_outbox_either(
    journal: Journal, broker: FakeBroker
) -> None:
    with pytest.raises(Conflict) as refused:
        order_send(order_pk=11, broker=broker, outbox=journal)
    assert refused.value.code == "order_settled"
    assert (broker.singles, journal.lines) == ([], [])


def test_a_cancel_and_a_change_are_noted_as_sent_before_they_leave(journal: Journal, broker: FakeBroker) -> None:
    _command(journal, CommandKind.CANCEL)
    _command(journal, CommandKind.MODIFY, quantity="4")
    stop = journal.orders[11]
    assert changes_send(execution_id=7, orders=[stop], broker=broker, now=NOW, outbox=journal) == 1
    assert cancels_send(execution_id=7, orders=[stop], broker=broker, now=NOW, outbox=journal) == 1
    assert [(order_id, ticket.quantity) for order_id, ticket, _ in broker.modified] == [(21, Decimal(4))]
    assert broker.cancelled == [21]
    assert journal.lines == ["MODIFY x-stop", "told of 7", "CANCEL x-stop", "told of 7"]


def test_what_could_not_be_sent_is_given_back_to_the_outbox(journal: Journal, broker: FakeBroker) -> None:
    _command(journal, CommandKind.CANCEL)
    broker.cancel_fails = NotConnected("The connection is away.")
    with pytest.raises(NotConnected):
        cancels_send(execution_id=7, orders=[journal.orders[11]], broker=broker, now=NOW, outbox=journal)
    assert journal.lines == ["CANCEL x-stop", "not sent: CANCEL x-stop"]


@pytest.mark.parametrize(
    "send",
    [
        lambda broker, journal: order_send(order_pk=12, broker=broker, outbox=journal),
        lambda broker, journal: cancels_send(
            execution_id=7, orders=[journal.orders[11]], broker=broker, now=NOW, outbox=journal
        ),
        lambda broker, journal: changes_send(
            execution_id=7, orders=[journal.orders[11]], broker=broker, now=NOW, outbox=journal
        ),
    ],
)
def test_who_was_deposed_by_the_word_of_the_outbox_sends_nothing(
    journal: Journal, broker: FakeBroker, send: Callable[[FakeBroker, Outbox], int]
) -> None:
    _command(journal, CommandKind.CANCEL)
    _command(journal, CommandKind.MODIFY, quantity="4")
    journal.is_deposed = True
    with pytest.raises(Fenced):
        send(broker, journal)
    assert (broker.singles, broker.modified, broker.cancelled, journal.lines) == ([], [], [], [])


def test_an_order_is_sent_again_under_its_own_id_without_a_row(journal: Journal, broker: FakeBroker) -> None:
    order_send_again(order=journal.orders[11], broker=broker, outbox=journal)
    again: list[tuple[int, OrderTicket]] = [(order_id, ticket) for order_id, ticket, _ in broker.modified]
    assert [(order_id, ticket.order_ref, ticket.stop_price) for order_id, ticket in again] == [
        (21, "x-stop", Decimal(180))
    ]
