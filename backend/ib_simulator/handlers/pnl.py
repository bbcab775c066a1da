"""Profit and loss of accounts and of single positions: at once, then once a second while it changes.

[CAMPUS] "Profit & Loss": updates come "approximately once per second"; an unknown contract id gets no answer at all.
"""

from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.handlers.named_accounts import named_accounts
from ib_simulator.messages import pnl_answers as answers
from ib_simulator.messages.account_requests import ReqPnl, ReqPnlSingle
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import RequestMessage
from ib_simulator.money.ledger import trading_date
from ib_simulator.money.profit import Profit, total_profit
from ib_simulator.subscriptions import PnlSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

PUSH_MILLISECONDS = 1000.0


def request_pnl(gateway: "Gateway", session: "Session", request: ReqPnl) -> None:
    """Raises Refusal 321 for an account that is not served, 322 for an id in use."""
    _subscribe(gateway, session, request.request_id, account=request.account, model=request.model_code)


def request_pnl_single(gateway: "Gateway", session: "Session", request: ReqPnlSingle) -> None:
    """Raises Refusal 321 for an account that is not served, 322 for an id in use."""
    _subscribe(
        gateway,
        session,
        request.request_id,
        account=request.account,
        model=request.model_code,
        con_id=request.con_id,
    )


def _subscribe(
    gateway: "Gateway", session: "Session", request_id: int, *, account: str, model: str, con_id: int | None = None
) -> None:
    accounts = named_accounts(gateway, account)
    if request_id in session.subscriptions.pnls:
        raise Refusal(code=322, text="Error processing request.-'ci' : cause - Duplicate ticker id")
    session.subscriptions.pnls[request_id] = PnlSubscription(accounts, model, con_id)
    _send(gateway, session, request_id)


def push_pnl(gateway: "Gateway") -> None:
    """Tell every subscriber of figures that changed, each at most once a second of real time."""
    now = gateway.clock.monotonic_ms()
    for session in gateway.connected():
        for request_id, subscription in list(session.subscriptions.pnls.items()):
            if now - subscription.sent_ms >= PUSH_MILLISECONDS:
                _send(gateway, session, request_id)


def _send(gateway: "Gateway", session: "Session", request_id: int) -> None:
    subscription = session.subscriptions.pnls[request_id]
    profit = _profit(gateway, subscription)
    if profit is None or profit == subscription.sent:
        return
    subscription.sent, subscription.sent_ms = profit, gateway.clock.monotonic_ms()
    if subscription.con_id is None:
        session.send(
            answers.pnl(request_id, daily=profit.daily, unrealized=profit.unrealized, realized=profit.realized)
        )
    else:
        session.send(
            answers.pnl_single(
                request_id,
                quantity=profit.quantity,
                daily=profit.daily,
                unrealized=profit.unrealized,
                realized=profit.realized,
                value=profit.value,
            )
        )


def _profit(gateway: "Gateway", subscription: PnlSubscription) -> Profit | None:
    """Return the figures of now, or None for a contract that does not exist. There are no models: theirs are zero."""
    con_id = subscription.con_id
    if con_id is not None and gateway.instruments.find(ContractQuery(con_id=con_id)) is None:
        return None
    if subscription.model:
        return Profit()
    held = [
        position
        for account in subscription.accounts
        for position in gateway.ledger.known_positions(account)
        if con_id in {None, position.instrument.con_id}
    ]
    today = trading_date(gateway.clock.now())
    return total_profit(held, ledger=gateway.ledger, market=gateway.market, today=today)


def cancel_pnl(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    _cancel(session, request_id, code=10185, text="Failed to cancel PNL (not subscribed)", is_single=False)


def cancel_pnl_single(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    _cancel(session, request_id, code=10186, text="Failed to cancel PNL single (not subscribed)", is_single=True)


def _cancel(session: "Session", request_id: int, *, code: int, text: str, is_single: bool) -> None:
    subscription = session.subscriptions.pnls.get(request_id)
    if subscription is None or (subscription.con_id is not None) is not is_single:
        session.send_error(request_id=request_id, code=code, text=text)
        return
    del session.subscriptions.pnls[request_id]


HANDLERS: dict[type[RequestMessage], Handler] = {ReqPnl: request_pnl, ReqPnlSingle: request_pnl_single}
CANCELLERS: dict[Request, Canceller] = {
    Request.CANCEL_PNL: cancel_pnl,
    Request.CANCEL_PNL_SINGLE: cancel_pnl_single,
}
