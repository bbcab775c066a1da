"""What the control port can do, one function per command. Each changes the gateway and returns its answer's fields."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ib_simulator.arguments import Arguments
from ib_simulator.book_state import book_state, order_state
from ib_simulator.brackets import capacity
from ib_simulator.errors import CommandError, Refusal
from ib_simulator.handlers import accounts
from ib_simulator.ledger import Position
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages import answers
from ib_simulator.orders import Order, Stage
from ib_simulator.scenario import MessageFilter, Rejection

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

Answer = dict[str, Any]
Command = Callable[["Gateway", Arguments], Answer]

STEPS_MAX = 100_000


def _instrument(gateway: "Gateway", arguments: Arguments) -> Instrument:
    symbol = arguments.text("symbol")
    instrument = gateway.instruments.by_symbol(symbol)
    if instrument is None:
        raise CommandError(code="unknown_symbol", message=f"there is no instrument {symbol!r}")
    return instrument


def _account(gateway: "Gateway", arguments: Arguments) -> str:
    account = arguments.text("account", default=gateway.config.accounts[0])
    if account not in gateway.config.accounts:
        raise CommandError(code="unknown_account", message=f"there is no account {account!r}")
    return account


def _order(gateway: "Gateway", arguments: Arguments) -> Order:
    """Find an order by perm_id, order_ref or order_id (with client_id where several clients use it).

    Where several fit, the latest that is still active wins, else the latest.
    """
    found = [order for order in gateway.book if _is_named(order, arguments)]
    if not found:
        raise CommandError(code="unknown_order", message="there is no such order")
    return next((order for order in reversed(found) if order.is_active), found[-1])


def _is_named(order: Order, arguments: Arguments) -> bool:
    if arguments.optional_integer("client_id") not in {None, order.client_id}:
        return False
    if arguments.has("perm_id"):
        return order.perm_id == arguments.integer("perm_id")
    if arguments.has("order_ref"):
        return order.order_ref == arguments.text("order_ref")
    if arguments.has("order_id"):
        return order.order_id == arguments.integer("order_id")
    raise CommandError(code="missing_argument", message="name the order by order_id, perm_id or order_ref")


# --- the market ----------------------------------------------------------------------------------------------


def ping(_gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Answer."""
    return {}


def state(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """The whole book."""
    return book_state(gateway)


def set_price(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Pin a symbol's last price."""
    instrument, price = _instrument(gateway, arguments), arguments.positive("price")
    if price % instrument.tick:
        raise CommandError(code="bad_value", message=f"{price} is not a multiple of the tick {instrument.tick}")
    gateway.set_price(instrument, price)
    return {"symbol": instrument.symbol, "price": format(price, "f")}


def release_price(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let a pinned price move again."""
    instrument = _instrument(gateway, arguments)
    gateway.market.path(instrument).release()
    return {"symbol": instrument.symbol}


def step(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Move all prices by n steps."""
    count = arguments.integer("n", default=1)
    if not 0 < count <= STEPS_MAX:
        raise CommandError(code="bad_value", message=f"n must be 1 to {STEPS_MAX}")
    for _ in range(count):
        gateway.step()
    return {"prices": {symbol: format(price, "f") for symbol, price in gateway.market.prices().items()}}


# --- fills ---------------------------------------------------------------------------------------------------


def fill(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Fill a live order, wholly or in part, at a price or at the quote, paused or not."""
    order = _order(gateway, arguments)
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
    order = _order(gateway, arguments)
    if order.stage is Stage.DONE:
        raise CommandError(code="order_not_live", message=f"the order is done ({order.status.value})")
    gateway.desk.cancel_order(order, by_client=False, reason=arguments.text("reason", default=""))
    return {"order": order_state(order)}


def reject_next(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Refuse the next order (or the next `count`) that fits symbol and order_type."""
    gateway.scenario.rejections.append(
        Rejection(
            code=arguments.integer("code"),
            text=arguments.text("text", default="Order rejected - reason:"),
            symbol=arguments.text("symbol", default="").upper(),
            order_type=arguments.text("order_type", default="").upper(),
            count=max(1, arguments.integer("count", default=1)),
        )
    )
    return {}


def place_external(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Place an order by hand, as in TWS: client 0, order id 0 until it is bound."""
    try:
        order = gateway.desk.place_manually(
            account=_account(gateway, arguments),
            instrument=_instrument(gateway, arguments),
            action=arguments.text("action").upper(),
            order_type=arguments.text("order_type", default="MKT").upper(),
            quantity=arguments.positive("quantity"),
            limit_price=arguments.optional_decimal("limit_price"),
            stop_price=arguments.optional_decimal("stop_price"),
            tif=arguments.text("tif", default="DAY").upper(),
            order_ref=arguments.text("order_ref", default=""),
        )
    except Refusal as refusal:
        raise CommandError(code="refused", message=str(refusal)) from refusal
    return {"order": order_state(order)}


# --- accounts ------------------------------------------------------------------------------------------------


def set_position(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Make a position what it is told to be, without an execution."""
    account, instrument = _account(gateway, arguments), _instrument(gateway, arguments)
    known = gateway.ledger.position(account, instrument)
    cost = arguments.optional_decimal("average_cost")
    gateway.ledger.set_position(
        Position(
            account,
            instrument,
            quantity=arguments.decimal("quantity"),
            average_cost=gateway.market.quote(instrument).last if cost is None else cost,
            realized_pnl=known.realized_pnl,
        )
    )
    accounts.push_position(gateway, account=account, instrument=instrument)
    return {}


def set_account_value(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Fix one account value, for example NetLiquidation."""
    account = _account(gateway, arguments)
    gateway.ledger.set_value(account=account, key=arguments.text("key"), value=arguments.text("value"))
    accounts.push_values(gateway, account)
    return {}


# --- faults --------------------------------------------------------------------------------------------------


def drop_connections(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Close the sockets of one client or of all, handshakes under way too."""
    client_id = arguments.optional_integer("client_id")
    dropped = [session for session in gateway.sessions.values() if client_id in {None, session.client_id}]
    for session in dropped:
        session.close()
    return {"dropped": len(dropped)}


def refuse_connections(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Stop listening: new connections are refused, existing ones stay."""
    gateway.scenario.accepting = False
    return {}


def accept_connections(gateway: "Gateway", _arguments: Arguments) -> Answer:
    """Listen again on the same port."""
    gateway.scenario.accepting = True
    return {}


def _filters(arguments: Arguments) -> set[MessageFilter]:
    client_id = arguments.optional_integer("client_id")
    return {(name, client_id) for name in arguments.texts("messages", default=["*"])}


def mute(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Lose messages of these names from now on (all without names)."""
    gateway.scenario.muted |= _filters(arguments)
    return {}


def unmute(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send messages of these names again (all without names); what was lost stays lost."""
    _take_back(gateway.scenario.muted, arguments)
    return {}


def hold_answers(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Keep messages of these names back (all without names)."""
    gateway.scenario.held |= _filters(arguments)
    return {}


def release_answers(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send what was held back and hold no more (all without names)."""
    _take_back(gateway.scenario.held, arguments)
    for session in gateway.sessions.values():
        session.release_held()
    return {}


def _take_back(filters: set[MessageFilter], arguments: Arguments) -> None:
    if arguments.has("messages"):
        names = set(arguments.texts("messages"))
        filters -= {wanted for wanted in filters if wanted[0] in names}
    else:
        filters.clear()


def send_error(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Send an error or a notice to one client or to all."""
    client_id = arguments.optional_integer("client_id")
    answer = answers.error(
        arguments.integer("id", default=-1), arguments.integer("code"), arguments.text("text", default="")
    )
    told = [session for session in gateway.connected() if client_id in {None, session.client_id}]
    for session in told:
        session.send(answer)
    return {"told": len(told)}


def roll_back_next_id(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Give out the last order ids of every client again, as a Gateway restart can."""
    by = arguments.integer("by")
    if by <= 0:
        raise CommandError(code="bad_value", message="by must be above zero")
    gateway.book.roll_back_ids(by)
    return {}


def set_switch(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Choose between behaviours where the real one is not known for sure."""
    gateway.scenario.set_switch(arguments.text("name"), arguments.text("value"))
    return {"switches": dict(gateway.scenario.switches)}


def messages(gateway: "Gateway", arguments: Arguments) -> Answer:
    """What clients sent, in order, with the time of receipt."""
    client_id = arguments.optional_integer("client_id")
    name = arguments.text("name", default="")
    limit = arguments.integer("limit", default=gateway.received.maxlen)
    found = [
        message.as_json()
        for message in gateway.received
        if client_id in {None, message.client_id} and name in {"", message.name}
    ]
    return {"messages": found[-limit:] if limit > 0 else []}


def shutdown(_gateway: "Gateway", _arguments: Arguments) -> Answer:
    """End the program after this answer."""
    return {}


COMMANDS: dict[str, Command] = {
    command.__name__: command
    for command in (
        *(ping, state, messages, shutdown),
        *(set_price, release_price, step),
        *(fill, pause_fills, resume_fills, cancel_order, reject_next, place_external),
        *(set_position, set_account_value),
        *(drop_connections, refuse_connections, accept_connections, mute, unmute, hold_answers, release_answers),
        *(send_error, roll_back_next_id, set_switch),
    )
}
