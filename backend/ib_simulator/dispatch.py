"""Which handler answers which request. A refusal becomes an error on the request's id."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ib_simulator.errors import NO_REQUEST_ID, Refusal
from ib_simulator.handlers import accounts, market_data, orders
from ib_simulator.messages import answers, requests
from ib_simulator.messages.ids import Request
from ib_simulator.messages.place_order import PlaceOrder

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

Handler = Callable[["Gateway", "Session"], None]


def dispatch(gateway: "Gateway", session: "Session", request: requests.Decoded) -> None:
    """Answer one request of a session that has completed startApi."""
    try:
        _answer(gateway, session, request)
    except Refusal as refusal:
        request_id = getattr(request, "request_id", NO_REQUEST_ID)
        session.send_error(request_id=request_id, code=refusal.code, text=refusal.text)


def _answer(gateway: "Gateway", session: "Session", request: requests.Decoded) -> None:  # noqa: C901 - one flat table.
    client_id = session.client_id or 0
    match request:
        case PlaceOrder():
            gateway.desk.place(client_id, request)
        case requests.CancelOrder():
            gateway.desk.cancel(client_id, request.order_id)
        case requests.Plain():
            _PLAIN[request.kind](gateway, session)
        case requests.CancelRequest():
            _cancel(session, request)
        case requests.ReqMktData():
            market_data.request_market_data(gateway, session, request)
        case requests.ReqMarketDataType():
            session.subscriptions.market_data_type = request.market_data_type
        case requests.ReqContractDetails():
            market_data.request_contract_details(gateway, session, request)
        case requests.ReqMatchingSymbols():
            market_data.request_matching_symbols(gateway, session, request)
        case requests.ReqMarketRule():
            market_data.request_market_rule(gateway, session, request)
        case requests.ReqHistoricalData():
            market_data.request_historical_data(gateway, session, request)
        case requests.ReqAccountUpdates():
            accounts.request_account_updates(gateway, session, request)
        case requests.ReqAccountUpdatesMulti():
            accounts.request_account_updates_multi(gateway, session, request)
        case requests.ReqAccountSummary():
            accounts.request_account_summary(gateway, session, request)
        case requests.ReqExecutions():
            orders.request_executions(gateway, session, request)
        case requests.ReqAutoOpenOrders():
            orders.request_auto_open_orders(gateway, session, request)
        case requests.ReqCompletedOrders():
            orders.request_completed_orders(gateway, session, request)
        case requests.StartApi():
            raise Refusal(code=321, text="Error validating request.-'startApi' : cause - The API is already started.")


def _cancel(session: "Session", request: requests.CancelRequest) -> None:
    """Raises Refusal for a subscription that does not exist: 300 for market data, 366 for historical data."""
    subscriptions = session.subscriptions
    match request.kind:
        case Request.CANCEL_MKT_DATA:
            if subscriptions.quotes.pop(request.request_id, None) is None:
                raise Refusal(code=300, text=f"Can't find EId with tickerId:{request.request_id}")
        case Request.CANCEL_HISTORICAL_DATA:
            if subscriptions.bars.pop(request.request_id, None) is None:
                text = f"No historical data query found for ticker id:{request.request_id}"
                raise Refusal(code=366, text=text)
        case Request.CANCEL_ACCOUNT_SUMMARY:
            subscriptions.summaries.pop(request.request_id, None)
        case _:
            subscriptions.accounts_multi.pop(request.request_id, None)


def _current_time(gateway: "Gateway", session: "Session") -> None:
    session.send(answers.current_time(gateway.clock.now()))


def _managed_accounts(gateway: "Gateway", session: "Session") -> None:
    session.send(answers.managed_accounts(gateway.config.accounts))


def _global_cancel(gateway: "Gateway", _session: "Session") -> None:
    gateway.desk.cancel_all()


def _cancel_positions(_gateway: "Gateway", session: "Session") -> None:
    session.subscriptions.positions = False


def _nothing(_gateway: "Gateway", _session: "Session") -> None:
    """The log level is the client's wish about the server's own log; IB sends no answer either."""


_PLAIN: dict[Request, Handler] = {
    Request.REQ_OPEN_ORDERS: orders.request_open_orders,
    Request.REQ_ALL_OPEN_ORDERS: orders.request_all_open_orders,
    Request.REQ_IDS: orders.request_ids,
    Request.REQ_POSITIONS: accounts.request_positions,
    Request.CANCEL_POSITIONS: _cancel_positions,
    Request.REQ_CURRENT_TIME: _current_time,
    Request.REQ_MANAGED_ACCOUNTS: _managed_accounts,
    Request.REQ_GLOBAL_CANCEL: _global_cancel,
    Request.SET_SERVER_LOG_LEVEL: _nothing,
}
