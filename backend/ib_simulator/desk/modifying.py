"""Changes of live orders: the same id again. A change that is refused leaves the order as it was."""

from dataclasses import replace
from decimal import Decimal

from ib_simulator.desk.fills import Fills
from ib_simulator.desk.floor import Floor
from ib_simulator.desk.orders import (
    CLOSE_TYPES,
    LIMIT_TYPES,
    OCA_REDUCE,
    STOP_TYPES,
    TRAIL_TYPES,
    TRIGGERED_TYPES,
    Order,
    Stage,
)
from ib_simulator.desk.refusals import Refusals
from ib_simulator.desk.terms import Terms, check_terms, read_terms
from ib_simulator.desk.trailing import fix_limit
from ib_simulator.errors import Refusal
from ib_simulator.faults.scenario import CHANGE
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages.place_order import PlaceOrder, echoed_words

NOT_THE_SAME = "Order being modified does not match original order."


class Changes:
    """Carries out modifications."""

    def __init__(self, floor: Floor, *, fills: Fills, refusals: Refusals) -> None:
        self._floor = floor
        self._fills = fills
        self._refusals = refusals

    def modify(self, order: Order, request: PlaceOrder, instrument: Instrument) -> None:
        """Change a live order. Raises Refusal and leaves the order as it was when the change is not allowed."""
        terms = self._terms(order, request)
        check_terms(
            terms,
            action=request.action,
            quantity=request.quantity,
            tick=instrument.tick,
            now=self._floor.clock(),
            is_signed=bool(instrument.legs),
        )
        self._check_identity(order, request, instrument)
        self._check_parent(order, request)
        check_type_change(order.order_type, terms.order_type)
        self._check_live(order, request.quantity)
        self._refusals.check_price_cap(order, terms)
        if not request.transmit:
            return
        rejection = self._floor.scenario.take_rejection(order, on=CHANGE)
        if rejection is not None:
            raise rejection
        if self._floor.scenario.outage and self._floor.scenario.is_on("modify_during_outage", "two_orders"):
            order = self._double(order)
        self._apply(order, request, terms)

    def modify_by_hand(
        self, order: Order, *, quantity: Decimal | None, limit_price: Decimal | None, stop_price: Decimal | None
    ) -> None:
        """Change a live order as somebody at TWS does; what is None stays. Raises Refusal as `modify` does."""
        wanted = order.quantity if quantity is None else quantity
        has_prices = (order.order_type in LIMIT_TYPES - TRAIL_TYPES, order.order_type in TRIGGERED_TYPES - TRAIL_TYPES)
        for given, has, name in zip((limit_price, stop_price), has_prices, ("limit", "stop"), strict=True):
            if given is not None and not has:
                raise Refusal(code=105, text=f"{NOT_THE_SAME} It has no {name} price.")
        terms = terms_of(order)
        if limit_price is not None:
            terms = replace(terms, limit_price=limit_price)
        if stop_price is not None:
            terms = replace(terms, stop_price=stop_price)
        instrument = order.instrument
        check_terms(
            terms,
            action=order.action,
            quantity=wanted,
            tick=instrument.tick,
            now=self._floor.clock(),
            is_signed=bool(instrument.legs),
        )
        self._check_live(order, wanted)
        order.quantity = wanted
        apply_terms(order, terms, stop_sent_anew=False)
        self._take_effect(order)

    def _check_live(self, order: Order, quantity: Decimal) -> None:
        if quantity <= order.filled:
            raise Refusal(code=105, text=f"{NOT_THE_SAME} Already filled.")
        if order.cancelling:
            raise Refusal(code=134, text="Modify order failed.")

    def _terms(self, order: Order, request: PlaceOrder) -> Terms:
        terms = read_terms(request)
        if not request.tif:
            terms = replace(terms, tif=order.tif, good_till=order.good_till)
        # Clients copy the limit of the last openOrder into their order; the offset is what they set.
        return _by_offset(terms)

    def _check_identity(self, order: Order, request: PlaceOrder, instrument: Instrument) -> None:
        if instrument is not order.instrument or request.action != order.action:
            raise Refusal(code=105, text=NOT_THE_SAME)
        if request.account not in {"", order.account}:
            raise Refusal(code=105, text=NOT_THE_SAME)
        if request.oca_group not in {"", order.oca_group}:
            raise Refusal(code=10326, text="OCA group revision is not allowed")
        # The type of an order without a group is only a word of the Gateway's.
        if order.oca_group and request.oca_type not in {0, order.oca_type or OCA_REDUCE}:
            raise Refusal(code=10327, text="OCA type revision is not allowed")

    def _check_parent(self, order: Order, request: PlaceOrder) -> None:
        parent = self._floor.book.parent_of(order)
        if not request.parent_id or parent is None:
            return
        if request.parent_id != order.parent_id:
            raise Refusal(code=105, text=NOT_THE_SAME)
        refused = self._floor.scenario.is_on("modify_child_after_parent_done", "refuse_135")
        if parent.stage is Stage.DONE and refused:
            raise Refusal(code=135, text=f"Can't find order with id = {request.parent_id}")

    def _double(self, order: Order) -> Order:
        """Leave the order as it is and return a second live one under its id, as an outage can."""
        book = self._floor.book
        second = replace(order, sequence=book.next_sequence(), perm_id=0, filled=order.filled * 0, cost=order.cost * 0)
        second.quantity = order.remaining
        book.assign_perm_id(second)
        book.add(second)
        return second

    def _apply(self, order: Order, request: PlaceOrder, terms: Terms) -> None:
        order.quantity = request.quantity
        sent_before = order.fields.get("trailStopPrice", "")
        apply_terms(order, terms, stop_sent_anew=request.fields.get("trailStopPrice", "") != sent_before)
        order.outside_rth = request.outside_rth
        order.fields = echoed_words(request.fields)
        order.groups = request.groups
        self._take_effect(order)

    def _take_effect(self, order: Order) -> None:
        self._floor.schedule(order)
        self._floor.announce(order)
        self._fills.shrink_children(order)
        self._fills.arrive(order)


def check_type_change(old: str, new: str) -> None:
    """Raises Refusal 329: an order for the close stays one, and only a stop can become a trailing stop."""
    closes = (old in CLOSE_TYPES) != (new in CLOSE_TYPES)
    begins_to_trail = new in TRAIL_TYPES and old not in STOP_TYPES
    if closes or begins_to_trail:
        raise Refusal(code=329, text="Order modify failed. Cannot change to the new order type.")


def _by_offset(terms: Terms) -> Terms:
    both = terms.limit_price is not None and terms.limit_offset is not None
    return replace(terms, limit_price=None) if both and terms.order_type == "TRAIL LIMIT" else terms


def terms_of(order: Order) -> Terms:
    """Return the terms as they are by now."""
    terms = Terms(
        order_type=order.order_type,
        tif=order.tif,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        limit_offset=order.limit_offset,
        good_after=order.good_after,
        good_till=order.good_till,
    )
    return _by_offset(terms)


def apply_terms(order: Order, terms: Terms, *, stop_sent_anew: bool) -> None:
    """Set new terms. A stop that is moved has to be triggered again; a trailing stop stays where it is by now."""
    trails = terms.order_type in TRAIL_TYPES
    same_type = terms.order_type == order.order_type
    same_trail = terms.trail_amount == order.trail_amount and terms.trail_percent == order.trail_percent
    goes_on = trails and same_type and same_trail and not stop_sent_anew
    if not goes_on and not (same_type and not trails and terms.stop_price == order.stop_price):
        order.triggered = False
        order.stop_price = terms.stop_price
    order.order_type, order.tif = terms.order_type, terms.tif
    order.trail_amount, order.trail_percent = terms.trail_amount, terms.trail_percent
    order.limit_price, order.limit_offset = terms.limit_price, terms.limit_offset
    order.good_after, order.good_till = terms.good_after, terms.good_till
    fix_limit(order)
