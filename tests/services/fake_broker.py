"""A broker written by hand: it keeps the order of reserve, write ahead, send, and fails where it is told to.

It has a small book (what is open, what finished, which deals) and answers from it; nothing it does arrives by itself.
Tests say what the broker tells with the functions of `tests.services.heard`.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from app.accounts.models import BrokerConnection
from app.brokers.base import BracketTicket, OpenOrder, OrderTicket, PlacedBracket, Position, SendPermit
from app.brokers.errors import BrokerTimeout, NotConnected, QueueFull
from app.domain.broker_events import CommissionTold, FillTold, OrderTold
from app.domain.contract import Contract
from app.domain.terms import Action
from app.executions.models import Fill


class ProcessDied(Exception):
    """Stands for a kill: nobody is meant to handle it."""


class FailAt(StrEnum):
    """The point of a placement at which it fails."""

    BEFORE_WRITE_AHEAD = "before the write-ahead, as a connection that is away does"
    QUEUE = "before the write-ahead, as a full queue does"
    AFTER_WRITE_AHEAD = "after the write-ahead, before the first byte, as a kill does"
    BETWEEN_LEGS = "after the first leg, as a kill does"
    AFTER_SEND = "after the last leg, as an answer that never comes does"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A bracket on the wire, whole or in part."""

    ticket: BracketTicket
    order_ids: Mapping[str, int]
    legs: tuple[str, ...]


@dataclass
class FakeBroker:
    """A `BlockingBroker`. `next_ids` overrules the reservation; the hooks run at their point in the caller's thread."""

    connection: BrokerConnection
    fail_at: dict[int, FailAt] = field(default_factory=dict)
    next_ids: list[int] = field(default_factory=list)
    before_write_ahead: Callable[[BracketTicket], None] = lambda ticket: None
    after_write_ahead: Callable[[Mapping[str, int]], None] = lambda order_ids: None
    during_questions: Callable[[], None] = lambda: None
    sent: list[Sent] = field(default_factory=list)
    singles: list[OrderTicket] = field(default_factory=list)
    place_order_fails: Exception | None = None
    dies_after_write_ahead: bool = False
    modified: list[tuple[int, OrderTicket, int]] = field(default_factory=list)
    modify_fails: Exception | None = None
    cancelled: list[int] = field(default_factory=list)
    cancel_fails: Exception | None = None
    open_book: list[OpenOrder] = field(default_factory=list)
    completed_book: list[OrderTold] = field(default_factory=list)
    deals: list[FillTold | CommissionTold] = field(default_factory=list)
    positions_book: list[Position] | None = None  # None: what our deals add up to, as an account of our own holds it
    question_fails: dict[str, Exception] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    symbols_asked: list[str] = field(default_factory=list)  # of the deals that were asked for
    placements: int = 0
    held_up: Callable[[], object] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def connection_id(self) -> int:
        return self.connection.pk

    @property
    def fence(self) -> int:
        return self.connection.fence

    @property
    def account_id(self) -> str:
        return self.connection.account.account_id

    def place_bracket(self, bracket: BracketTicket, *, id_floor: int, permit: SendPermit) -> PlacedBracket:
        with self._lock:  # One turn at a time.
            self.placements += 1
            fail_at = self.fail_at.get(self.placements)
            if fail_at is FailAt.BEFORE_WRITE_AHEAD:
                raise NotConnected("The connection is away.")
            if fail_at is FailAt.QUEUE:
                raise QueueFull("Too much waits.")
            self.before_write_ahead(bracket)
            order_ids = self._reserve(bracket, id_floor=id_floor)
            permit.note_ids(order_ids)
            if self.held_up is not None:  # As IBBroker does where its confirmation is old when the order could leave.
                self.held_up()
                permit.require_still_ours()
            self.after_write_ahead(order_ids)
            if fail_at is FailAt.AFTER_WRITE_AHEAD:
                raise ProcessDied
            refs = tuple(ticket.order_ref for ticket in bracket.orders)
            legs = refs[:1] if fail_at is FailAt.BETWEEN_LEGS else refs
            self.sent.append(Sent(ticket=bracket, order_ids=order_ids, legs=legs))
            if fail_at is FailAt.BETWEEN_LEGS:
                raise ProcessDied
            if fail_at is FailAt.AFTER_SEND:
                raise BrokerTimeout("The connection broke while sending.")
            entry, stop = order_ids[bracket.entry.order_ref], order_ids[bracket.stop_loss.order_ref]
            return PlacedBracket(order_ids=order_ids, reference=f"IB-{entry}:{stop}")

    def place_order(
        self,
        ticket: OrderTicket,
        *,
        contract: Contract,
        id_floor: int,
        permit: SendPermit,
        cancels: Sequence[int] = (),
    ) -> int:
        with self._lock:
            if self.place_order_fails is not None:
                raise self.place_order_fails
            permit.note_ids({ticket.order_ref: id_floor + 1})
            if self.held_up is not None:
                self.held_up()
                permit.require_still_ours()
            if self.dies_after_write_ahead:
                raise ProcessDied
            self.singles.append(ticket)
            self.cancelled += cancels
            return id_floor + 1

    def modify_order(self, *, order_id: int, contract: Contract, ticket: OrderTicket, parent_id: int = 0) -> None:
        if self.modify_fails is not None:
            raise self.modify_fails
        self.modified.append((order_id, ticket, parent_id))

    def _reserve(self, bracket: BracketTicket, *, id_floor: int) -> dict[str, int]:
        ids = self.next_ids or [id_floor + number for number in range(1, len(bracket.orders) + 1)]
        return {ticket.order_ref: order_id for ticket, order_id in zip(bracket.orders, ids, strict=False)}

    def cancel_order(self, order_id: int) -> None:
        if self.cancel_fails is not None:
            raise self.cancel_fails
        self.cancelled.append(order_id)

    def open_orders(self, *, seconds_max: float | None = None) -> Sequence[OpenOrder]:
        self._asked("open_orders")
        answer = list(self.open_book)
        self.during_questions()
        return answer

    def completed_orders(self, *, seconds_max: float | None = None) -> Sequence[OrderTold]:
        self._asked("completed_orders")
        return list(self.completed_book)

    def fills_since(
        self, since: datetime | None = None, *, symbol: str = "", seconds_max: float | None = None
    ) -> Sequence[FillTold | CommissionTold]:
        self._asked("fills_since")
        self.symbols_asked.append(symbol)
        of_it = {deal.exec_id for deal in self.deals if isinstance(deal, FillTold) and symbol in ("", deal.symbol)}
        return [deal for deal in self.deals if deal.exec_id in of_it or not symbol]

    def positions(self, *, seconds_max: float | None = None) -> Sequence[Position]:
        self._asked("positions")
        return self._dealt() if self.positions_book is None else list(self.positions_book)

    def _dealt(self) -> list[Position]:
        held: dict[int, Decimal] = defaultdict(Decimal)
        deals = Fill.objects.filter(order__account=self.connection.account, superseded=False)
        rows = deals.values_list("order__bracket__execution__con_id", "order__action", "quantity")
        for con_id, action, quantity in rows:
            held[con_id] += quantity if action == Action.BUY.value else -quantity
        return [
            Position(
                account=self.account_id,
                contract=Contract(symbol="AAPL", con_id=con_id),
                quantity=quantity,
                average_cost=Decimal(190),
            )
            for con_id, quantity in held.items()
            if quantity
        ]

    def _asked(self, question: str) -> None:
        self.questions.append(question)
        if question in self.question_fails:
            raise self.question_fails[question]

    def holds(self, *told: OrderTold) -> None:
        """Put orders into the open book."""
        self.open_book += [_open_order(order) for order in told]

    def holds_foreign(self, *told: OrderTold, con_id: int, action: Action) -> None:
        """Put orders of somebody else into the open book."""
        contract = Contract(symbol="AAPL", con_id=con_id)
        self.open_book += [replace(_open_order(order), contract=contract, action=action) for order in told]


def _open_order(told: OrderTold) -> OpenOrder:
    return OpenOrder(
        told=told,
        contract=Contract(symbol="AAPL"),
        action=Action.BUY,
        order_type="LMT",
        quantity=told.filled + told.remaining,
        limit_price=Decimal(190),
        stop_price=None,
    )
