"""Account values, portfolio and account summaries, and their updates after a deal."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.desk.orders import Order
from ib_simulator.errors import Refusal
from ib_simulator.fields import UNSET_DOUBLE, Value
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.handlers.named_accounts import named_accounts
from ib_simulator.handlers.positions import send_portfolio
from ib_simulator.messages import account_answers as answers
from ib_simulator.messages.account_requests import ReqAccountSummary, ReqAccountUpdates, ReqAccountUpdatesMulti
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import RequestMessage
from ib_simulator.money.account_values import (
    ALL_CURRENCIES,
    BASE_CURRENCY,
    AccountValue,
    account_values,
    ledger_values,
    margin_rules,
)
from ib_simulator.money.margin import Preview
from ib_simulator.subscriptions import ValuesSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

SUMMARIES_MAX = 2
TOO_MANY_SUMMARIES = (
    "Error processing request.-'Q' : cause - Maximum number of account summary requests exceeded; "
    "desubscribe to previous request first"
)
REGULAR_MILLISECONDS = 180_000.0
_CENT = Decimal("0.01")


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
    _send_values(gateway, session, account)
    for held in gateway.position_reports.positions(account):
        send_portfolio(gateway, session, held)
    session.send(answers.account_time(gateway.clock.now().strftime("%H:%M")))


def _send_values(gateway: "Gateway", session: "Session", account: str) -> None:
    for value in account_values(gateway, account):
        session.send(answers.account_value(account=account, key=value.key, value=value.value, currency=value.currency))


def request_account_updates_multi(gateway: "Gateway", session: "Session", request: ReqAccountUpdatesMulti) -> None:
    """Answer the values of one account or all. Raises Refusal 321 for an account that is not served."""
    accounts = named_accounts(gateway, request.account or gateway.config.accounts[0])
    session.subscriptions.accounts_multi[request.request_id] = ValuesSubscription(
        accounts, request.model_code, request.ledger_only
    )
    for account in accounts:
        _send_multi(gateway, session, request.request_id, account)
    session.send(answers.account_update_multi_end(request.request_id))


def _send_multi(gateway: "Gateway", session: "Session", request_id: int, account: str) -> None:
    subscription = session.subscriptions.accounts_multi[request_id]
    for value in _multi_values(gateway, account, is_ledger_only=subscription.ledger_only):
        session.send(
            answers.account_update_multi(
                request_id,
                account=account,
                model=subscription.model,
                key=value.key,
                value=value.value,
                currency=value.currency,
            )
        )


def _multi_values(gateway: "Gateway", account: str, *, is_ledger_only: bool) -> list[AccountValue]:
    """Return all values, or with ledgerAndNLV the net liquidation and the values by currency."""
    values = account_values(gateway, account)
    if not is_ledger_only:
        return values
    by_currency = ledger_values(gateway, account, currencies=(BASE_CURRENCY, ALL_CURRENCIES))
    return [value for value in values if value.key == "NetLiquidation"] + by_currency


def request_account_summary(gateway: "Gateway", session: "Session", request: ReqAccountSummary) -> None:
    """Raises Refusal 322 for a third summary: [CAMPUS] "only two active summary subscriptions are allowed"."""
    summaries = session.subscriptions.summaries
    if request.request_id not in summaries and len(summaries) >= SUMMARIES_MAX:
        raise Refusal(code=322, text=TOO_MANY_SUMMARIES)
    summaries[request.request_id] = request.tags
    _send_summary(gateway, session, request.request_id)
    session.send(answers.account_summary_end(request.request_id))


def _send_summary(gateway: "Gateway", session: "Session", request_id: int) -> None:
    tags = session.subscriptions.summaries[request_id]
    for account in gateway.config.accounts:
        for value in _summary_values(gateway, account, tags):
            session.send(
                answers.account_summary(
                    request_id, account=account, tag=value.key, value=value.value, currency=value.currency
                )
            )


def _summary_values(gateway: "Gateway", account: str, tags: Sequence[str]) -> list[AccountValue]:
    values = [value for value in account_values(gateway, account) if value.key in tags or "All" in tags]
    for tag in tags:
        name, _, currency = tag.partition(":")
        if name == "$LEDGER":
            values += ledger_values(gateway, account, currencies=_ledger_currencies(currency))
    return values


def _ledger_currencies(asked: str) -> tuple[str, ...]:
    if asked.upper() == "ALL":
        return (BASE_CURRENCY, ALL_CURRENCIES)
    # Without a name it is the base currency; in others nothing is held.
    return (BASE_CURRENCY,) if asked.upper() in {"", BASE_CURRENCY} else ()


def push_values(gateway: "Gateway", account: str) -> None:
    """Tell every subscriber of an account's values."""
    for session in gateway.connected():
        if session.subscriptions.account == account:
            _send_values(gateway, session, account)
        for request_id, subscription in list(session.subscriptions.accounts_multi.items()):
            if account in subscription.accounts:
                _send_multi(gateway, session, request_id, account)


def push_regularly(gateway: "Gateway") -> None:
    """Send what is subscribed every three minutes, traded or not [CAMPUS Account Updates]."""
    now = gateway.clock.monotonic_ms()
    if gateway.accounts_pushed_ms is None:
        gateway.accounts_pushed_ms = now
    if now - gateway.accounts_pushed_ms < REGULAR_MILLISECONDS:
        return
    gateway.accounts_pushed_ms = now
    for session in gateway.connected():
        subscriptions = session.subscriptions
        if subscriptions.account:
            _send_account(gateway, session, subscriptions.account)
        for request_id in list(subscriptions.accounts_multi):
            for account in subscriptions.accounts_multi[request_id].accounts:
                _send_multi(gateway, session, request_id, account)
        for request_id in list(subscriptions.summaries):
            _send_summary(gateway, session, request_id)


def what_if_values(gateway: "Gateway", order: Order) -> Sequence[Value]:
    """Return nine margins (before, change, after; each initial, maintenance, equity), the commission, its bounds."""
    preview = what_if(gateway, order)
    before, after = preview.before, preview.after
    margins = [
        *(before.initial, before.maintenance, preview.equity_before),
        *(after.initial - before.initial, after.maintenance - before.maintenance),
        preview.equity_after - preview.equity_before,
        *(after.initial, after.maintenance, preview.equity_after),
    ]
    cents = [format(margin.quantize(_CENT), "f") for margin in margins]
    # A paper Gateway leaves the bounds unset where it knows the commission [CAPTURE api_whatif_margin_aapl].
    return [*cents, preview.commission, UNSET_DOUBLE, UNSET_DOUBLE, BASE_CURRENCY]


def what_if(gateway: "Gateway", order: Order) -> Preview:
    """Return the account before and after an order that is only asked about."""
    return margin_rules(gateway).preview(order, is_reg_t=gateway.scenario.is_on("margin", "reg_t"))


def margin_refusal(gateway: "Gateway", order: Order) -> Refusal | None:
    """Return IB's refusal of an order the account cannot carry, if the scenario checks that."""
    if not gateway.scenario.is_on("margin_check", "on"):
        return None
    return margin_rules(gateway).refusal(order, is_reg_t=gateway.scenario.is_on("margin", "reg_t"))


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
