"""What the one sender reads and notes, behind one interface: facts, fence and write-ahead.

    facts        whose connection it is, and what is known of the orders
    fence        whether that connection is still ours
    write-ahead  what is about to leave is noted, durably, before its first byte: an order's id, a cancel, a change

`services.outbox_rows` keeps all of it in the database. Whoever keeps it elsewhere, as a journal beside the worker would
while the database is away, gives `services.commands_send` another `Outbox`; the sender knows no difference. Rows are
only read and carried here: an Outbox without a database hands out the ones that it remembers.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from app.accounts.models import BrokerConnection
from app.brokers.base import SendPermit
from app.domain.command import CommandKind
from app.executions.models import Bracket, Order, OrderCommand


class LegRow(NamedTuple):
    """What the guard judges an order by, as it is stored."""

    pk: int
    leg: str
    status: str
    quantity: Decimal
    filled_quantity: Decimal
    closed_elsewhere: Decimal
    told_filled: Decimal
    why_held: str
    refusal_proved: bool
    refusal_suspected: bool


class Outbox(Protocol):
    """The facts, the fence and the write-ahead of one connection's orders."""

    def holder(self) -> BrokerConnection:
        """Return the connection: its account, its client id, the floor of its order ids. Raises NotConnected."""
        ...

    def order(self, order_pk: int) -> Order:
        """Return an order as it is known now, with its bracket and its execution."""
        ...

    def parent_id(self, order: Order) -> int:
        """Return the order id of the entry that the order hangs on, 0 where that is over, or none."""
        ...

    def legs(self, execution_ids: Sequence[int]) -> Sequence[tuple[int, int, Sequence[LegRow]]]:
        """Return the execution, the bracket and what the guard judges by of each of the executions' brackets."""
        ...

    def require_still_ours(self) -> None:
        """Raise Fenced where another worker has taken the connection over."""
        ...

    def bracket_permit(self, bracket: Bracket) -> SendPermit:
        """Return the right to send a native bracket: asked when its turn has come, it notes the ids or raises."""
        ...

    def order_permit(self, order: Order, *, replaces: Sequence[Order]) -> SendPermit:
        """Return the right to send one order, and the cancels of what it replaces right behind it."""
        ...

    def take(
        self, kind: CommandKind, *, execution_id: int, orders: Sequence[Order], now: datetime
    ) -> Sequence[OrderCommand]:
        """Note the commands of this kind that are due about these orders as sent, and return them.

        What another client id placed is left to that one, and a person is told. Raises Fenced.
        """
        ...

    def give_back(self, unsent: Sequence[OrderCommand]) -> None:
        """Note of commands that were taken that they were not sent after all."""
        ...

    def moves_waiting(self, execution_id: int) -> Sequence[Order]:
        """Return the orders of the execution with a move that was not sent yet."""
        ...

    def left_behind(self, *, now: datetime) -> Iterable[OrderCommand]:
        """Return the cancels that are due of entries which may rest in the Gateway untransmitted."""
        ...

    def publish(self, execution_id: int) -> None:
        """Tell whoever follows the execution that something of it was sent."""
        ...
