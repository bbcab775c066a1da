"""What IB refuses or remarks upon by the nature of an order. What it cannot know comes by command (`reject_next`).

109 price cap   201 too many active orders   328 trailing child   387 type unsupported   411 outside hours
10052 no time in force   10224 accounts in a group
404 (held, lives) shares to lend are not at hand   2109, 2137, 399, 10349 (remarks, the order lives)
"""

from datetime import datetime
from decimal import Decimal

from ib_simulator.desk.floor import Floor
from ib_simulator.desk.groups import check_account, join_refusal
from ib_simulator.desk.orders import CLOSE_TYPES, LIMIT_TYPES, TRAIL_TYPES, Order
from ib_simulator.desk.terms import Terms
from ib_simulator.desk.timing import STOCK, goes_outside
from ib_simulator.errors import Refusal
from ib_simulator.market.hours import ZONE, AlwaysOpen

ACTIVE_ORDERS_MAX = 20  # Per contract, side and account [B7 DOC].
# The text as clients have logged it, with IB's present number.
TOO_MANY = (
    f"Order rejected - reason:Your account has a minimum of {ACTIVE_ORDERS_MAX} orders working on either the buy or "
    "sell side for this particular contract"
)
TRAIL_CHILD = "Trailing stop orders can be attached to limit or stop-limit orders only."
PRICE_CAP = (
    "Price is out of the range defined by the Percentage setting at order defaults frame. "
    "The order will not be transmitted."
)
OUTSIDE_IGNORED = (
    "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored based on the order type and destination. "
    "PlaceOrder is now being processed."
)
NOT_AT_HAND = (
    "Shares for this order are not immediately available for short sale. "
    "The order will be held while we attempt to locate the shares."
)
TRAIL_PARENTS = frozenset({"LMT", "STP LMT"})
# Refused before they reach IB's servers: an error and nothing else (no permId, no status).
NO_STATUS_CODES = frozenset(
    {
        *(103, 104, 105, 109, 110, 111, 113, 134, 135, 158, 159, 200, 321, 328, 329, 334, 337, 387, 388, 411),
        *(434, 435, 2102, 10006, 10052, 10224, 10243, 10326, 10327),
    }
)
# What IB says with a code when nobody gives another text.
TEXTS = {
    109: PRICE_CAP,
    203: "The security is not available or allowed for this account.",
    387: "Unsupported order type for this exchange and security type.",
    388: "Order size is smaller than the minimum requirement.",
    404: NOT_AT_HAND,
    411: "The 'Outside Regular Trading Hours' flag is not valid for this order.",
    460: "No trading permissions.",
    2102: "Unable to modify this order as it is still being processed.",
}


class Refusals:
    """Checks an order against the book, the market and the scenario."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def check_entry(self, order: Order, terms: Terms, *, parent: Order | None) -> None:
        """Check a new order when it comes in. Raises Refusal 10052, 10224, 109, 328, 387 or 411."""
        if order.tif_defaulted and self._floor.scenario.is_on("empty_tif", "refuse_10052"):
            raise Refusal(code=10052, text="Invalid time in force:Empty")
        auction = order.order_type in CLOSE_TYPES or order.tif == "OPG"
        if auction and order.instrument.sec_type != STOCK:
            raise Refusal(code=387, text=TEXTS[387])
        if order.tif == "OPG" and order.outside_rth:
            raise Refusal(code=411, text=TEXTS[411])
        if parent is not None and order.order_type in TRAIL_TYPES and parent.order_type not in TRAIL_PARENTS:
            raise Refusal(code=328, text=TRAIL_CHILD)
        check_account(self._floor.book, order)
        self.check_price_cap(order, terms)

    def check_price_cap(self, order: Order, terms: Terms) -> None:
        """Raises Refusal 109 for a limit that is further through the market than the setting allows."""
        percent = self._floor.scenario.price_cap_percent
        if percent is None or terms.limit_price is None or terms.order_type not in LIMIT_TYPES:
            return
        quote = self._floor.market.quote(order.instrument)
        allowed = Decimal(1) + percent / 100 if order.is_buy else Decimal(1) - percent / 100
        bound = (quote.ask if order.is_buy else quote.bid) * allowed
        if terms.limit_price > bound if order.is_buy else terms.limit_price < bound:
            raise Refusal(code=109, text=PRICE_CAP)

    def check_transmission(self, order: Order) -> Refusal | None:
        """Return what IB's servers would refuse: a group that takes nobody, by switch one order too many on a side."""
        refusal = join_refusal(self._floor.book, order, scenario=self._floor.scenario)
        if refusal is not None:
            return refusal
        if not self._floor.scenario.is_on("active_orders_limit", "on"):
            return None
        same = [
            other
            for other in self._floor.book.active()
            if other.instrument is order.instrument and other.action == order.action and other.account == order.account
        ]
        return Refusal(code=201, text=TOO_MANY) if len(same) >= ACTIVE_ORDERS_MAX else None

    # --- remarks: the order lives ----------------------------------------------------------------------------

    def remark(self, order: Order) -> None:
        """Say what IB says of an order it takes, before the order itself is told."""
        if order.tif_defaulted:
            self._floor.tell(order, code=10349, text="Order TIF was set to DAY based on order preset.")
        hours_matter = not isinstance(self._floor.hours, AlwaysOpen)
        if hours_matter and order.outside_rth and not goes_outside(order):
            self._floor.tell(order, code=2109, text=OUTSIDE_IGNORED)
        held = self._floor.ledger.position(order.account, order.instrument).quantity
        if self._floor.scenario.is_on("cross_side_warning", "on") and _changes_side(order, held):
            self._floor.tell(order, code=2137, text="Cross Side Warning")
        if order.instrument.key in self._floor.scenario.hard_to_borrow and _is_short(order, held):
            order.locating = True
            self._floor.tell(order, code=404, text=NOT_AT_HAND)

    def remark_on_hours(self, order: Order) -> bool:
        """Tell 399 when the exchange is closed for this order [CAPTURE B3]. Returns whether it was told."""
        opens = self._opens_later(order, self._floor.clock())
        if opens is None:
            return False
        listed = order.instrument
        venue = "NASDAQ.NMS" if listed.primary_exchange == "NASDAQ" else listed.primary_exchange
        until = opens.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S") + f" {ZONE.key}"
        text = (
            f"Order Message:\n{order.action} {order.quantity:f} {listed.local_symbol} {venue}\n"
            f"Warning: Your order will not be placed at the exchange until {until}."
        )
        self._floor.tell(order, code=399, text=text)
        return True

    def _opens_later(self, order: Order, now: datetime) -> datetime | None:
        if order.tif == "OPG":
            return order.due_at
        if order.good_after is not None and order.good_after > now:
            return None
        opens = self._floor.hours.next_open(now, outside_rth=goes_outside(order))
        return opens if opens > now else None


def _changes_side(order: Order, held: Decimal) -> bool:
    after = held + order.quantity if order.is_buy else held - order.quantity
    return held * after < 0


def _is_short(order: Order, held: Decimal) -> bool:
    # A child sells what its parent will have bought.
    return not order.is_buy and order.parent_sequence is None and order.quantity > max(held, Decimal(0))
