"""What the server sends about single ticks, depth, bars of seconds, and what there is of a contract's past."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.fields import Value
from ib_simulator.messages.answer import Answer, plain

IS_COMPLETE = 1
# The map of exchanges that tickReqParams names and reqSmartComponents explains.
BBO_EXCHANGE = "9c0001"
# Operations and sides of a row of depth.
INSERT, UPDATE, DELETE = 0, 1, 2
ASK_SIDE, BID_SIDE = 0, 1


@dataclass(frozen=True)
class SecondsBar:
    """Five seconds of prices (USD); volume, weighted price and count are -1 where it is not of deals."""

    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    weighted: Decimal
    count: int


def real_time_bar(request_id: int, bar: SecondsBar) -> Answer:
    values: list[Value] = [bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.weighted, bar.count]
    return plain("realtimeBar", 50, 3, request_id, *values)


def tick_last(request_id: int, kind: int, *, time: int, price: Decimal, size: int, exchange: str) -> Answer:
    """`kind` is 1 for Last and 2 for AllLast; `time` in seconds since 1970."""
    return plain("tickByTick", 99, request_id, kind, time, price, size, 0, exchange, "")


def tick_bid_ask(
    request_id: int, *, time: int, bid: Decimal, ask: Decimal, sizes: tuple[int, int], marks: int
) -> Answer:
    """`sizes` are those of bid and ask; `marks` has 1 for a bid below the day's low, 2 for an ask above its high."""
    return plain("tickByTick", 99, request_id, 3, time, bid, ask, *sizes, marks)


def tick_midpoint(request_id: int, *, time: int, price: Decimal) -> Answer:
    return plain("tickByTick", 99, request_id, 4, time, price)


def historical_midpoints(request_id: int, rows: Sequence[tuple[int, Decimal]]) -> Answer:
    """A row is time and price; everything is in one message, so the answer is always complete."""
    cells: list[Value] = [cell for time, price in rows for cell in (time, 0, price, 0)]
    return plain("historicalTicks", 96, request_id, len(rows), *cells, IS_COMPLETE)


def historical_bid_asks(request_id: int, rows: Sequence[tuple[int, Decimal, Decimal, int, int]]) -> Answer:
    """A row is time, bid, ask and their sizes."""
    cells: list[Value] = []
    for time, bid, ask, bid_size, ask_size in rows:
        cells += [time, 0, bid, ask, bid_size, ask_size]
    return plain("historicalTicksBidAsk", 97, request_id, len(rows), *cells, IS_COMPLETE)


def historical_lasts(request_id: int, rows: Sequence[tuple[int, Decimal, int, str]]) -> Answer:
    """A row is time, price, size and exchange."""
    cells: list[Value] = []
    for time, price, size, exchange in rows:
        cells += [time, 0, price, size, exchange, ""]
    return plain("historicalTicksLast", 98, request_id, len(rows), *cells, IS_COMPLETE)


def depth_row(request_id: int, *, position: int, operation: int, side: int, price: Decimal, size: int) -> Answer:
    return plain("updateMktDepth", 12, 1, request_id, position, operation, side, price, size)


def smart_depth_row(
    request_id: int, *, position: int, exchange: str, operation: int, side: int, price: Decimal, size: int
) -> Answer:
    values: list[Value] = [position, exchange, operation, side, price, size, True]
    return plain("updateMktDepthL2", 13, 1, request_id, *values)


def depth_exchanges(exchanges: Sequence[str]) -> Answer:
    cells = [cell for exchange in exchanges for cell in (exchange, "STK", "", "Deep2", "1")]
    return plain("mktDepthExchanges", 80, len(exchanges), *cells)


def smart_components(request_id: int, components: Sequence[tuple[str, str]]) -> Answer:
    """A component is an exchange and its letter."""
    cells: list[Value] = [cell for bit, (name, letter) in enumerate(components) for cell in (bit, name, letter)]
    return plain("smartComponents", 82, request_id, len(components), *cells)


def head_timestamp(request_id: int, moment: str) -> Answer:
    return plain("headTimestamp", 88, request_id, moment)


def histogram(request_id: int, rows: Sequence[tuple[Decimal, int]]) -> Answer:
    """A row is a price (USD) and the shares that traded there."""
    return plain("histogramData", 89, request_id, len(rows), *(cell for row in rows for cell in row))
