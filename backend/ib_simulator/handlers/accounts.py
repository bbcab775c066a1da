"""Account values, portfolio and account summaries, and their updates after a deal."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.fields import Value
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.handlers.positions import send_portfolio
from ib_simulator.ledger import order_commission
from ib_simulator.messages import account_answers as answers
from ib_simulator.messages.account_requests import ReqAccountSummary, ReqAccountUpdates, ReqAccountUpdatesMulti
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import RequestMessage
from ib_simulator.orders import Order
from ib_simulator.profit import market_value

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

BASE_CURRENCY = "USD"
# A margin account's rule of thumb: a quarter of the positions is tied up, four times the rest can be bought.
MARGIN_SHARE = Decimal("0.25")
BUYING_POWER_FACTOR = 4
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class AccountValue:
    key: str
    value: str
    currency: str = BASE_CURRENCY


def account_values(gateway: "Gateway", account: str) -> list[AccountValue]:
    """Return the account's values; those set over the control port win, also over figures they would change."""
    figures = _figures(gateway, account)
    values = {
        "AccountCode": AccountValue("AccountCode", account, ""),
        "AccountReady": AccountValue("AccountReady", "true", ""),
        "AccountType": AccountValue("AccountType", "INDIVIDUAL", ""),
        "Currency": AccountValue("Currency", BASE_CURRENCY),
        "DayTradesRemaining": AccountValue("DayTradesRemaining", "-1", ""),
        "Leverage-S": AccountValue("Leverage-S", "1.00", ""),
    }
    for key, amount in figures.items():
        values[key] = AccountValue(key, format(amount.quantize(_CENT), "f"))
    for (owner, key), text in gateway.ledger.values.items():
        if owner == account:
            currency = values[key].currency if key in values else BASE_CURRENCY
            values[key] = AccountValue(key, text, currency)
    return list(values.values())


def _figures(gateway: "Gateway", account: str) -> dict[str, Decimal]:
    cash = gateway.ledger.cash[account]
    held = gateway.ledger.positions(account)
    worth = [market_value(position, price=gateway.market.quote(position.instrument).last) for position in held]
    gross = sum((abs(value) for value in worth), Decimal(0))
    net = cash + sum(worth, Decimal(0))
    margin = gross * MARGIN_SHARE
    free = net - margin
    unrealized = sum(
        (value - position.quantity * position.average_cost for value, position in zip(worth, held, strict=True)),
        Decimal(0),
    )
    return {
        "NetLiquidation": net,
        "EquityWithLoanValue": net,
        "PreviousDayEquityWithLoanValue": net,
        "TotalCashValue": cash,
        "TotalCashBalance": cash,
        "SettledCash": cash,
        "CashBalance": cash,
        "AccruedCash": Decimal(0),
        "GrossPositionValue": gross,
        "StockMarketValue": sum(worth, Decimal(0)),
        "InitMarginReq": margin,
        "MaintMarginReq": margin,
        "FullInitMarginReq": margin,
        "FullMaintMarginReq": margin,
        "AvailableFunds": free,
        "FullAvailableFunds": free,
        "ExcessLiquidity": free,
        "FullExcessLiquidity": free,
        "BuyingPower": max(Decimal(0), free * BUYING_POWER_FACTOR),
        "UnrealizedPnL": unrealized,
        "RealizedPnL": gateway.ledger.realized_pnl(account),
    }


def request_account_updates(gateway: "Gateway", session: "Session", request: ReqAccountUpdates) -> None:
    """Answer values, portfolio, time and the end mark; IB keeps one account per connection subscribed."""
    account = request.account or gateway.config.accounts[0]
    if account not in gateway.config.accounts:
        text = "Error validating request.-'bT' : cause - Invalid account code"
        session.send_error(request_id=-1, code=321, text=text)
        return
    session.subscriptions.account = account if request.subscribe else ""
    if request.subscribe:
        _send_account(gateway, session, account)
        session.send(answers.account_download_end(account))


def _send_account(gateway: "Gateway", session: "Session", account: str) -> None:
    for value in account_values(gateway, account):
        session.send(answers.account_value(account=account, key=value.key, value=value.value, currency=value.currency))
    for held in gateway.ledger.positions(account):
        send_portfolio(gateway, session, held)
    session.send(answers.account_time(gateway.clock.now().strftime("%H:%M")))


def request_account_updates_multi(gateway: "Gateway", session: "Session", request: ReqAccountUpdatesMulti) -> None:
    account = request.account or gateway.config.accounts[0]
    if account not in gateway.config.accounts:
        text = "Error validating request.-'ca' : cause - Invalid account code"
        session.send_error(request_id=request.request_id, code=321, text=text)
        return
    session.subscriptions.accounts_multi[request.request_id] = (account, request.model_code)
    _send_multi(gateway, session, request.request_id)
    session.send(answers.account_update_multi_end(request.request_id))


def _send_multi(gateway: "Gateway", session: "Session", request_id: int) -> None:
    account, model = session.subscriptions.accounts_multi[request_id]
    for value in account_values(gateway, account):
        session.send(
            answers.account_update_multi(
                request_id, account=account, model=model, key=value.key, value=value.value, currency=value.currency
            )
        )


def request_account_summary(gateway: "Gateway", session: "Session", request: ReqAccountSummary) -> None:
    session.subscriptions.summaries[request.request_id] = request.tags
    _send_summary(gateway, session, request.request_id)
    session.send(answers.account_summary_end(request.request_id))


def _send_summary(gateway: "Gateway", session: "Session", request_id: int) -> None:
    tags = session.subscriptions.summaries[request_id]
    for account in gateway.config.accounts:
        for value in account_values(gateway, account):
            if value.key in tags or "All" in tags:
                session.send(
                    answers.account_summary(
                        request_id, account=account, tag=value.key, value=value.value, currency=value.currency
                    )
                )


def push_values(gateway: "Gateway", account: str) -> None:
    """Tell every subscriber of an account's values."""
    for session in gateway.connected():
        if session.subscriptions.account == account:
            for value in account_values(gateway, account):
                session.send(
                    answers.account_value(account=account, key=value.key, value=value.value, currency=value.currency)
                )
        for request_id, (subscribed, _model) in list(session.subscriptions.accounts_multi.items()):
            if subscribed == account:
                _send_multi(gateway, session, request_id)


def what_if_values(gateway: "Gateway", order: Order) -> Sequence[Value]:
    """Return nine margins (before, change, after; each initial, maintenance, equity), commission twice more bounded."""
    figures = _figures(gateway, order.account)
    price = order.limit_price or gateway.market.quote(order.instrument).last
    value = order.quantity * price
    held = gateway.ledger.position(order.account, order.instrument).quantity
    signed = order.quantity if order.is_buy else -order.quantity
    change = (abs(held + signed) - abs(held)) * price * MARGIN_SHARE
    before, equity = figures["InitMarginReq"], figures["EquityWithLoanValue"]
    commission = order_commission(quantity=order.quantity, value=value)
    margins = [before, before, equity, change, change, Decimal(0), before + change, before + change, equity]
    cents = [format(margin.quantize(_CENT), "f") for margin in margins]
    return [*cents, commission, commission, commission, BASE_CURRENCY]


def cancel_account_summary(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    session.subscriptions.summaries.pop(request_id, None)


def cancel_account_updates_multi(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    session.subscriptions.accounts_multi.pop(request_id, None)


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqAccountUpdates: request_account_updates,
    ReqAccountUpdatesMulti: request_account_updates_multi,
    ReqAccountSummary: request_account_summary,
}
CANCELLERS: dict[Request, Canceller] = {
    Request.CANCEL_ACCOUNT_SUMMARY: cancel_account_summary,
    Request.CANCEL_ACCOUNT_UPDATES_MULTI: cancel_account_updates_multi,
}
