"""The order desk: takes orders in, by IB's rules of ids and transmission, and hands them to those who do the rest.

    placing, transmission   here                            changes     `modifying.py`
    refusals, remarks       `refusals.py`, `terms.py`       ends        `endings.py`
    deals                   `fills.py`                      the clock   `timekeeping.py`, `timing.py`

Nothing here knows of connections: news go to `Notices`.
"""

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_simulator.desk.book import Book
from ib_simulator.desk.brackets import may_activate
from ib_simulator.desk.endings import Endings
from ib_simulator.desk.fills import Fills, is_terse
from ib_simulator.desk.floor import Floor
from ib_simulator.desk.groups import attach
from ib_simulator.desk.modifying import Changes
from ib_simulator.desk.notices import Notices
from ib_simulator.desk.orders import Order, Stage, Status
from ib_simulator.desk.refusals import NO_STATUS_CODES, Refusals
from ib_simulator.desk.terms import Terms, check_terms, read_terms
from ib_simulator.desk.timekeeping import Timekeeper
from ib_simulator.desk.validation import choose_account, find_instrument
from ib_simulator.errors import Refusal
from ib_simulator.faults.scenario import NEW, Scenario
from ib_simulator.market.hours import TradingHours
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.market.prices import Market
from ib_simulator.messages.place_order import PlaceOrder, echoed_words
from ib_simulator.money.ledger import Ledger

Clock = Callable[[], datetime]

READ_ONLY_TEXT = "Error validating request.-'bN' : cause - The API interface is currently in Read-Only mode."


class Desk:
    """All rules for orders that one client or the control port may ask for."""

    def __init__(
        self,
        *,
        book: Book,
        ledger: Ledger,
        market: Market,
        instruments: InstrumentList,
        hours: TradingHours,
        scenario: Scenario,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self.book = book
        self.ledger = ledger
        self._instruments = instruments
        self._scenario = scenario
        self._notices = notices
        self._clock = clock
        self._floor = Floor(
            book=book, ledger=ledger, market=market, hours=hours, scenario=scenario, notices=notices, clock=clock
        )
        self.fills = Fills(self._floor, ender=self)
        self.endings = Endings(self._floor, wake=self.fills.wake, arrive=self.fills.arrive)
        self._refusals = Refusals(self._floor)
        self._changes = Changes(self._floor, fills=self.fills, refusals=self._refusals)
        self._timekeeper = Timekeeper(self._floor, fills=self.fills, endings=self.endings)
        # Asked in turn when an order is transmitted; the first refusal counts.
        self.checks: list[Callable[[Order], Refusal | None]] = [self._refusals.check_transmission]

    # --- placing ---------------------------------------------------------------------------------------------

    def place(self, client_id: int, request: PlaceOrder) -> None:
        """Carry out placeOrder: a new order, a draft sent again, or a modification of a known one."""
        try:
            self._place(client_id, request)
        except Refusal as refusal:
            self._refuse(client_id, request.order_id, refusal)

    def _place(self, client_id: int, request: PlaceOrder) -> None:
        if self._scenario.is_on("read_only", "on"):
            raise Refusal(code=321, text=READ_ONLY_TEXT)
        known = self.book.find(client_id=client_id, order_id=request.order_id)
        if known is not None and known.is_active:
            self._changes.modify(known, request, find_instrument(self._instruments, request))
            return
        if known is not None and known.stage is Stage.DONE:
            if known.status is Status.FILLED:
                raise Refusal(code=104, text="Cannot modify a filled order.")
            raise Refusal(code=103, text="Duplicate order id")
        if known is None and request.order_id < self.book.next_valid_id(client_id):
            raise Refusal(code=103, text="Duplicate order id")
        self._enter(client_id, request, draft=known)

    def _enter(self, client_id: int, request: PlaceOrder, *, draft: Order | None) -> None:
        self.book.use_id(client_id=client_id, order_id=request.order_id)
        order = self._order_of(client_id, request, sequence=draft.sequence if draft else self.book.next_sequence())
        if request.what_if:
            self._notices.what_if(order)
            return
        if draft is None:
            self.book.add(order)
        else:
            self.book.replace_draft(draft, order)
        if order.transmit:
            self._transmit(order)

    def _order_of(self, client_id: int, request: PlaceOrder, *, sequence: int) -> Order:
        instrument = find_instrument(self._instruments, request)
        terms = read_terms(request)
        check_terms(
            terms,
            action=request.action,
            quantity=request.quantity,
            tick=instrument.tick,
            now=self._clock(),
            is_signed=bool(instrument.legs),
        )
        parent = self._parent_for(client_id, request) if request.parent_id else None
        order = Order(
            sequence=sequence,
            client_id=client_id,
            order_id=request.order_id,
            account=choose_account(request, self.ledger.accounts),
            instrument=instrument,
            exchange=request.contract.exchange,
            action=request.action,
            quantity=request.quantity,
            **_columns(terms),
            tif_defaulted=not request.tif,
            outside_rth=request.outside_rth,
            order_ref=request.order_ref,
            parent_id=request.parent_id,
            parent_sequence=parent.sequence if parent else None,
            oca_group=request.oca_group,
            oca_type=request.oca_type,
            account_named=bool(request.account),
            transmit=request.transmit,
            fields=echoed_words(request.fields),
            groups=request.groups,
        )
        self._refusals.check_entry(order, terms, parent=parent)
        return order

    def _parent_for(self, client_id: int, request: PlaceOrder) -> Order:
        parent = self.book.find(client_id=client_id, order_id=request.parent_id)
        if parent is None:
            raise Refusal(code=10006, text="Missing parent order.")
        if parent.stage is Stage.DONE or request.parent_id == request.order_id:
            raise Refusal(code=135, text=f"Can't find order with id = {request.parent_id}")
        if parent.cancelling:
            raise Refusal(code=201, text="Order rejected - reason:Parent order is being cancelled.")
        return parent

    def place_manually(
        self,
        *,
        account: str,
        instrument: Instrument,
        action: str,
        quantity: Decimal,
        terms: Terms,
        order_ref: str,
        client_id: int = 0,
        group: tuple[str, int] = ("", 0),
    ) -> Order:
        """Place an order as somebody at TWS would: client 0, no order id; or as another client, under its next id.

        `group` is the name of its OCA group and the group's type. Raises Refusal.
        """
        check_terms(terms, action=action, quantity=quantity, tick=instrument.tick, now=self._clock())
        order = Order(
            sequence=self.book.next_sequence(),
            client_id=client_id,
            order_id=self.book.next_valid_id(client_id) if client_id else 0,
            account=account,
            instrument=instrument,
            exchange="SMART",
            action=action,
            quantity=quantity,
            **_columns(terms),
            order_ref=order_ref,
            oca_group=group[0],
            oca_type=group[1],
        )
        self._refusals.check_entry(order, terms, parent=None)
        if client_id:
            self.book.use_id(client_id=client_id, order_id=order.order_id)
        self.book.add(order)
        self._transmit(order)
        return order

    # --- transmission ----------------------------------------------------------------------------------------

    def _transmit(self, order: Order) -> None:
        """Send an order on, with the drafts it completes: its parents and their other children."""
        sent = [member for member in self._completed_by(order) if self._send(member)]
        for place, member in enumerate(sent):
            self._tell_first(member, between=0 < place < len(sent) - 1)
        if len(sent) > 1 and self._scenario.is_on("duplicate_callbacks", "on"):
            for member in sent:
                self._floor.announce(member)
        for member in sent:
            self.fills.arrive(member)

    def _tell_first(self, order: Order, *, between: bool) -> None:
        if is_terse(order, self._scenario):
            self._notices.open_order(order)
            return
        # As recorded outside hours: those between the first and the last of a bracket are told before 399 and after.
        if between:
            self._floor.announce(order)
        if self._refusals.remark_on_hours(order) or not between:
            self._floor.announce(order)

    def _completed_by(self, order: Order) -> list[Order]:
        members = {order.sequence: order}
        parent = self.book.parent_of(order)
        while parent is not None:
            members |= {sibling.sequence: sibling for sibling in self.book.children_of(parent)}
            members[parent.sequence] = parent
            parent = self.book.parent_of(parent)
        return [members[sequence] for sequence in sorted(members) if members[sequence].stage is Stage.DRAFT]

    def _send(self, order: Order) -> bool:
        """Turn a draft into an order at IB. Returns False when it was refused or fell with its parent."""
        if order.stage is not Stage.DRAFT:
            return False
        refusal = self._scenario.take_rejection(order, on=NEW) or self._check(order)
        if refusal is not None:
            self.reject(order, refusal)
            return False
        order.transmit = True
        self.book.assign_perm_id(order)
        parent = self.book.parent_of(order)
        if parent is not None:
            attach(order, parent, book=self.book, scenario=self._scenario)
        on_partial = self._scenario.is_on("children_activate", "on_partial")
        live = parent is None or may_activate(parent, on_partial=on_partial)
        order.stage = Stage.WORKING if live else Stage.HELD
        self._refusals.remark(order)
        self._floor.schedule(order)
        return True

    def _check(self, order: Order) -> Refusal | None:
        return next((refusal for check in self.checks if (refusal := check(order)) is not None), None)

    def reject(self, order: Order, refusal: Refusal) -> None:
        """Refuse an order that had reached the servers; its children are discarded, never live on their own."""
        if refusal.code in NO_STATUS_CODES:
            order.stage, order.final_status, order.completed_at = Stage.DONE, Status.INACTIVE, self._clock()
            self._floor.tell(order, code=refusal.code, text=refusal.text)
        else:
            self._reject_with_status(order, refusal)
        self.book.touch(order)
        self.endings.discard_children(order)

    def _reject_with_status(self, order: Order, refusal: Refusal) -> None:
        if not order.perm_id:
            self.book.assign_perm_id(order)
        sequence = self._scenario.switches["reject_sequence"]
        cancelled = sequence == "error_then_cancelled"
        order.stage, order.completed_at = Stage.DONE, self._clock()
        order.final_status = Status.CANCELLED if cancelled else Status.INACTIVE
        if sequence == "inactive_then_error":
            self._floor.announce(order)
        self._floor.tell(order, code=refusal.code, text=refusal.text)
        if sequence in {"error_then_inactive", "error_then_cancelled"}:
            self._floor.announce(order)

    def modify_by_hand(
        self, order: Order, *, quantity: Decimal | None, limit_price: Decimal | None, stop_price: Decimal | None
    ) -> None:
        """Change a live order as somebody at TWS does; its owner is told. Raises Refusal."""
        self._changes.modify_by_hand(order, quantity=quantity, limit_price=limit_price, stop_price=stop_price)

    # --- ending ----------------------------------------------------------------------------------------------

    def cancel(self, client_id: int, order_id: int) -> None:
        """Carry out cancelOrder; what cannot be cancelled is answered with 10147, 10148, 161 or 321."""
        if self._scenario.is_on("read_only", "on"):
            self._refuse(client_id, order_id, Refusal(code=321, text=READ_ONLY_TEXT))
            return
        try:
            self.endings.cancel(client_id, order_id)
        except Refusal as refusal:
            self._refuse(client_id, order_id, refusal)

    def cancel_order(self, order: Order, *, by_client: bool, reason: str = "") -> None:
        """Cancel a live order or a draft now. Only a client's cancel takes the rest of its OCA group with it."""
        self.endings.cancel_order(order, by_client=by_client, reason=reason)

    def cancel_all(self) -> None:
        """Carry out reqGlobalCancel: everything of everyone, drafts too."""
        self.endings.cancel_all()

    def finish(self, order: Order, status: Status, *, text: str = "") -> None:
        """End an order without a fill and tell it. An empty text sends no error 202."""
        self.endings.finish(order, status, text=text)

    # --- time ------------------------------------------------------------------------------------------------

    def clock_moved(self, now: datetime) -> None:
        """Do what is due by `now` (has a time zone). Cheap when nothing is."""
        self._timekeeper.clock_moved(now)

    def located(self, order: Order) -> None:
        """Shares to lend were found: the order goes on."""
        order.locating = False
        self._floor.schedule(order)
        self._floor.announce(order)
        self.fills.arrive(order)

    def _refuse(self, client_id: int, order_id: int, refusal: Refusal) -> None:
        self._notices.order_error(client_id=client_id, order_id=order_id, code=refusal.code, text=refusal.text)


def _columns(terms: Terms) -> dict[str, Any]:
    return {item.name: getattr(terms, item.name) for item in fields(terms)}
