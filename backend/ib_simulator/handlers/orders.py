"""Open orders, completed orders, executions, ids."""

from datetime import datetime
from typing import TYPE_CHECKING

from ib_simulator.clock import parse_moment
from ib_simulator.desk.orders import Order, Stage
from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Handler
from ib_simulator.messages import answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.open_order import completed_order, open_order
from ib_simulator.messages.order_requests import CancelOrder, ReqAutoOpenOrders, ReqCompletedOrders, ReqExecutions
from ib_simulator.messages.place_order import PlaceOrder
from ib_simulator.messages.request import Plain, RequestMessage
from ib_simulator.money.ledger import Execution

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

MASTER_OF_MANUAL_ORDERS = 0
READ_ONLY_TEXT = "Error validating request.-'bZ' : cause - The API interface is currently in Read-Only mode."
SIDES = {"BUY": "BOT", "SELL": "SLD", "BOT": "BOT", "SLD": "SLD", "": ""}


def place_order(gateway: "Gateway", session: "Session", request: PlaceOrder) -> None:
    gateway.desk.place(session.client_id or 0, request)


def cancel_order(gateway: "Gateway", session: "Session", request: CancelOrder) -> None:
    gateway.desk.cancel(session.client_id or 0, request.order_id)


def cancel_all(gateway: "Gateway", _session: "Session", _request: Plain) -> None:
    gateway.desk.cancel_all()


def request_open_orders(gateway: "Gateway", session: "Session", _request: Plain) -> None:
    """Send this client's live orders; for client 0 manual orders are bound to it first."""
    own = [order for order in gateway.book.active() if order.client_id == session.client_id]
    if session.client_id == MASTER_OF_MANUAL_ORDERS:
        _bind(gateway, own)
    _send_open(session, own)


def request_all_open_orders(gateway: "Gateway", session: "Session", _request: Plain) -> None:
    _send_open(session, gateway.book.active())


def request_auto_open_orders(gateway: "Gateway", session: "Session", request: ReqAutoOpenOrders) -> None:
    """Raises Refusal 327 for any client but 0."""
    if session.client_id != MASTER_OF_MANUAL_ORDERS:
        raise Refusal(code=327, text="Only the default client (i.e 0) can auto bind orders.")
    session.subscriptions.auto_bind = request.bind
    if request.bind:
        _bind(gateway, gateway.book.active())


def _bind(gateway: "Gateway", orders: list[Order]) -> None:
    for order in orders:
        if order.client_id == MASTER_OF_MANUAL_ORDERS and order.order_id == 0:
            gateway.book.bind(order)
            gateway.book.touch(order)


def _send_open(session: "Session", orders: list[Order]) -> None:
    for order in orders:
        session.send(open_order(order))
        session.send(answers.order_status(order))
    session.send(answers.open_order_end())


def request_ids(gateway: "Gateway", session: "Session", _request: Plain) -> None:
    """Raises Refusal 321 in read-only mode, as was recorded."""
    if gateway.scenario.is_on("read_only", "on"):
        raise Refusal(code=321, text=READ_ONLY_TEXT)
    session.send(answers.next_valid_id(gateway.book.next_valid_id(session.client_id or 0)))


def request_completed_orders(gateway: "Gateway", session: "Session", request: ReqCompletedOrders) -> None:
    """Send the orders that ended today (New York date); `api_only` leaves manual ones out."""
    for order in gateway.book:
        ended = order.stage is Stage.DONE and order.perm_id and order.completed_at is not None
        if ended and _is_today(gateway, order.completed_at) and not (request.api_only and order.order_id <= 0):
            session.send(
                completed_order(
                    order, completed_time=_completed_time(gateway, order), completed_status=_completed_status(order)
                )
            )
    session.send(answers.completed_orders_end())


def _completed_time(gateway: "Gateway", order: Order) -> str:
    return "" if order.completed_at is None else gateway.wire_time(order.completed_at)


def _completed_status(order: Order) -> str:
    if order.filled and not order.remaining:
        return f"Filled Size: {order.filled:f}"
    # Whoever cancels it must be earlier: what ends at that moment or later ends by it.
    if order.expires_at is not None and order.completed_at is not None and order.completed_at >= order.expires_at:
        return "Expired"
    return order.status.value


def request_executions(gateway: "Gateway", session: "Session", request: ReqExecutions) -> None:
    """Send today's executions that pass the filters, each with its commission.

    Raises Refusal 321 for a time or a side that cannot be read.
    """
    if request.side not in SIDES:
        raise Refusal(code=321, text="Error validating request.-'bM' : cause - Invalid side")
    since = _since(gateway, request.time)
    found = [
        execution
        for execution in gateway.ledger.reported_executions()
        if _is_today(gateway, execution.time) and _passes(gateway, session, request, execution, since=since)
    ]
    for execution in found:
        time = gateway.wire_time(execution.time)
        session.send(answers.execution_details(execution, request_id=request.request_id, time=time))
    for execution in found:
        session.send(answers.commission_report(execution))
    session.send(answers.execution_details_end(request.request_id))


def _passes(
    gateway: "Gateway", session: "Session", request: ReqExecutions, execution: Execution, *, since: datetime | None
) -> bool:
    client_id: int | None = request.client_id
    if client_id == 0:
        all_clients = gateway.scenario.is_on("executions_client_filter", "zero_means_all")
        client_id = None if all_clients else session.client_id
    return (
        client_id in {None, execution.client_id}
        and request.account in {"", execution.account}
        and request.symbol in {"", execution.instrument.symbol}
        and request.sec_type in {"", execution.instrument.sec_type}
        and request.exchange in {"", "SMART", execution.exchange}
        and SIDES[request.side] in {"", execution.side}
        and (since is None or execution.time >= since)
    )


def _since(gateway: "Gateway", text: str) -> datetime | None:
    if not text:
        return None
    moment = parse_moment(text, zone=gateway.zone)
    if moment is None:
        raise Refusal(code=321, text="Error validating request.-'bM' : cause - Invalid date/time format")
    return moment


def _is_today(gateway: "Gateway", moment: datetime | None) -> bool:
    if moment is None:
        return False
    today = gateway.clock.now().astimezone(gateway.zone).date()
    return moment.astimezone(gateway.zone).date() == today


HANDLERS: dict[type[RequestMessage], Handler] = {
    PlaceOrder: place_order,
    CancelOrder: cancel_order,
    ReqExecutions: request_executions,
    ReqAutoOpenOrders: request_auto_open_orders,
    ReqCompletedOrders: request_completed_orders,
}
PLAIN: dict[Request, Handler] = {
    Request.REQ_OPEN_ORDERS: request_open_orders,
    Request.REQ_ALL_OPEN_ORDERS: request_all_open_orders,
    Request.REQ_IDS: request_ids,
    Request.REQ_GLOBAL_CANCEL: cancel_all,
}
