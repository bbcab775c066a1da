"""Commands for what befalls orders at IB and cannot be known from outside: locates, slow cancels, remarks, caps."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.book_state import order_state
from ib_simulator.commands.command import Answer, find_instrument, find_order, named
from ib_simulator.desk.orders import Order
from ib_simulator.desk.refusals import TEXTS
from ib_simulator.errors import CommandError

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def hold_cancels(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Leave orders PendingCancel when clients cancel them: they may still fill."""
    gateway.scenario.cancels_held = True
    return {}


def release_cancels(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Carry out the cancels that were held, and hold no more."""
    gateway.scenario.cancels_held = False
    return {"cancelled": gateway.desk.endings.release_cancels()}


def require_locate(gateway: "Gateway", arguments: Arguments) -> Answer:
    """From now on hold short sales of a symbol with 404 until `release_locate`; `required` false ends it."""
    key = find_instrument(gateway, arguments).key
    if arguments.flag("required", default=True):
        gateway.scenario.hard_to_borrow.add(key)
    else:
        gateway.scenario.hard_to_borrow.discard(key)
    return {"hard_to_borrow": sorted(gateway.scenario.hard_to_borrow)}


def release_locate(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Shares were found for an order that is held with `locate`: it goes on."""
    order = _live(gateway, arguments)
    if not order.locating:
        raise CommandError(code="bad_value", message="the order is not held for a locate")
    gateway.desk.located(order)
    return {"order": order_state(order)}


def inform(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send an error or a remark about a live order and leave it alive, whatever the code sounds like."""
    order = _live(gateway, arguments)
    code = arguments.integer("code")
    text = arguments.text("text", default=TEXTS.get(code, ""))
    gateway.order_error(client_id=order.client_id, order_id=order.order_id, code=code, text=text)
    return {"order": order_state(order)}


def release_commissions(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Send the commissions that `fill_sequence` keeps back."""
    return {"told": gateway.desk.fills.tell_late_commissions()}


def set_price_cap(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Refuse limits more than `percent` through the market with 109, as TWS's presets do; without it none."""
    percent = arguments.positive("percent") if arguments.has("percent") else None
    gateway.scenario.price_cap_percent = percent
    return {"percent": None if percent is None else format(percent, "f")}


def set_master_client(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let one client hear of the orders and executions of all, as TWS's setting does; without it none."""
    gateway.scenario.master_client_id = arguments.optional_integer("client_id")
    return {"client_id": gateway.scenario.master_client_id}


def _live(gateway: "Gateway", arguments: Arguments) -> Order:
    order = find_order(gateway, arguments)
    if not order.is_active:
        raise CommandError(code="order_not_live", message=f"the order is {order.stage.value} ({order.status.value})")
    return order


COMMANDS = named(
    *(hold_cancels, release_cancels, require_locate, release_locate),
    *(inform, release_commissions, set_price_cap, set_master_client),
)
