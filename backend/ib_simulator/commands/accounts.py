"""Commands about accounts: positions and values."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, find_account, find_instrument, named
from ib_simulator.handlers import accounts, positions
from ib_simulator.ledger import Position

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway


def set_position(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Make a position what it is told to be, without an execution."""
    account, instrument = find_account(gateway, arguments), find_instrument(gateway, arguments)
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
    positions.push_position(gateway, account=account, instrument=instrument)
    return {}


def set_account_value(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Fix one account value, for example NetLiquidation."""
    account = find_account(gateway, arguments)
    gateway.ledger.set_value(account=account, key=arguments.text("key"), value=arguments.text("value"))
    accounts.push_values(gateway, account)
    return {}


COMMANDS = named(set_position, set_account_value)
