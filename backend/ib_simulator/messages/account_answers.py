"""What the server sends about accounts: values, portfolio, positions, summaries."""

from decimal import Decimal

from ib_simulator.messages.answer import Answer, listed_contract, plain, rounded
from ib_simulator.money.ledger import Position, units_per_contract


def position(held: Position) -> Answer:
    listed = held.instrument
    return plain(
        "position",
        61,
        3,
        held.account,
        *(*listed_contract(listed), listed.primary_exchange),
        *(listed.currency, listed.local_symbol, listed.trading_class),
        held.quantity,
        rounded(held.average_cost),
    )


def position_end() -> Answer:
    return plain("positionEnd", 62, 1)


def position_multi(request_id: int, held: Position, *, model: str) -> Answer:
    listed = held.instrument
    return plain(
        "positionMulti",
        71,
        1,
        request_id,
        held.account,
        *(*listed_contract(listed), listed.primary_exchange),
        *(listed.currency, listed.local_symbol, listed.trading_class),
        held.quantity,
        rounded(held.average_cost),
        model,
    )


def position_multi_end(request_id: int) -> Answer:
    return plain("positionMultiEnd", 72, 1, request_id)


def account_value(*, account: str, key: str, value: str, currency: str) -> Answer:
    return plain("updateAccountValue", 6, 2, key, value, currency, account)


def account_time(time: str) -> Answer:
    return plain("updateAccountTime", 8, 1, time)


def account_download_end(account: str) -> Answer:
    return plain("accountDownloadEnd", 54, 1, account)


def portfolio(held: Position, *, price: Decimal) -> Answer:
    listed = held.instrument
    value = held.quantity * price * units_per_contract(listed)
    return plain(
        "updatePortfolio",
        7,
        8,
        *(*listed_contract(listed), listed.primary_exchange),
        *(listed.currency, listed.local_symbol, listed.trading_class),
        held.quantity,
        price,
        value,
        rounded(held.average_cost),
        rounded(value - held.average_cost * held.quantity),
        rounded(held.realized_pnl),
        held.account,
    )


def account_update_multi(request_id: int, *, account: str, model: str, key: str, value: str, currency: str) -> Answer:
    return plain("accountUpdateMulti", 73, 1, request_id, account, model, key, value, currency)


def account_update_multi_end(request_id: int) -> Answer:
    return plain("accountUpdateMultiEnd", 74, 1, request_id)


def account_summary(request_id: int, *, account: str, tag: str, value: str, currency: str) -> Answer:
    return plain("accountSummary", 63, 1, request_id, account, tag, value, currency)


def account_summary_end(request_id: int) -> Answer:
    return plain("accountSummaryEnd", 64, 1, request_id)
