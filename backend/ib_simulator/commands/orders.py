"""Commands about orders: fill, cancel, refuse, place by hand."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.book_state import order_state
from ib_simulator.commands.command import Answer, find_account, find_instrument, find_order, named
from ib_simulator.desk.brackets import capacity
from ib_simulator.desk.orders import Stage
from ib_simulator.desk.refusals import TEXTS
from ib_simulator.desk.terms import Terms
from ib_simulator.errors import CommandError, Refusal
from ib_simulator.faults.scenario import CHANGE, EITHER, NEW, Rejection

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def fill(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Fill a live order, wholly or in part, at a price or at the quote, paused or not."""
    order = find_order(gateway, arguments)
    if order.stage is not Stage.WORKING:
        raise CommandError(code="order_not_live", message=f"the order is {order.stage.value} ({order.status.value})")
    left = capacity(gateway.book, order)
    quantity = arguments.positive("quantity") if arguments.has("quantity") else left
    if quantity > left or not left:
        raise CommandError(code="bad_value", message=f"only {left:f} are left to fill")
    quote = gateway.market.quote(order.instrument)
    default = order.limit_price or (quote.ask if order.is_buy else quote.bid)
    price = arguments.positive("price") if arguments.has("price") else default
    execution = gateway.desk.fills.fill(order, quantity=quantity, price=price)
    return {"exec_id": execution.exec_id, "order": order_state(order)}


def pause_fills(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Stop matching: nothing triggers or fills by itself."""
    gateway.scenario.fills_paused = True
    return {}


def resume_fills(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Match again, at once with the prices of now."""
    gateway.scenario.fills_paused = False
    gateway.desk.fills.market_moved()
    return {}


def cancel_order(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Cancel an order as the system or somebody at TWS would."""
    order = find_order(gateway, arguments)
    if order.stage is Stage.DONE:
        raise CommandError(code="order_not_live", message=f"the order is done ({order.status.value})")
    gateway.desk.cancel_order(order, by_client=False, reason=arguments.text("reason", default=""))
    return {"order": order_state(order)}


def modify_order(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Change a live order's quantity or prices as somebody at TWS would; whoever placed it is told."""
    order = find_order(gateway, arguments)
    if order.stage in {Stage.DONE, Stage.DRAFT}:
        raise CommandError(code="order_not_live", message=f"the order is {order.stage.value} ({order.status.value})")
    try:
        gateway.desk.modify_by_hand(
            order,
            quantity=arguments.positive("quantity") if arguments.has("quantity") else None,
            limit_price=arguments.optional_decimal("limit_price"),
            stop_price=arguments.optional_decimal("stop_price"),
        )
    except Refusal as refusal:
        raise CommandError(code="refused", message=str(refusal)) from refusal
    return {"order": order_state(order)}


def reject_next(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Refuse the next order (or the next `count`) that fits symbol and order_type, `on` its placing or its change."""
    code, on = arguments.integer("code"), arguments.text("on", default=EITHER)
    if on not in {NEW, CHANGE, EITHER}:
        raise CommandError(code="bad_value", message=f"on is one of: {NEW}, {CHANGE}, {EITHER}")
    gateway.scenario.rejections.append(
        Rejection(
            code=code,
            text=arguments.text("text", default=TEXTS.get(code, "Order rejected - reason:")),
            symbol=arguments.text("symbol", default="").upper(),
            order_type=arguments.text("order_type", default="").upper(),
            on=on,
            count=max(1, arguments.integer("count", default=1)),
        )
    )
    return {}


def place_external(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Place an order by hand, as in TWS: client 0, order id 0 until it is bound; or as another client's program."""
    client_id = arguments.integer("client_id", default=0)
    if client_id < 0:
        raise CommandError(code="bad_value", message="client_id must not be below zero")
    try:
        order = gateway.desk.place_manually(
            account=find_account(gateway, arguments),
            instrument=find_instrument(gateway, arguments),
            action=arguments.text("action").upper(),
            quantity=arguments.positive("quantity"),
            terms=Terms(
                order_type=arguments.text("order_type", default="MKT").upper(),
                tif=arguments.text("tif", default="DAY").upper(),
                limit_price=arguments.optional_decimal("limit_price"),
                stop_price=arguments.optional_decimal("stop_price"),
                trail_amount=arguments.optional_decimal("trail_amount"),
                trail_percent=arguments.optional_decimal("trail_percent"),
                limit_offset=arguments.optional_decimal("limit_offset"),
            ),
            order_ref=arguments.text("order_ref", default=""),
            client_id=client_id,
            group=(arguments.text("oca_group", default=""), arguments.integer("oca_type", default=0)),
        )
    except Refusal as refusal:
        raise CommandError(code="refused", message=str(refusal)) from refusal
    return {"order": order_state(order)}


COMMANDS = named(fill, pause_fills, resume_fills, cancel_order, modify_order, reject_next, place_external)
