"""What the server sends, one constructor per message. `open_order.py` holds the two long ones.

An answer is encoded for each receiver, because clients of different versions may be connected at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ib_simulator.fields import UNSET_DOUBLE, Value, encode_fields
from ib_simulator.framing import frame
from ib_simulator.ledger import Execution, Position
from ib_simulator.market.instruments import MARKET_RULE_ID, ORDER_TYPES, VALID_EXCHANGES, Instrument
from ib_simulator.messages.ids import Version
from ib_simulator.orders import Order

PRICE_PLACES = Decimal("0.00000001")


@dataclass(frozen=True)
class Answer:
    """A message to a client; `fields` gives its fields for a server version, the message number first."""

    name: str
    fields: Callable[[int], Sequence[Value]]

    def encode(self, version: int) -> bytes:
        return frame(encode_fields(self.fields(version)))


def plain(name: str, *values: Value) -> Answer:
    """An answer that is the same in every version."""
    return Answer(name, lambda _version: values)


def rounded(value: Decimal) -> Decimal:
    """Return a price as it is written: eight places, no trailing zeros."""
    return value.quantize(PRICE_PLACES).normalize() if value else Decimal(0)


def error(request_id: int, code: int, text: str) -> Answer:
    def fields(version: int) -> Sequence[Value]:
        values: list[Value] = [4, 2, request_id, code, text]
        return [*values, ""] if version >= Version.ADVANCED_ORDER_REJECT else values

    return Answer("error", fields)


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
        values += [listed.con_id, listed.symbol, "STK", "", "0.0", "", ""]
        values += [execution.exchange, listed.currency, listed.symbol, listed.trading_class]
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


def position(held: Position) -> Answer:
    listed = held.instrument
    return plain(
        "position",
        61,
        3,
        held.account,
        *(listed.con_id, listed.symbol, "STK", "", "0.0", "", "", listed.primary_exchange),
        *(listed.currency, listed.symbol, listed.trading_class),
        held.quantity,
        rounded(held.average_cost),
    )


def position_end() -> Answer:
    return plain("positionEnd", 62, 1)


def account_value(*, account: str, key: str, value: str, currency: str) -> Answer:
    return plain("updateAccountValue", 6, 2, key, value, currency, account)


def account_time(time: str) -> Answer:
    return plain("updateAccountTime", 8, 1, time)


def account_download_end(account: str) -> Answer:
    return plain("accountDownloadEnd", 54, 1, account)


def portfolio(held: Position, *, price: Decimal) -> Answer:
    listed = held.instrument
    return plain(
        "updatePortfolio",
        7,
        8,
        *(listed.con_id, listed.symbol, "STK", "", "0", "0", "", listed.primary_exchange),
        *(listed.currency, listed.symbol, listed.trading_class),
        held.quantity,
        price,
        held.quantity * price,
        rounded(held.average_cost),
        rounded((price - held.average_cost) * held.quantity),
        rounded(held.realized_pnl),
        held.account,
    )


def account_update_multi(request_id: int, *, account: str, model: str, key: str, value: str, currency: str) -> Answer:
    return plain("accountUpdateMulti", 73, 1, request_id, account, model, key, value, currency)


def account_update_multi_end(request_id: int) -> Answer:
    return plain("accountUpdateMultiEnd", 74, 1, request_id)


def account_summary(request_id: int, *, account: str, tag: str, value: str, currency: str) -> Answer:
    return plain("accountSummary", 63, 1, request_id, account, tag, value, currency)


def account_summary_end(request_id: int) -> Answer:
    return plain("accountSummaryEnd", 64, 1, request_id)


def contract_details(
    request_id: int, listed: Instrument, *, exchange: str, trading_hours: str, liquid_hours: str
) -> Answer:
    """Hours are IB's strings of sessions, as `market.calendar` writes them."""
    exchanges = ",".join(VALID_EXCHANGES)

    def fields(version: int) -> Sequence[Value]:
        sized = version >= Version.SIZE_RULES
        values: list[Value] = [10] if sized else [10, 8]
        values += [request_id, listed.symbol, "STK", "", "0", "", exchange, listed.currency, listed.symbol]
        values += [listed.trading_class, listed.trading_class, listed.con_id, listed.tick]
        values += [] if sized else [100]
        values += ["", ",".join(ORDER_TYPES), exchanges, 1, 0, listed.name, listed.primary_exchange, ""]
        values += [listed.industry, "", "", "US/Eastern", trading_hours, liquid_hours, "", "", 0]
        values += [1, "", "", ",".join([str(MARKET_RULE_ID)] * len(VALID_EXCHANGES)), "", listed.stock_type]
        if version == Version.SUGGESTED_SIZE:
            values += [100]
        elif sized:
            values += ["0.0001", "0.0001", "100"]
        return values

    return Answer("contractDetails", fields)


def contract_details_end(request_id: int) -> Answer:
    return plain("contractDetailsEnd", 52, 1, request_id)


def symbol_samples(request_id: int, found: Sequence[Instrument]) -> Answer:
    def fields(version: int) -> Sequence[Value]:
        values: list[Value] = [79, request_id, len(found)]
        for listed in found:
            values += [listed.con_id, listed.symbol, "STK", listed.primary_exchange, listed.currency, 2, "CFD", "OPT"]
            values += [listed.name, ""] if version >= Version.BOND_ISSUER else []
        return values

    return Answer("symbolSamples", fields)


def market_rule(rule_id: int, increments: Sequence[tuple[Decimal, Decimal]]) -> Answer:
    """`increments` are pairs of low edge and tick (USD)."""
    return plain("marketRule", 93, rule_id, len(increments), *(value for pair in increments for value in pair))


def tick_price(request_id: int, tick_type: int, price: Decimal, size: int) -> Answer:
    return plain("tickPrice", 1, 6, request_id, tick_type, price, size, 0)


def tick_size(request_id: int, tick_type: int, size: int) -> Answer:
    return plain("tickSize", 2, 6, request_id, tick_type, size)


def tick_generic(request_id: int, tick_type: int, value: Decimal) -> Answer:
    return plain("tickGeneric", 45, 6, request_id, tick_type, value)


def tick_string(request_id: int, tick_type: int, value: str) -> Answer:
    return plain("tickString", 46, 6, request_id, tick_type, value)


def tick_request_parameters(request_id: int, minimum_tick: Decimal) -> Answer:
    return plain("tickReqParams", 81, request_id, minimum_tick, "9c0001", 3)


def tick_snapshot_end(request_id: int) -> Answer:
    return plain("tickSnapshotEnd", 57, 1, request_id)


def market_data_type(request_id: int, kind: int) -> Answer:
    return plain("marketDataType", 58, 1, request_id, kind)


BarRow = tuple[str, Decimal, Decimal, Decimal, Decimal, int, Decimal, int]


def historical_data(request_id: int, *, start: str, end: str, rows: Sequence[BarRow]) -> Answer:
    """A row is date, open, high, low, close, volume, weighted price, count."""
    return plain("historicalData", 17, request_id, start, end, len(rows), *(value for row in rows for value in row))


def historical_data_update(request_id: int, row: BarRow) -> Answer:
    date, opened, high, low, close, volume, weighted, count = row
    return plain("historicalDataUpdate", 90, request_id, count, date, opened, close, high, low, weighted, volume)
