"""Requests about the connection itself."""

from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Handler
from ib_simulator.messages import answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Plain, RequestMessage
from ib_simulator.messages.requests import StartApi

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session


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
