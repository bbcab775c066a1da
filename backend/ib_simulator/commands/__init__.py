"""What the control port can do: one function per command, one module per kind."""

from ib_simulator.commands import (
    accounts,
    clock,
    connections,
    faults,
    market,
    order_states,
    orders,
    program,
    resets,
    splits,
    wire,
)
from ib_simulator.commands.command import Command

COMMANDS: dict[str, Command] = {
    **program.COMMANDS,
    **market.COMMANDS,
    **clock.COMMANDS,
    **orders.COMMANDS,
    **order_states.COMMANDS,
    **accounts.COMMANDS,
    **faults.COMMANDS,
    **wire.COMMANDS,
    **connections.COMMANDS,
    **resets.COMMANDS,
    **splits.COMMANDS,
}
