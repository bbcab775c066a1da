"""Decode what clients ask about orders and executions. `place_order.py` has the long one."""

from dataclasses import dataclass

from ib_simulator.fields import FieldReader
from ib_simulator.messages.ids import Request
from ib_simulator.messages.place_order import read_place_order
from ib_simulator.messages.request import Decoder, RequestMessage


@dataclass(frozen=True)
class CancelOrder(RequestMessage):
    order_id: int


@dataclass(frozen=True)
class ReqAutoOpenOrders(RequestMessage):
    bind: bool


@dataclass(frozen=True)
class ReqCompletedOrders(RequestMessage):
    api_only: bool


@dataclass(frozen=True)
class ReqExecutions(RequestMessage):
    """Filters as sent; an empty text and client id 0 are open."""

    request_id: int
    client_id: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str


def _cancel_order(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return CancelOrder(order_id=reader.integer())


def _req_auto_open_orders(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return ReqAutoOpenOrders(bind=reader.flag())


def _req_completed_orders(reader: FieldReader, _version: int) -> RequestMessage:
    return ReqCompletedOrders(api_only=reader.flag())


def _req_executions(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    request_id, client_id = reader.integer(), reader.integer()
    account, time, symbol, sec_type, exchange, side = reader.group(6)
    return ReqExecutions(request_id, client_id, account, time, symbol, sec_type, exchange, side.upper())


DECODERS: dict[Request, Decoder] = {
    Request.PLACE_ORDER: read_place_order,
    Request.CANCEL_ORDER: _cancel_order,
    Request.REQ_AUTO_OPEN_ORDERS: _req_auto_open_orders,
    Request.REQ_COMPLETED_ORDERS: _req_completed_orders,
    Request.REQ_EXECUTIONS: _req_executions,
}
