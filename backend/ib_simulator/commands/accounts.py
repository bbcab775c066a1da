"""Commands about accounts: positions and values."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, find_account, find_instrument, named
from ib_simulator.errors import CommandError
from ib_simulator.handlers import accounts, positions
from ib_simulator.money.corrections import correct
from ib_simulator.money.ledger import Position

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

LAG_SECONDS_MAX = 600


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


def transfer(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Add to a position without an execution: shares moved in (or out, below zero), an assignment, an exercise."""
    account, instrument = find_account(gateway, arguments), find_instrument(gateway, arguments)
    known, moved = gateway.ledger.position(account, instrument), arguments.decimal("quantity")
    cost = arguments.optional_decimal("average_cost")
    gateway.ledger.set_position(
        replace(
            known,
            quantity=known.quantity + moved,
            average_cost=(known.average_cost or gateway.market.quote(instrument).last) if cost is None else cost,
        )
    )
    positions.push_position(gateway, account=account, instrument=instrument)
    return {"quantity": format(known.quantity + moved, "f")}


def lag_positions(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Report positions so many seconds late from now on; 0 tells at once what waits, and the rest as it happens."""
    late = arguments.decimal("seconds")
    if not 0 <= late <= LAG_SECONDS_MAX:
        raise CommandError(code="bad_value", message=f"seconds must be 0 to {LAG_SECONDS_MAX}, not {late}")
    gateway.position_reports.set_lag(float(late))
    return {"seconds": format(late, "f")}


def set_account_value(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Fix one account value, for example NetLiquidation."""
    account = find_account(gateway, arguments)
    gateway.ledger.set_value(account=account, key=arguments.text("key"), value=arguments.text("value"))
    accounts.push_values(gateway, account)
    return {}


def correct_execution(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Correct a deal, or bust it (quantity 0), and tell it as IB does: execDetails under a raised id."""
    exec_id = arguments.text("exec_id")
    execution = gateway.ledger.latest_revision(exec_id.rpartition(".")[0])
    if execution is None:
        raise CommandError(code="unknown_execution", message=f"there is no execution {exec_id!r}")
    if not execution.quantity:
        raise CommandError(code="bad_value", message="the execution was busted")
    quantity = arguments.decimal("quantity") if arguments.has("quantity") else execution.quantity
    if quantity < 0:
        raise CommandError(code="bad_value", message=f"quantity must not be below zero, not {quantity}")
    price = arguments.positive("price") if arguments.has("price") else execution.price
    order, corrected = correct(execution, quantity=quantity, price=price, ledger=gateway.ledger, book=gateway.book)
    gateway.execution(corrected)
    if order.is_active:
        gateway.open_order(order)
        gateway.order_status(order)
    gateway.commission(corrected)
    gateway.position_changed(account=corrected.account, instrument=corrected.instrument)
    return {"exec_id": corrected.exec_id}


COMMANDS = named(set_position, transfer, lag_positions, set_account_value, correct_execution)
