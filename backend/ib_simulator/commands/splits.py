"""A stock split: positions, price and orders change at once, and no execution says why.

orders    cancelled ("Corporate action"), adjusted or left as they are, by the switch `split_orders`
position  shares times the ratio, whole ones only; average cost divided by it
price     divided by the ratio and pinned there; then the orders that are left meet it
"""

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, find_instrument, named
from ib_simulator.desk.orders import LIMIT_TYPES, TRAIL_TYPES, TRIGGERED_TYPES, Order
from ib_simulator.errors import CommandError, Refusal
from ib_simulator.handlers import positions
from ib_simulator.market.instruments import Instrument

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

RATIO_MAX = 1000
CORPORATE_ACTION = "Corporate action"


def split(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Make `ratio` shares of each: 2 is two for one, 0.1 one for ten. In every account."""
    instrument, ratio = find_instrument(gateway, arguments), arguments.positive("ratio")
    if not Decimal(1) / RATIO_MAX <= ratio <= RATIO_MAX or ratio == 1:
        raise CommandError(code="bad_value", message=f"ratio must be from 1/{RATIO_MAX} to {RATIO_MAX} and not 1")
    price = _on_tick(gateway.market.quote(instrument).last / ratio, instrument)
    fills_paused, gateway.scenario.fills_paused = gateway.scenario.fills_paused, True
    changed = [order.order_ref or str(order.order_id) for order in _split_orders(gateway, instrument, ratio=ratio)]
    for held in gateway.ledger.positions():
        if held.instrument is instrument:
            quantity = _times(held.quantity, ratio)
            gateway.ledger.set_position(replace(held, quantity=quantity, average_cost=held.average_cost / ratio))
            positions.push_position(gateway, account=held.account, instrument=instrument)
    gateway.scenario.fills_paused = fills_paused
    gateway.set_price(instrument, price)
    return {"price": format(price, "f"), "orders": changed}


def _split_orders(gateway: "Gateway", instrument: Instrument, *, ratio: Decimal) -> list[Order]:
    """Cancel or adjust the orders, as the switch says; what cannot be adjusted is cancelled. Return them."""
    if gateway.scenario.is_on("split_orders", "kept"):
        return []
    orders = [order for order in gateway.book.active() if order.instrument is instrument]
    wanted = {order.sequence: _times(order.quantity, ratio) for order in orders}
    for order in orders:
        parent = gateway.book.parent_of(order)
        if parent is not None and not parent.is_active:  # It ended by this, filled in part: its child was cut to that.
            wanted[order.sequence] = _times(order.quantity, ratio)
        if order.is_active and not _adjusted(gateway, order, quantity=wanted[order.sequence], ratio=ratio):
            gateway.desk.cancel_order(order, by_client=False, reason=CORPORATE_ACTION)
    return orders


def _times(quantity: Decimal, ratio: Decimal) -> Decimal:
    return (quantity * ratio).quantize(Decimal(1), rounding=ROUND_DOWN)


def _adjusted(gateway: "Gateway", order: Order, *, quantity: Decimal, ratio: Decimal) -> bool:
    """Change the order's size and prices where that is wanted and can be done; say whether it was."""
    cannot = order.filled or order.cancelling or not quantity or order.order_type in TRAIL_TYPES
    if gateway.scenario.is_on("split_orders", "cancelled") or cannot:
        return False
    has = {"limit_price": order.order_type in LIMIT_TYPES, "stop_price": order.order_type in TRIGGERED_TYPES}
    prices = {name: getattr(order, name) for name in has if has[name]}
    try:
        gateway.desk.modify_by_hand(
            order,
            quantity=quantity,
            limit_price=_divided(prices.get("limit_price"), ratio, order.instrument),
            stop_price=_divided(prices.get("stop_price"), ratio, order.instrument),
        )
    except Refusal:
        return False
    return True


def _divided(price: Decimal | None, ratio: Decimal, instrument: Instrument) -> Decimal | None:
    return None if price is None else _on_tick(price / ratio, instrument)


def _on_tick(price: Decimal, instrument: Instrument) -> Decimal:
    ticks = (price / instrument.tick).quantize(Decimal(1))
    return max(ticks, Decimal(1)) * instrument.tick


COMMANDS = named(split)
