"""What the server sends about contracts and prices."""

from collections.abc import Sequence
from decimal import Decimal

from ib_simulator.fields import Value
from ib_simulator.market.instruments import MARKET_RULE_ID, ORDER_TYPES, VALID_EXCHANGES, Instrument
from ib_simulator.messages.answer import Answer, plain
from ib_simulator.messages.ids import Version


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
