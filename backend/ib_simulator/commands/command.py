"""What every command of the control port is, and how it finds what its arguments name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ib_simulator.arguments import Arguments
from ib_simulator.desk.orders import Order
from ib_simulator.errors import CommandError
from ib_simulator.market.instruments import Instrument

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

Answer = dict[str, Any]
Command = Callable[["Gateway", Arguments], Answer]


def named(*commands: Command) -> dict[str, Command]:
    """Return the commands by their names."""
    return {command.__name__: command for command in commands}


def find_instrument(gateway: "Gateway", arguments: Arguments) -> Instrument:
    """Find `symbol`: a stock's, or the local symbol of an option. Raises CommandError unknown_symbol."""
    symbol = arguments.text("symbol")
    instrument = gateway.instruments.by_key(symbol)
    if instrument is None:
        raise CommandError(code="unknown_symbol", message=f"there is no instrument {symbol!r}")
    return instrument


def find_account(gateway: "Gateway", arguments: Arguments) -> str:
    """Return `account`, by default the first. Raises CommandError unknown_account."""
    account = arguments.text("account", default=gateway.config.accounts[0])
    if account not in gateway.config.accounts:
        raise CommandError(code="unknown_account", message=f"there is no account {account!r}")
    return account


def find_order(gateway: "Gateway", arguments: Arguments) -> Order:
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
