"""Positions of all accounts or of named ones, as told by now, and their updates after a deal."""

from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.handlers.named_accounts import ALL_ACCOUNTS, named_accounts
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages import account_answers as answers
from ib_simulator.messages.account_requests import ReqPositionsMulti
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Plain, RequestMessage
from ib_simulator.money.ledger import Position

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session


def request_positions(gateway: "Gateway", session: "Session", _request: Plain) -> None:
    session.subscriptions.positions = True
    for held in gateway.position_reports.positions():
        session.send(answers.position(held))
    session.send(answers.position_end())


def cancel_positions(_gateway: "Gateway", session: "Session", _request: Plain) -> None:
    session.subscriptions.positions = False


def request_positions_multi(gateway: "Gateway", session: "Session", request: ReqPositionsMulti) -> None:
    """Raises Refusal 321 for an account that is not served, 322 for an id in use. An empty account stands for all."""
    request_id = request.request_id
    accounts = named_accounts(gateway, request.account or ALL_ACCOUNTS)
    if request_id in session.subscriptions.positions_multi:
        raise Refusal(code=322, text="Error processing request.-'ca' : cause - Duplicate ticker id")
    session.subscriptions.positions_multi[request_id] = (accounts, request.model_code)
    # There are no models, so nothing is held in one.
    for account in () if request.model_code else accounts:
        for held in gateway.position_reports.positions(account):
            session.send(answers.position_multi(request_id, held, model=request.model_code))
    session.send(answers.position_multi_end(request_id))


def cancel_positions_multi(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    session.subscriptions.positions_multi.pop(request_id, None)


def send_portfolio(gateway: "Gateway", session: "Session", held: Position) -> None:
    session.send(answers.portfolio(held, price=gateway.market.quote(held.instrument).last))


def push_position(gateway: "Gateway", *, account: str, instrument: Instrument) -> None:
    """Tell every subscriber of a position that changed, now or as late as reports are. Account values follow later."""
    reports = gateway.position_reports
    reports.changed(account=account, instrument=instrument, now_ms=gateway.clock.monotonic_ms())
    if reports.lag_seconds:
        gateway.after(reports.lag_seconds, lambda: reports.tell_due(gateway.clock.monotonic_ms()))
    gateway.accounts_due.add(account)


def tell_position(gateway: "Gateway", held: Position) -> None:
    """Send a position that changed to every subscriber, a flat one too."""
    for session in gateway.connected():
        if session.subscriptions.positions:
            session.send(answers.position(held))
        if session.subscriptions.account == held.account:
            send_portfolio(gateway, session, held)
        for request_id, (accounts, model) in session.subscriptions.positions_multi.items():
            if held.account in accounts and not model:
                session.send(answers.position_multi(request_id, held, model=model))


HANDLERS: dict[type[RequestMessage], Handler] = {ReqPositionsMulti: request_positions_multi}
PLAIN: dict[Request, Handler] = {
    Request.REQ_POSITIONS: request_positions,
    Request.CANCEL_POSITIONS: cancel_positions,
}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_POSITIONS_MULTI: cancel_positions_multi}
