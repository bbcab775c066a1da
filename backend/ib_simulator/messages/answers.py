"""What the server sends about the connection, orders and executions. `open_order.py` holds the two long ones."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from ib_simulator.desk.orders import Order
from ib_simulator.fields import UNSET_DOUBLE, Value
from ib_simulator.messages.answer import Answer, listed_contract, plain, rounded
from ib_simulator.messages.ids import Version
from ib_simulator.money.ledger import Execution


def managed_accounts(accounts: Sequence[str]) -> Answer:
    return plain("managedAccounts", 15, 1, ",".join(accounts))


def next_valid_id(order_id: int) -> Answer:
    return plain("nextValidId", 9, 1, order_id)


def current_time(now: datetime) -> Answer:
    return plain("currentTime", 49, 1, int(now.timestamp()))


def order_status(order: Order, *, status: str = "") -> Answer:
    return plain(
        "orderStatus",
        3,
        order.order_id,
        status or order.status.value,
        order.filled,
        order.remaining,
        rounded(order.average_price),
        order.perm_id,
        order.parent_id,
        order.last_fill_price,
        order.client_id,
        order.why_held,
        Decimal(0),
    )


def open_order_end() -> Answer:
    return plain("openOrderEnd", 53, 1)


def completed_orders_end() -> Answer:
    return plain("completedOrdersEnd", 102)


def execution_details(execution: Execution, *, request_id: int, time: str) -> Answer:
    """`time` is written with its zone, for example `20260105 10:31:07 US/Eastern`."""
    listed = execution.instrument

    def fields(version: int) -> Sequence[Value]:
        values: list[Value] = [11, request_id, execution.order_id]
        values += [*listed_contract(listed), execution.exchange]
        values += [listed.currency, listed.local_symbol, listed.trading_class]
        values += [execution.exec_id, time, execution.account, execution.exchange, execution.side]
        values += [execution.quantity, execution.price, execution.perm_id, execution.client_id, 0]
        values += [execution.cumulative, rounded(execution.average_price), execution.order_ref, "", "", ""]
        values += [execution.liquidity]
        return [*values, False] if version >= Version.PENDING_PRICE_REVISION else values

    return Answer("execDetails", fields)


def execution_details_end(request_id: int) -> Answer:
    return plain("execDetailsEnd", 55, 1, request_id)


def commission_report(execution: Execution) -> Answer:
    realized = UNSET_DOUBLE if execution.realized_pnl is None else execution.realized_pnl
    return plain(
        "commissionReport",
        59,
        1,
        execution.exec_id,
        execution.commission,
        execution.currency,
        realized,
        UNSET_DOUBLE,
        "",
    )
