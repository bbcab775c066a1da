"""The tables on an execution's page in the order history, and what their lists' files hold: headings with values."""

from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from app.accounts.admin_columns import NOTHING, Column, moment, number, price
from app.core.decimal_text import plain
from app.executions.event_text import event_facts, event_line, fact_text
from app.executions.models import BrokerEvent, Execution, Fill, Order


def order_line(order: Order) -> str:
    """Return what an order asks for: `SELL 10 STP GTC`."""
    return f"{order.action} {plain(order.quantity)} {order.order_type} {order.time_in_force}"


def last_message(order: Order) -> str:
    """Return the last code and text about an order, or why it ended."""
    if order.last_error_code is None:
        return order.ended_because or NOTHING
    return f"{order.last_error_code}: {order.last_error}"


def cost(fill: Fill) -> str:
    """Return what a fill cost, where that is known."""
    commission = getattr(fill, "commission", None)
    return NOTHING if commission is None else f"{price(commission.amount)} {commission.currency}"


def realised(fill: Fill) -> str:
    """Return what a fill realised, where it closed something."""
    commission = getattr(fill, "commission", None)
    if commission is None or commission.realized_pnl is None:
        return NOTHING
    return f"{commission.realized_pnl:,.2f} {commission.currency}"


def link_to(row: Any, text: Any) -> SafeString:
    """Return a link to a row's page in the admin."""
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"  # noqa: SLF001 - Django's documented door.
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk]), text)


ORDER_COLUMNS = (
    Column("Tranche", lambda order: order.bracket.tranche),
    Column("Role", lambda order: order.leg),
    Column("Reference", lambda order: link_to(order, order.order_ref)),
    Column("Status", lambda order: order.display_status),
    Column("Order", order_line),
    Column("Limit", lambda order: price(order.limit_price), is_number=True),
    Column("Stop", lambda order: price(order.stop_price), is_number=True),
    Column("Filled", lambda order: number(order.filled_quantity), is_number=True),
    Column("Average", lambda order: price(order.average_price), is_number=True),
    Column("Order id", lambda order: order.order_id or NOTHING, is_number=True),
    Column("Perm id", lambda order: order.perm_id or NOTHING, is_number=True),
    Column("Last message", last_message),
)

FILL_COLUMNS = (
    Column("Executed", lambda fill: moment(fill.executed_at)),
    Column("Tranche", lambda fill: fill.order.bracket.tranche),
    Column("Role", lambda fill: fill.order.leg),
    Column("Symbol", lambda fill: fill.order.bracket.execution.symbol),
    Column("Shares", lambda fill: number(fill.quantity), is_number=True),
    Column("Price", lambda fill: price(fill.price), is_number=True),
    Column("Commission", cost, is_number=True),
    Column("Realised", realised, is_number=True),
    Column("Exec id", lambda fill: link_to(fill, fill.exec_id)),
)

COMMAND_COLUMNS = (
    Column("Asked", lambda command: moment(command.requested_at)),
    Column("Command", lambda command: command.kind),
    Column("Order", lambda command: command.order.order_ref),
    Column("By", lambda command: f"{command.actor} {command.user or ''}".strip()),
    Column("Reason", lambda command: command.reason_code),
    Column("Sent", lambda command: moment(command.sent_at)),
    Column("Settled", lambda command: moment(command.settled_at)),
    Column("How", lambda command: command.settled_how or NOTHING),
)

EVENT_COLUMNS = (
    Column("Received", lambda event: moment(event.received_at)),
    Column("Kind", lambda event: event.kind),
    Column("Order", lambda event: event.order or NOTHING),
    Column("Reported", lambda event: event_line(event.payload)),
    Column("Everything", lambda event: event_facts(event.payload)),
)

FACT_COLUMNS = (Column("Fact", lambda fact: fact[0]), Column("Value", lambda fact: fact[1]))


def preflight_columns(checks: list[dict[str, Any]]) -> tuple[Column, ...]:
    """Return a column for each thing that a check of this execution says; what it found comes first."""
    names = dict.fromkeys(("check", "outcome", "detail"))
    for check in checks:
        names.update(dict.fromkeys(check))
    return tuple(_fact_column(name) for name in names)


def _fact_column(name: str) -> Column:
    return Column(name.replace("_", " ").capitalize(), lambda check: _said(check.get(name)))


def _said(value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(part) for part in value)
    return fact_text(value)


def facts_of(event: BrokerEvent) -> list[tuple[str, str]]:
    """Return everything that was stored of an event, name by name."""
    return [(name, _said(value)) for name, value in event.payload.items()]


# What the files hold. Values are raw: the file itself writes times, decimals and text (`admin_export.cell`).
EXECUTIONS_FILE = (
    Column("Execution", lambda execution: execution.pk),
    Column("Setup", lambda execution: execution.setup_id),
    Column("Symbol", lambda execution: execution.symbol),
    Column("Side", lambda execution: execution.side),
    Column("Shares", lambda execution: execution.quantity),
    Column("Open shares", lambda execution: execution.open_quantity),
    Column("Status", lambda execution: execution.status),
    Column("Reference", lambda execution: execution.reference),
    Column("Account", lambda execution: str(execution.account)),
    Column("Requested by", lambda execution: execution.requested_by.username),
    Column("Requested", lambda execution: execution.requested_at),
    Column("Finished", lambda execution: execution.finished_at),
    Column("Exit reason", lambda execution: execution.exit_reason),
    Column("Reason code", lambda execution: execution.reason_code),
    Column("Reason", lambda execution: execution.reason),
    Column("Needs attention", lambda execution: execution.attention),
)

ORDERS_FILE = (
    Column("Reference", lambda order: order.order_ref),
    Column("Execution", lambda order: order.bracket.execution_id),
    Column("Tranche", lambda order: order.bracket.tranche),
    Column("Symbol", lambda order: order.bracket.execution.symbol),
    Column("Role", lambda order: order.leg),
    Column("Action", lambda order: order.action),
    Column("Shares", lambda order: order.quantity),
    Column("Type", lambda order: order.order_type),
    Column("In force", lambda order: order.time_in_force),
    Column("Limit", lambda order: order.limit_price),
    Column("Stop", lambda order: order.stop_price),
    Column("Status", lambda order: order.display_status),
    Column("Filled", lambda order: order.filled_quantity),
    Column("Average", lambda order: order.average_price),
    Column("Order id", lambda order: order.order_id),
    Column("Perm id", lambda order: order.perm_id),
    Column("Account", lambda order: str(order.account)),
    Column("Sent", lambda order: order.sent_at),
    Column("Finished", lambda order: order.finished_at),
    Column("Last code", lambda order: order.last_error_code),
    Column("Last message", lambda order: order.last_error),
    Column("Ended because", lambda order: order.ended_because),
)


def _of_commission(name: str) -> Any:
    return lambda fill: getattr(getattr(fill, "commission", None), name, None)


FILLS_FILE = (
    Column("Exec id", lambda fill: fill.exec_id),
    Column("Executed", lambda fill: fill.executed_at),
    Column("Symbol", lambda fill: fill.order.bracket.execution.symbol),
    Column("Execution", lambda fill: fill.order.bracket.execution_id),
    Column("Order", lambda fill: fill.order.order_ref),
    Column("Role", lambda fill: fill.order.leg),
    Column("Action", lambda fill: fill.order.action),
    Column("Shares", lambda fill: fill.quantity),
    Column("Price", lambda fill: fill.price),
    Column("Commission", _of_commission("amount")),
    Column("Currency", _of_commission("currency")),
    Column("Realised", _of_commission("realized_pnl")),
    Column("Superseded", lambda fill: fill.superseded),
    Column("Account", lambda fill: str(fill.order.account)),
)


def execution_link(execution: Execution) -> SafeString:
    """Return a link to the execution's page in the order history."""
    return link_to(execution, f"#{execution.pk}")
