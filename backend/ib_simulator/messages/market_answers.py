"""What the server sends about prices, now and before."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.messages.answer import Answer, Tick, plain
from ib_simulator.messages.stream_answers import BBO_EXCHANGE


def price_tick(tick_type: int, price: Decimal, size: int) -> Tick:
    return Tick("tickPrice", (1, 6), tick_type, price, size, 0)


def size_tick(tick_type: int, size: int) -> Tick:
    return Tick("tickSize", (2, 6), tick_type, size)


def generic_tick(tick_type: int, value: Decimal) -> Tick:
    return Tick("tickGeneric", (45, 6), tick_type, value)


def text_tick(tick_type: int, value: str) -> Tick:
    return Tick("tickString", (46, 6), tick_type, value)


def tick_price(request_id: int, tick_type: int, price: Decimal, size: int) -> Answer:
    return price_tick(tick_type, price, size).to(request_id)


def tick_size(request_id: int, tick_type: int, size: int) -> Answer:
    return size_tick(tick_type, size).to(request_id)


def tick_generic(request_id: int, tick_type: int, value: Decimal) -> Answer:
    return generic_tick(tick_type, value).to(request_id)


def tick_string(request_id: int, tick_type: int, value: str) -> Answer:
    return text_tick(tick_type, value).to(request_id)


def tick_request_parameters(request_id: int, minimum_tick: Decimal) -> Answer:
    return plain("tickReqParams", 81, request_id, minimum_tick, BBO_EXCHANGE, 3)


@dataclass(frozen=True)
class OptionTick:
    """Volatility and greeks behind one price of an option; None is IB's "not computed"."""

    volatility: float | None
    delta: float | None
    price: float | None
    gamma: float | None
    vega: float | None
    theta: float | None
    spot: float | None


def tick_option_computation(request_id: int, tick_type: int, tick: OptionTick) -> Answer:
    """Volatility is a share of one, vega per point, theta per day; dividends are none, the basis is returns (0)."""
    values = [_computed(tick.volatility, -1), _computed(tick.delta, -2), _computed(tick.price, -1), "0"]
    values += [_computed(tick.gamma, -2), _computed(tick.vega, -2), _computed(tick.theta, -2)]
    return plain("tickOptionComputation", 21, request_id, tick_type, 0, *values, _computed(tick.spot, -1))


def _computed(number: float | None, missing: int) -> str:
    # The marker is itself a possible number, so a real value that equals it is told as missing, as at IB.
    return str(missing) if number is None else format(number, ".12g")


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


def historical_schedule(request_id: int, *, zone: str, rows: Sequence[tuple[str, str, str]]) -> Answer:
    """A row is begin, end (`20260105-09:30:00`) and day of reference; from server version 165 on."""
    begin, end = (rows[0][0], rows[-1][1]) if rows else ("", "")
    cells = [value for row in rows for value in row]
    return plain("historicalSchedule", 106, request_id, begin, end, zone, len(rows), *cells)
