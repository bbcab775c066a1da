"""Deals: when an order meets the market, what is told in which order, and what a deal does to other orders.

The told sequence is that of a recorded market order: execDetails, openOrder, orderStatus, commissionReport; by switch
the status comes first, as was also recorded, twice, or not at all, and the commission late. It never comes before an
openOrder, because clients match it to one.
"""

from collections import deque
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from ib_simulator.desk.brackets import capacity, may_activate, settle_children, settle_siblings
from ib_simulator.desk.combos import book_deal
from ib_simulator.desk.floor import Floor
from ib_simulator.desk.groups import settle_group
from ib_simulator.desk.matching import auction_price, bounded, deal_price, is_out_of_reach, is_triggered
from ib_simulator.desk.orders import AT_ONCE, MARKET_TYPES, OCA_REDUCE, Order, Stage, Status
from ib_simulator.desk.timing import may_trade
from ib_simulator.desk.trailing import follow
from ib_simulator.faults.scenario import Scenario
from ib_simulator.market.hours import Phase
from ib_simulator.market.prices import Quote
from ib_simulator.money.ledger import Execution

LIQUIDITY_ADDED, LIQUIDITY_REMOVED = 1, 2
COMMISSION_LATE = timedelta(seconds=5)


def is_terse(order: Order, scenario: Scenario) -> bool:
    """Say whether an order that ends at once is told as recorded: no status before its end, and no 202 after it."""
    return order.tif in AT_ONCE and not order.is_parked and scenario.is_on("immediate_sequence", "as_recorded")


class Ender(Protocol):
    """Ends orders; the desk."""

    def finish(self, order: Order, status: Status, *, text: str = "") -> None: ...


class Fills:
    """Matches live orders with the market and books the deals."""

    def __init__(self, floor: Floor, *, ender: Ender) -> None:
        self._floor = floor
        self._ender = ender
        self._sweeping = False
        self._unsettled: list[tuple[Order, Decimal]] = []
        self._late: deque[tuple[datetime, Execution]] = deque()

    # --- meeting the market ----------------------------------------------------------------------------------

    def arrive(self, order: Order) -> None:
        """Try a new or changed order at once; IOC and FOK end here with what they got."""
        if order.may_meet_market:
            self._try(order, self._floor.phase(), arriving=True)
        if order.may_meet_market and order.tif in AT_ONCE:
            self._end_immediate(order)

    def wake(self, order: Order) -> None:
        """Let a held order live: it is told, and meets the market when its hours allow."""
        order.stage = Stage.WORKING
        self._floor.schedule(order)
        self._floor.announce(order)

    def market_moved(self, symbols: Collection[str] | None = None) -> None:
        """Try the live orders of these symbols (of all without them) against the prices of now."""
        self._sweeping = True
        book, market, phase = self._floor.book, self._floor.market, self._floor.phase()
        for order in book.active() if symbols is None else book.active_of(symbols):
            if is_out_of_reach(order, market.quote(order.instrument).last):
                continue
            if order.may_meet_market:
                self._try(order, phase, arriving=False)
        self._sweeping = False
        unsettled, self._unsettled = self._unsettled, []
        for order, quantity in unsettled:
            self._settle_group(order, quantity=quantity)

    def auction(self, order: Order) -> None:
        """Let an order meet the one auction it takes part in: all or what it may, or the end."""
        order.due_at = order.wakes_at = None
        price = None
        if not self._floor.scenario.fills_paused and not self._floor.market.is_halted(order.instrument):
            price = auction_price(order, self._floor.market.quote(order.instrument))
        quantity = capacity(self._floor.book, order)
        if price is not None and quantity > 0:
            self.fill(order, quantity=quantity, price=price)
        if order.is_active:
            self._ender.finish(order, Status.CANCELLED, text="Order Canceled - reason:")

    def _try(self, order: Order, phase: Phase, *, arriving: bool) -> None:
        floor = self._floor
        if floor.scenario.fills_paused or not may_trade(order, phase):
            return
        quote = floor.market.quote(order.instrument)
        if follow(order, quote.last):
            floor.book.touch(order)
        if order.waits_for_trigger:
            # Simulated stops sleep while IB's servers are reset. [DOC CAMPUS 2182]
            if floor.scenario.resetting or not is_triggered(order, quote):
                return
            if floor.market.is_halted(order.instrument):
                return
            self._trigger(order, phase)
            arriving = True
        if order.may_meet_market:
            self._deal(order, quote, arriving=arriving)

    def _trigger(self, order: Order, phase: Phase) -> None:
        floor = self._floor
        order.triggered = True
        waits = order.order_type in MARKET_TYPES and phase is not Phase.REGULAR
        if waits and floor.scenario.is_on("stop_outside_rth", "waits_for_open"):
            order.closes_at = None
            order.wakes_at = floor.hours.next_open(floor.clock(), outside_rth=False)
            floor.agenda.note(order)
        floor.book.touch(order)
        floor.announce(order)

    def _deal(self, order: Order, quote: Quote, *, arriving: bool) -> None:
        """Deal what the order may and the market has; the rest goes on at later steps."""
        market = self._floor.market
        price = deal_price(order, quote, arriving=arriving)
        if price is None or market.is_halted(order.instrument):
            return
        price = bounded(price, market.limits(order.instrument))
        quantity = capacity(self._floor.book, order)
        available = market.available(order.instrument, is_buy=order.is_buy)
        if available is not None:
            quantity = min(quantity, available)
        if order.tif == "FOK" and quantity < order.remaining:
            return
        if quantity > 0:
            market.take(order.instrument, quantity, is_buy=order.is_buy)
            self.fill(order, quantity=quantity, price=price, resting=not arriving)

    def _end_immediate(self, order: Order) -> None:
        if order.tif == "FOK":
            self._ender.finish(order, Status.INACTIVE)
            return
        self._floor.notices.order_status(order, status=Status.PENDING_CANCEL)
        text = "" if is_terse(order, self._floor.scenario) else "Order Canceled - reason:"
        self._ender.finish(order, Status.CANCELLED, text=text)

    # --- dealing ---------------------------------------------------------------------------------------------

    def fill(self, order: Order, *, quantity: Decimal, price: Decimal, resting: bool = False) -> Execution:
        """Book a deal of a live order and tell it. `quantity` must not exceed what the order has left."""
        floor = self._floor
        order.triggered = order.triggered or order.waits_for_trigger
        order.filled += quantity
        order.cost += quantity * price
        order.last_fill_price = price
        now = floor.clock()
        if not order.remaining:
            order.stage, order.final_status, order.completed_at = Stage.DONE, Status.FILLED, now
        liquidity = LIQUIDITY_ADDED if resting else LIQUIDITY_REMOVED
        executions = book_deal(
            floor.ledger, floor.market, order, quantity=quantity, price=price, time=now, liquidity=liquidity
        )
        floor.book.touch(order)
        self._tell(order, executions)
        self._wake_children(order)
        self._settle_others(order, quantity=quantity)
        return executions[0]

    def _tell(self, order: Order, executions: list[Execution]) -> None:
        floor, notices = self._floor, self._floor.notices
        sequence = floor.scenario.switches["fill_sequence"]
        if sequence == "status_first":
            floor.announce(order)
        for execution in executions:
            notices.execution(execution)
        if sequence in {"execution_first", "status_twice", "commission_late"}:
            floor.announce(order)
        if sequence == "status_twice":
            floor.announce(order)
        # A whole combination is charged by its legs.
        for execution in [deal for deal in executions if not deal.instrument.legs]:
            if sequence == "commission_late":
                self._late.append((execution.time + COMMISSION_LATE, execution))
            else:
                notices.commission(execution)
            notices.position_changed(account=order.account, instrument=execution.instrument)

    def tell_late_commissions(self, *, now: datetime | None = None) -> int:
        """Send the commissions kept back that are due by `now` (all without it); returns how many."""
        told = 0
        while self._late and (now is None or self._late[0][0] <= now):
            self._floor.notices.commission(self._late.popleft()[1])
            told += 1
        return told

    # --- what a deal does to others --------------------------------------------------------------------------

    def _wake_children(self, parent: Order) -> None:
        book = self._floor.book
        if not may_activate(parent, on_partial=self._floor.scenario.is_on("children_activate", "on_partial")):
            return
        for child in book.children_of(parent):
            if child.stage is Stage.HELD:
                self.wake(child)
        for child in book.children_of(parent):
            self.arrive(child)

    def shrink_children(self, parent: Order) -> None:
        """Cut the children of a parent that was made smaller."""
        settled = settle_children(self._floor.book, parent)
        self._tell_settled(settled.shrunk, settled.emptied)

    def _settle_others(self, order: Order, *, quantity: Decimal) -> None:
        settled = settle_siblings(self._floor.book, order)
        self._tell_settled(settled.shrunk, settled.emptied)
        # Without block several members may be at the exchange at once: all deal before the first deal is noticed.
        switch = "oca_overfill" if order.oca_type == OCA_REDUCE else "oca_trigger_race"
        if self._sweeping and self._floor.scenario.is_on(switch, "on"):
            self._unsettled.append((order, quantity))
        else:
            self._settle_group(order, quantity=quantity)

    def _settle_group(self, order: Order, *, quantity: Decimal) -> None:
        settled = settle_group(self._floor.book, order, quantity=quantity)
        self._tell_settled(settled.shrunk, settled.emptied)

    def _tell_settled(self, shrunk: list[Order], emptied: list[Order]) -> None:
        for other in shrunk:
            self._floor.book.touch(other)
            self._floor.announce(other)
        for other in emptied:
            if other.is_active:
                self._ender.finish(other, Status.CANCELLED, text="Order Canceled - reason:")
