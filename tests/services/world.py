"""The account as the broker sees it, and executions of ours in it."""

import itertools
from collections.abc import Callable
from decimal import Decimal

from app.accounts.models import Position
from app.brokers import base
from app.domain.broker_events import FillTold, ToldStatus
from app.domain.contract import Contract
from app.domain.terms import Action
from app.executions.services.apply import broker_event_record
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.reconcile import execution_reconcile
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told

T = ToldStatus
APPLE = 265598
_numbers = itertools.count(1)


class World:
    """The account as the broker sees it, looked at by reconcile and guard at moments that the test chooses."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.seconds = 100.0
        self.watch = Watch(monotonic=lambda: self.seconds)

    def holds(self, quantity: int) -> None:
        self.broker.positions_book = [
            base.Position(
                account=self.broker.account_id,
                contract=Contract(symbol="AAPL", con_id=APPLE),
                quantity=Decimal(quantity),
                average_cost=Decimal(190),
            )
        ]

    def deal_of_others(
        self,
        quantity: int,
        *,
        client_id: int = 0,
        recorded: bool = True,
        corrects: str = "",
        action: Action | None = None,
    ) -> str:
        """Somebody trades: shares, negative when sold; return the deal's id. `corrects`: that of one it corrects."""
        number = next(_numbers)
        root, _, last = corrects.rpartition(".")
        exec_id = f"{root}.{int(last) + 1:02}" if corrects else f"0000ff.{number:08x}.01.01"
        deal = FillTold(
            dedupe_key=f"fill:{exec_id}",
            account=self.broker.account_id,
            received_at=at(self.seconds),
            exec_id=exec_id,
            order_id=0,
            client_id=client_id,
            perm_id=9_000_000 + number,
            order_ref="",
            symbol="AAPL",
            action=action or (Action.BUY if quantity > 0 else Action.SELL),
            quantity=abs(Decimal(quantity)),
            price=Decimal(191),
            executed_at=at(self.seconds),
            con_id=APPLE,
        )
        self.broker.deals.append(deal)
        if recorded:
            broker_event_record(deal, now=at(self.seconds))
        return exec_id

    def reconcile(self, *, after: float = 0) -> list[str]:
        """Have everything asked; return what was judged."""
        self.seconds += after
        return execution_reconcile(broker=self.broker, now=at(self.seconds), settle_seconds=0).drifts

    def look(self, book: Book, *, after: float = 0) -> bool:
        """Have the guard look; say whether it wants the broker asked for everything."""
        self.seconds += after
        return guard_look(
            execution_ids=[book.execution_id], broker=self.broker, watch=self.watch, now=at(self.seconds)
        ).asks_broker


def open_position(book: Book, broker: FakeBroker) -> None:
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    broker.holds(told(book.stop, T.PRE_SUBMITTED))


def stop_gone(book: Book, broker: FakeBroker) -> None:
    broker.open_book = []
    event = told(book.stop, T.CANCELLED)
    broker.completed_book = [event]
    book.hear(event)


def position() -> Position:
    return Position.objects.get(con_id=APPLE)


def all_to_be_closed(submitted: Callable[..., Book], count: int) -> list[Book]:
    """Return positions of 10 shares with lone stops at work, all to be closed by the kill switch."""
    books = [submitted() for _ in range(count)]
    for book in books:
        book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    kill_switch_engage(account=None, user=None, reason="news", flatten=True, now=at(30))
    return books
