"""The border between IB's words and ours: floats and camelCase on one side, `Decimal` and domain words on the other.

No other file turns a float into a `Decimal` or back. IB's "not set" (the largest double, the largest int) is None here.
"""

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal

from ib_async.contract import Contract as WireContract
from ib_async.contract import ContractDetails
from ib_async.objects import BarData, CommissionReport, Execution
from ib_async.objects import PriceIncrement as WireIncrement
from ib_async.order import Order as WireOrder
from ib_async.util import UNSET_DOUBLE, UNSET_INTEGER, parseIBDatetime

from app.brokers.base import Bar, OrderTicket
from app.domain.broker_events import CommissionTold, FillTold, ToldStatus
from app.domain.contract import Contract, PriceIncrement, SymbolInfo
from app.domain.terms import Action, OrderType

WIRE_ORDER_TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
}
_DOMAIN_ORDER_TYPES = {wire: domain.value for domain, wire in WIRE_ORDER_TYPES.items()}
# IBKR Campus, "Execution details": BOT and SLD.
SIDES = frozenset({"BOT", "SLD", "BUY", "SELL"})
_ACTIONS = {"BOT": Action.BUY, "SLD": Action.SELL, "BUY": Action.BUY, "SELL": Action.SELL}


def to_decimal(value: float | Decimal | str | None) -> Decimal | None:
    """Return what a wire number says, without a float's noise or a trailing `.0`; None where it is not set.

    Raises ValueError for what is no number.
    """
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise ValueError(f"Not a number: {value!r}") from None
    if not number.is_finite() or float(number) == UNSET_DOUBLE:
        return None
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number


def require_decimal(value: float | Decimal | str | None) -> Decimal:
    """Return what a wire number says. Raises ValueError where it is not set."""
    number = to_decimal(value)
    if number is None:
        raise ValueError(f"A number is missing: {value!r}")
    return number


def to_float(value: Decimal | None) -> float:
    """Return a price or size as the client library sends it; None becomes "not set"."""
    return UNSET_DOUBLE if value is None else float(value)


def to_identifier(value: int) -> int:
    """Return an order, client or permanent id; 0 where it is not set (TWS sends the largest int for manual orders)."""
    return 0 if value == UNSET_INTEGER or value < 0 else int(value)


def to_status(raw_status: str) -> ToldStatus:
    """Return the status word; UNKNOWN for one that is not IB's."""
    try:
        return ToldStatus(raw_status)
    except ValueError:
        return ToldStatus.UNKNOWN


def to_action(side: str) -> Action:
    """Return what a deal's or an order's side says. Raises ValueError for an unknown one."""
    try:
        return _ACTIONS[side]
    except KeyError:
        raise ValueError(f"Neither a buy nor a sell: {side!r}") from None


def to_order_type(wire_type: str) -> str:
    """Return our word for an order type; one we don't have stays as it is."""
    return _DOMAIN_ORDER_TYPES.get(wire_type, wire_type)


def to_limit_price(order: WireOrder) -> Decimal | None:
    """Return an order's limit; None for a market or stop order, which the Gateway echoes with 0."""
    return None if order.orderType in ("MKT", "STP") else to_decimal(order.lmtPrice)


def to_stop_price(order: WireOrder) -> Decimal | None:
    """Return an order's trigger; None for a market or limit order, which the Gateway echoes with 0."""
    if order.orderType in ("MKT", "LMT"):
        return None
    # A trailing order's auxPrice is its distance.
    return to_decimal(order.trailStopPrice if order.orderType.startswith("TRAIL") else order.auxPrice)


def to_contract(contract: WireContract) -> Contract:
    """Return the contract in domain words."""
    return Contract(
        symbol=contract.symbol,
        security_type=contract.secType or "STK",
        exchange=contract.exchange or "SMART",
        currency=contract.currency or "USD",
        con_id=to_identifier(contract.conId),
    )


def wire_contract(contract: Contract) -> WireContract:
    """Return the contract as it is sent."""
    return WireContract(
        symbol=contract.symbol,
        secType=contract.security_type,
        exchange=contract.exchange,
        currency=contract.currency,
        conId=contract.con_id,
    )


def wire_order(
    ticket: OrderTicket, *, order_id: int, client_id: int, account: str, parent_id: int, transmit: bool
) -> WireOrder:
    """Return the order as it is sent. Its time in force is always set: presets replace or refuse an empty one."""
    return WireOrder(
        orderId=order_id,
        clientId=client_id,
        action=ticket.action.value,
        totalQuantity=to_float(ticket.quantity),
        orderType=WIRE_ORDER_TYPES[ticket.order_type],
        lmtPrice=to_float(ticket.limit_price),
        auxPrice=to_float(ticket.stop_price),
        tif=ticket.time_in_force.value,
        orderRef=ticket.order_ref,
        transmit=transmit,
        parentId=parent_id,
        outsideRth=ticket.outside_rth,
        account=account,
        ocaGroup=ticket.oca_group,
        ocaType=ticket.oca_type,
    )


def fill_told(
    contract: WireContract, execution: Execution, *, received_at: datetime, unreadable_time: str = ""
) -> FillTold:
    """Return one deal; where its time could not be read, when it was heard counts."""
    return FillTold(
        dedupe_key=f"fill:{execution.execId}",
        account=execution.acctNumber,
        received_at=received_at,
        exec_id=execution.execId,
        order_id=to_identifier(execution.orderId),
        client_id=to_identifier(execution.clientId),
        perm_id=to_identifier(execution.permId),
        order_ref=execution.orderRef,
        symbol=contract.symbol,
        action=to_action(execution.side),
        quantity=require_decimal(execution.shares),
        price=require_decimal(execution.price),
        executed_at=received_at if unreadable_time else execution.time.astimezone(UTC),
        con_id=to_identifier(contract.conId),
        cumulative=to_decimal(execution.cumQty) or Decimal(0),
        unreadable_time=unreadable_time,
    )


def commission_told(report: CommissionReport, *, account: str, received_at: datetime) -> CommissionTold:
    """Return the cost of one deal."""
    return CommissionTold(
        dedupe_key=f"commission:{report.execId}",
        account=account,
        received_at=received_at,
        exec_id=report.execId,
        amount=require_decimal(report.commission),
        currency=report.currency,
        realized_pnl=to_decimal(report.realizedPNL),
    )


def symbol_info(details: ContractDetails, increments: tuple[PriceIncrement, ...]) -> SymbolInfo:
    """Return a contract's description; without a market rule its smallest tick holds at every price."""
    contract = details.contract
    if contract is None:
        raise ValueError("The description has no contract.")
    tick = to_decimal(details.minTick) or Decimal("0.01")
    return SymbolInfo(
        contract=Contract(symbol=contract.symbol, security_type=contract.secType, currency=contract.currency),
        con_id=contract.conId,
        long_name=details.longName,
        primary_exchange=contract.primaryExchange,
        price_increments=increments or (PriceIncrement(low_edge=Decimal(0), increment=tick),),
    )


def price_increments(rule: list[WireIncrement]) -> tuple[PriceIncrement, ...]:
    """Return a market rule, sorted by its edges."""
    steps = (
        PriceIncrement(low_edge=require_decimal(step.lowEdge), increment=require_decimal(step.increment))
        for step in rule
    )
    return tuple(sorted(steps, key=lambda step: step.low_edge))


def bar_start(text: str) -> datetime:
    """Return a bar's start, aware, in UTC. IB sends seconds since 1970, and for a day or longer the date alone."""
    if len(text) != len("YYYYMMDD") and text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    parsed = parseIBDatetime(text)
    if isinstance(parsed, datetime):
        return parsed.astimezone(UTC)
    return datetime.combine(date(parsed.year, parsed.month, parsed.day), time(), UTC)


def bar(row: BarData) -> Bar:
    """Return one bar."""
    return Bar(
        start=bar_start(str(row.date)),
        open=require_decimal(row.open),
        high=require_decimal(row.high),
        low=require_decimal(row.low),
        close=require_decimal(row.close),
        volume=require_decimal(row.volume),
    )


def is_price(value: float) -> bool:
    """Say whether a price tick says a price: IB sends -1 or 0 where there is none."""
    return math.isfinite(value) and value > 0 and value != UNSET_DOUBLE
