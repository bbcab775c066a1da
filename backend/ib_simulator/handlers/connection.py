"""Requests about the connection itself."""

from typing import TYPE_CHECKING

from ib_simulator.errors import NO_REQUEST_ID, Refusal
from ib_simulator.faults.faults import ConnectFault
from ib_simulator.handlers.handler import Handler
from ib_simulator.messages import answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.open_order import open_order
from ib_simulator.messages.request import Plain, RequestMessage
from ib_simulator.messages.requests import StartApi

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session


FARM_NOTICES = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)


def greet(gateway: "Gateway", session: "Session") -> None:
    """Say what a client hears after startApi: its working orders, accounts, next id, the farms' notices."""
    faults = gateway.scenario.faults
    if faults.take_connect(ConnectFault.CLOSE_AFTER_START, session.client_id):
        session.close()
        return
    own = [order for order in gateway.book.active() if order.client_id == session.client_id]
    if own and gateway.scenario.is_on("open_orders_on_connect", "on"):
        for order in own:
            session.send(open_order(order))
            session.send(answers.order_status(order))
        session.send(answers.open_order_end())
    empty = faults.take_connect(ConnectFault.EMPTY_ACCOUNTS, session.client_id)
    session.send(answers.managed_accounts(() if empty else gateway.config.accounts))
    session.send(answers.next_valid_id(gateway.book.next_valid_id(session.client_id or 0)))
    for code, text in FARM_NOTICES:
        session.send_error(request_id=NO_REQUEST_ID, code=code, text=text)


def request_current_time(gateway: "Gateway", session: "Session", _request: Plain) -> None:
    session.send(answers.current_time(gateway.clock.now()))


def request_managed_accounts(gateway: "Gateway", session: "Session", _request: Plain) -> None:
    session.send(answers.managed_accounts(gateway.config.accounts))


def start_again(_gateway: "Gateway", _session: "Session", _request: StartApi) -> None:
    """Raises Refusal 321: the API is started once."""
    raise Refusal(code=321, text="Error validating request.-'startApi' : cause - The API is already started.")


def set_log_level(_gateway: "Gateway", _session: "Session", _request: Plain) -> None:
    """The log level is the client's wish about the server's own log; IB sends no answer either."""


HANDLERS: dict[type[RequestMessage], Handler] = {StartApi: start_again}
PLAIN: dict[Request, Handler] = {
    Request.REQ_CURRENT_TIME: request_current_time,
    Request.REQ_MANAGED_ACCOUNTS: request_managed_accounts,
    Request.SET_SERVER_LOG_LEVEL: set_log_level,
}
