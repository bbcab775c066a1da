"""Deals: when an order meets the market, what is told in which order, and what a deal does to other orders.

The told sequence is that of a recorded market order: execDetails, openOrder, orderStatus, commissionReport; by switch
the status comes first, as was also recorded. The commission is always last, because clients match it to an openOrder.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from ib_simulator.book import Book
from ib_simulator.brackets import capacity, may_activate, settle_group, settle_siblings
from ib_simulator.ledger import Execution, Ledger
from ib_simulator.market.prices import Market
from ib_simulator.matching import deal_price, is_triggered
from ib_simulator.notices import Notices
from ib_simulator.orders import AT_ONCE, Order, Stage, Status
from ib_simulator.scenario import Scenario

LIQUIDITY_ADDED, LIQUIDITY_REMOVED = 1, 2


class Ender(Protocol):
    """Ends orders; the desk."""

    def finish(self, order: Order, status: Status, *, text: str = "") -> None: ...


class Fills:
    """Matches live orders with the market and books the deals."""

    def __init__(
        self,
        *,
        book: Book,
        ledger: Ledger,
        market: Market,
        scenario: Scenario,
        notices: Notices,
        clock: Callable[[], datetime],
        ender: Ender,
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._market = market
        self._scenario = scenario
        self._notices = notices
        self._clock = clock
        self._ender = ender

    def arrive(self, order: Order) -> None:
        """Try a new or changed order at once; IOC and FOK end here with what they got."""
        if order.stage is Stage.WORKING:
            self._try(order, arriving=True)
        if order.stage is Stage.WORKING and order.tif in AT_ONCE:
            self._end_immediate(order)

    def market_moved(self) -> None:
        """Try every live order against the prices of now."""
        for order in self._book.active():
            if order.stage is Stage.WORKING:
                self._try(order, arriving=False)

    def _try(self, order: Order, *, arriving: bool) -> None:
        if self._scenario.fills_paused:
            return
        quote = self._market.quote(order.instrument)
        if order.waits_for_trigger:
            if not is_triggered(order, quote):
                return
            order.triggered = True
            arriving = True
            self._book.touch(order)
            self._announce(order)
        quantity = capacity(self._book, order)
        price = deal_price(order, quote, arriving=arriving)
        if price is not None and quantity > 0:
            self.fill(order, quantity=quantity, price=price, resting=not arriving)

    def _end_immediate(self, order: Order) -> None:
        if order.tif == "FOK":
            self._ender.finish(order, Status.INACTIVE)
            return
        self._notices.order_status(order, status=Status.PENDING_CANCEL)
        self._ender.finish(order, Status.CANCELLED, text="Order Canceled - reason:")

    def fill(self, order: Order, *, quantity: Decimal, price: Decimal, resting: bool = False) -> Execution:
        """Book a deal of a live order and tell it. `quantity` must not exceed what the order has left."""
        order.triggered = order.triggered or order.waits_for_trigger
        order.filled += quantity
        order.cost += quantity * price
        order.last_fill_price = price
        now = self._clock()
        if not order.remaining:
            order.stage, order.final_status, order.completed_at = Stage.DONE, Status.FILLED, now
        liquidity = LIQUIDITY_ADDED if resting else LIQUIDITY_REMOVED
        execution = self._ledger.record(order, quantity=quantity, price=price, time=now, liquidity=liquidity)
        self._book.touch(order)
        self._tell(order, execution)
        self._wake_children(order)
        self._settle_others(order, quantity=quantity)
        return execution

    def _tell(self, order: Order, execution: Execution) -> None:
        if self._scenario.is_on("fill_sequence", "status_first"):
            self._announce(order)
            self._notices.execution(execution)
        else:
            self._notices.execution(execution)
            self._announce(order)
        self._notices.commission(execution)
        self._notices.position_changed(account=order.account, instrument=order.instrument)

    def _wake_children(self, parent: Order) -> None:
        if not may_activate(parent, on_partial=self._scenario.is_on("children_activate", "on_partial")):
            return
        held = [child for child in self._book.children_of(parent) if child.stage is Stage.HELD]
        for child in held:
            child.stage = Stage.WORKING
            self._book.touch(child)
            self._announce(child)
        for child in self._book.children_of(parent):
            self.arrive(child)

    def _settle_others(self, order: Order, *, quantity: Decimal) -> None:
        for settled in (settle_siblings(self._book, order), settle_group(self._book, order, quantity=quantity)):
            for other in settled.shrunk:
                self._book.touch(other)
                self._announce(other)
            for other in settled.emptied:
                if other.is_active:
                    self._ender.finish(other, Status.CANCELLED, text="Order Canceled - reason:")

    def _announce(self, order: Order) -> None:
        self._notices.open_order(order)
        self._notices.order_status(order)
