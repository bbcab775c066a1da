"""The order desk: takes orders in, changes and cancels them, by IB's rules of ids, transmission and refusal.

Filling is `fills.py`, dependence of orders is `brackets.py`. Nothing here knows of connections: news go to `Notices`.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from ib_simulator.book import Book
from ib_simulator.brackets import attach, group_members, left_to_exit, may_activate
from ib_simulator.errors import Refusal
from ib_simulator.fills import Fills
from ib_simulator.ledger import Ledger
from ib_simulator.market.instruments import Instrument, InstrumentList
from ib_simulator.market.prices import Market
from ib_simulator.messages.place_order import PlaceOrder
from ib_simulator.notices import Notices
from ib_simulator.orders import Order, Stage, Status
from ib_simulator.scenario import Scenario
from ib_simulator.validation import check_order, check_prices, check_terms, choose_account, find_instrument

Clock = Callable[[], datetime]

READ_ONLY_TEXT = "Error validating request.-'bN' : cause - The API interface is currently in Read-Only mode."
# Refused before they reach IB's servers: an error and nothing else (no permId, no status).
NO_STATUS_CODES = frozenset({103, 104, 105, 110, 135, 200, 321, 434, 435, 10006, 10052, 10243})


class Desk:
    """All rules for orders that one client or the control port may ask for."""

    def __init__(
        self,
        *,
        book: Book,
        ledger: Ledger,
        market: Market,
        instruments: InstrumentList,
        scenario: Scenario,
        notices: Notices,
        clock: Clock,
    ) -> None:
        self.book = book
        self.ledger = ledger
        self.market = market
        self._instruments = instruments
        self._scenario = scenario
        self._notices = notices
        self._clock = clock
        # Asked in turn when an order is transmitted; the first refusal counts.
        self.checks: list[Callable[[Order], Refusal | None]] = []
        self.fills = Fills(
            book=book, ledger=ledger, market=market, scenario=scenario, notices=notices, clock=clock, ender=self
        )

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
            self._modify(known, request)
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
        check_order(request, instrument)
        parent = self._parent_for(client_id, request) if request.parent_id else None
        return Order(
            sequence=sequence,
            client_id=client_id,
            order_id=request.order_id,
            account=choose_account(request, self.ledger.accounts),
            instrument=instrument,
            exchange=request.contract.exchange or "SMART",
            action=request.action,
            order_type=request.order_type,
            quantity=request.quantity,
            limit_price=request.limit_price,
            stop_price=request.aux_price,
            tif=request.tif or "DAY",
            tif_defaulted=not request.tif,
            outside_rth=request.outside_rth,
            order_ref=request.order_ref,
            parent_id=request.parent_id,
            parent_sequence=parent.sequence if parent else None,
            oca_group=request.oca_group,
            oca_type=request.oca_type,
            transmit=request.transmit,
            fields=request.fields,
            groups=request.groups,
        )

    def _parent_for(self, client_id: int, request: PlaceOrder) -> Order:
        parent = self.book.find(client_id=client_id, order_id=request.parent_id)
        if parent is None:
            raise Refusal(code=10006, text="Missing parent order.")
        if parent.stage is Stage.DONE or request.parent_id == request.order_id:
            raise Refusal(code=135, text=f"Can't find order with id = {request.parent_id}")
        return parent

    def place_manually(
        self,
        *,
        account: str,
        instrument: Instrument,
        action: str,
        order_type: str,
        quantity: Decimal,
        limit_price: Decimal | None,
        stop_price: Decimal | None,
        tif: str,
        order_ref: str,
    ) -> Order:
        """Place an order as somebody at TWS would: client 0, no order id. Raises Refusal."""
        check_terms(action=action, order_type=order_type, tif=tif, quantity=quantity)
        check_prices(order_type=order_type, limit_price=limit_price, stop_price=stop_price, tick=instrument.tick)
        order = Order(
            sequence=self.book.next_sequence(),
            client_id=0,
            order_id=0,
            account=account,
            instrument=instrument,
            exchange="SMART",
            action=action,
            order_type=order_type,
            quantity=quantity,
            limit_price=limit_price,
            stop_price=stop_price,
            tif=tif,
            order_ref=order_ref,
        )
        self.book.add(order)
        self._transmit(order)
        return order

    # --- transmission ----------------------------------------------------------------------------------------

    def _transmit(self, order: Order) -> None:
        """Send an order on, with the drafts it completes: its parents and their other children."""
        sent = [member for member in self._completed_by(order) if self._send(member)]
        for member in sent:
            self._announce(member)
        if len(sent) > 1 and self._scenario.is_on("duplicate_callbacks", "on"):
            for member in sent:
                self._announce(member)
        for member in sent:
            self.fills.arrive(member)

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
        refusal = self._scenario.take_rejection(order) or self._check(order)
        if refusal is not None:
            self.reject(order, refusal)
            return False
        order.transmit = True
        self.book.assign_perm_id(order)
        parent = self.book.parent_of(order)
        if parent is not None:
            attach(order, parent)
        on_partial = self._scenario.is_on("children_activate", "on_partial")
        live = parent is None or may_activate(parent, on_partial=on_partial)
        order.stage = Stage.WORKING if live else Stage.HELD
        self.book.touch(order)
        if order.tif_defaulted:
            self._tell(order, code=10349, text="Order TIF was set to DAY based on order preset.")
        return True

    def _check(self, order: Order) -> Refusal | None:
        return next((refusal for check in self.checks if (refusal := check(order)) is not None), None)

    def reject(self, order: Order, refusal: Refusal) -> None:
        """Refuse an order that had reached the servers; its children are discarded, never live on their own."""
        if refusal.code in NO_STATUS_CODES:
            order.stage, order.final_status, order.completed_at = Stage.DONE, Status.INACTIVE, self._clock()
            self._tell(order, code=refusal.code, text=refusal.text)
        else:
            self._reject_with_status(order, refusal)
        self.book.touch(order)
        for child in self.book.children_of(order):
            if child.stage is not Stage.DONE:
                self.finish(child, Status.CANCELLED, text="Order Canceled - reason:Order was discarded.")

    def _reject_with_status(self, order: Order, refusal: Refusal) -> None:
        if not order.perm_id:
            self.book.assign_perm_id(order)
        sequence = self._scenario.switches["reject_sequence"]
        cancelled = sequence == "error_then_cancelled"
        order.stage, order.completed_at = Stage.DONE, self._clock()
        order.final_status = Status.CANCELLED if cancelled else Status.INACTIVE
        if sequence == "inactive_then_error":
            self._announce(order)
        self._tell(order, code=refusal.code, text=refusal.text)
        if sequence in {"error_then_inactive", "error_then_cancelled"}:
            self._announce(order)

    # --- modification ----------------------------------------------------------------------------------------

    def _modify(self, order: Order, request: PlaceOrder) -> None:
        """Change a live order. Raises Refusal and leaves the order as it was when the change is not allowed."""
        instrument = find_instrument(self._instruments, request)
        check_order(request, instrument)
        if instrument is not order.instrument or request.action != order.action:
            raise Refusal(code=105, text="Order being modified does not match original order.")
        if request.account not in {"", order.account}:
            raise Refusal(code=105, text="Order being modified does not match original order.")
        self._check_parent_of_modification(order, request)
        if request.quantity <= order.filled:
            raise Refusal(code=105, text="Order being modified does not match original order. Already filled.")
        if not request.transmit:
            return
        rejection = self._scenario.take_rejection(order)
        if rejection is not None:
            raise rejection
        order.quantity = request.quantity
        self.change_prices(
            order, order_type=request.order_type, limit_price=request.limit_price, stop_price=request.aux_price
        )
        order.tif = request.tif or order.tif
        order.outside_rth = request.outside_rth
        order.fields = {**request.fields, "orderRef": order.order_ref}
        order.groups = request.groups
        self.book.touch(order)
        self._announce(order)
        self.fills.arrive(order)

    def _check_parent_of_modification(self, order: Order, request: PlaceOrder) -> None:
        parent = self.book.parent_of(order)
        if not request.parent_id or parent is None:
            return
        if request.parent_id != order.parent_id:
            raise Refusal(code=105, text="Order being modified does not match original order.")
        if parent.stage is Stage.DONE and self._scenario.is_on("modify_child_after_parent_done", "refuse_135"):
            raise Refusal(code=135, text=f"Can't find order with id = {request.parent_id}")

    def change_prices(
        self, order: Order, *, order_type: str, limit_price: Decimal | None, stop_price: Decimal | None
    ) -> None:
        """Set a new type and prices. A stop that is moved has to be triggered again."""
        check_prices(order_type=order_type, limit_price=limit_price, stop_price=stop_price, tick=order.instrument.tick)
        if order_type != order.order_type or stop_price != order.stop_price:
            order.triggered = False
        order.order_type = order_type
        order.limit_price = limit_price
        order.stop_price = stop_price

    # --- ending ----------------------------------------------------------------------------------------------

    def cancel(self, client_id: int, order_id: int) -> None:
        """Carry out cancelOrder: 10147 for an id this client doesn't have, 10148 for an order that is done."""
        if self._scenario.is_on("read_only", "on"):
            self._refuse(client_id, order_id, Refusal(code=321, text=READ_ONLY_TEXT))
            return
        order = self.book.find(client_id=client_id, order_id=order_id)
        if order is None and self._scenario.is_on("cross_client_cancel", "allow"):
            order = next((other for other in self.book.active() if other.order_id == order_id), None)
        if order is None:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            self._refuse(client_id, order_id, Refusal(code=10147, text=text))
        elif order.stage is Stage.DONE:
            text = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
            self._refuse(client_id, order_id, Refusal(code=10148, text=text))
        else:
            self.cancel_order(order, by_client=True)

    def cancel_order(self, order: Order, *, by_client: bool, reason: str = "") -> None:
        """Cancel a live order or a draft. Only a client's cancel takes the rest of its OCA group with it."""
        if order.stage is Stage.DRAFT:
            self._discard(order)
            return
        others = group_members(self.book, order) if by_client else []
        if by_client and self._scenario.is_on("cancel_child_cancels_sibling", "on"):
            parent = self.book.parent_of(order)
            others += [child for child in self.book.children_of(parent) if child is not order] if parent else []
        if self._scenario.is_on("cancel_sequence", "pending_first"):
            for _ in range(2):
                self._notices.order_status(order, status=Status.PENDING_CANCEL)
        self.finish(order, Status.CANCELLED, text=f"Order Canceled - reason:{reason}")
        for other in others:
            if other.is_active:
                self.finish(other, Status.CANCELLED, text="Order Canceled - reason:")

    def cancel_all(self) -> None:
        """Carry out reqGlobalCancel: everything of everyone, drafts too."""
        for order in self.book.drafts() + self.book.active():
            if order.stage is not Stage.DONE:
                self.cancel_order(order, by_client=False)

    def _discard(self, order: Order) -> None:
        for member in [order, *self.book.children_of(order)]:
            if member.stage is not Stage.DONE:
                self.finish(member, Status.CANCELLED, text="Order Canceled - reason:Order was discarded.")

    def finish(self, order: Order, status: Status, *, text: str = "") -> None:
        """End an order without a fill, tell it, and deal with its children. An empty text sends no error 202."""
        order.stage, order.final_status, order.completed_at = Stage.DONE, status, self._clock()
        self.book.touch(order)
        self._notices.order_status(order)
        if text:
            self._tell(order, code=202, text=text)
        self._after_parent_ended(order)

    def _after_parent_ended(self, parent: Order) -> None:
        policy = self._scenario.switches["children_after_partial_cancel"]
        for child in self.book.children_of(parent):
            if child.stage is Stage.DONE:
                continue
            left = left_to_exit(self.book, parent)
            if not parent.filled or policy == "cancel" or not left:
                self.finish(child, Status.CANCELLED, text="Order Canceled - reason:")
                continue
            if policy == "keep_filled" and child.remaining > left:
                child.quantity = child.filled + left
            child.stage = Stage.WORKING
            self.book.touch(child)
            self._announce(child)
            self.fills.arrive(child)

    # --- time ------------------------------------------------------------------------------------------------

    def clock_moved(self, now: datetime) -> None:
        """Do what is due by `now` (has a time zone). Cheap when nothing is."""

    # --- telling ---------------------------------------------------------------------------------------------

    def _announce(self, order: Order) -> None:
        self._notices.open_order(order)
        self._notices.order_status(order)

    def _tell(self, order: Order, *, code: int, text: str) -> None:
        self._notices.order_error(client_id=order.client_id, order_id=order.order_id, code=code, text=text)

    def _refuse(self, client_id: int, order_id: int, refusal: Refusal) -> None:
        self._notices.order_error(client_id=client_id, order_id=order_id, code=refusal.code, text=refusal.text)
