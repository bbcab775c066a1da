"""What the control port can do: one function per command, one module per kind."""

from ib_simulator.commands import accounts, clock, faults, market, orders, program
from ib_simulator.commands.command import Command

COMMANDS: dict[str, Command] = {
    **program.COMMANDS,
    **market.COMMANDS,
    **clock.COMMANDS,
    **orders.COMMANDS,
    **accounts.COMMANDS,
    **faults.COMMANDS,
}
