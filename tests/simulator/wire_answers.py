"""Every answer the simulator can give, each value of its own, and where a client's decoder must show it.

A path is what `flatten` writes; `a|b` are two libraries' names for one thing. Numbers are compared as numbers, flags as
0 and 1. `since` is the first server version whose clients know the message.
"""

from datetime import UTC, date, datetime
from decimal import Decimal

from ib_simulator.messages import account_answers as accounts
from ib_simulator.messages import answers, contract_answers, pnl_answers
from ib_simulator.messages import other_answers as others
from ib_simulator.messages.answer import error
from ib_simulator.messages.contract_answers import Listing
from ib_simulator.messages.ids import Version
from ib_simulator.money.ledger import Execution, Position
from tests.simulator.wire_case import OPTION, OPTION_PATHS, STOCK, AnswerCase, Paths, under
from tests.simulator.wire_market_answers import MARKET_CASES, STREAM_CASES
from tests.simulator.wire_orders import order_status_order

D = Decimal
HELD = Position("ACC", OPTION, quantity=D("3"), average_cost=D("411.25"), realized_pnl=D("17.5"))
DEAL = Execution(
    exec_id="0000aaaa.0000bbbb.01.01",
    order_sequence=99,
    order_id=31,
    client_id=32,
    perm_id=33,
    order_ref="ref",
    account="ACC",
    instrument=OPTION,
    exchange="EXC",
    side="BOT",
    quantity=D("34"),
    price=D("35.25"),
    cumulative=D("36"),
    average_price=D("37.5"),
    time=datetime(2026, 1, 7, 15, 0, tzinfo=UTC),
    commission=D("38.75"),
    realized_pnl=D("39.5"),
    liquidity=2,
    currency="CUR",
)
LISTING = Listing(
    exchange="EXC",
    exchanges=("EXC", "TWO"),
    market_rule_id=77,
    minimum_tick=D("0.05"),
    trading_hours="20260107:0400-20260107:2000",
    liquid_hours="20260107:0930-20260107:1600",
    underlying=STOCK,
    lot=100,
)


def _contract_details(version: int) -> Paths:
    contract = under("contractDetails.contract", {**OPTION_PATHS, "exchange": "EXC"})
    details: Paths = {
        "marketName": "TRC",
        "minTick": 0.05,
        "validExchanges": "EXC,TWO",
        "priceMagnifier": 1,
        "underConId": 7001,
        "longName": "LONG NAME",
        "contractMonth": "202701",
        "industry": "Industry",
        "timeZoneId": "US/Eastern",
        "tradingHours": "20260107:0400-20260107:2000",
        "liquidHours": "20260107:0930-20260107:1600",
        "aggGroup": 2,
        "underSymbol": "STK1",
        "underSecType": "STK",
        "marketRuleIds": "77,77",
        "realExpirationDate": "20270115",
        "stockType": "STT",
    }
    if version >= Version.SIZE_RULES:
        details |= {"minSize": 0.0001, "sizeIncrement": 0.0001, "suggestedSizeIncrement": 100}
    return {"reqId": 5, **contract, **under("contractDetails", details)}


def _samples(version: int) -> Paths:
    things = under("contractDescriptions.contract", {"conId": 9001, "symbol": "SYM", "secType": "OPT"})
    things |= under("contractDescriptions.contract", {"primaryExchange": "PEX", "currency": "CUR"})
    if version >= Version.BOND_ISSUER:
        things["contractDescriptions.contract.description"] = "LONG NAME"
    return {"reqId": 6, **things, "contractDescriptions.derivativeSecTypes": ["CFD", "OPT"]}


def _execution(_version: int) -> Paths:
    details = {
        "orderId": 31,
        "clientId": 32,
        "permId": 33,
        "orderRef": "ref",
        "execId": "0000aaaa.0000bbbb.01.01",
        "acctNumber": "ACC",
        "exchange": "EXC",
        "side": "BOT",
        "shares": 34,
        "price": 35.25,
        "cumQty": 36,
        "avgPrice": 37.5,
        "lastLiquidity": 2,
    }
    return {"reqId": 7, **under("contract", {**OPTION_PATHS, "exchange": "EXC"}), **under("execution", details)}


_STATUS_PATHS = {
    "orderId": 41,
    "status": "Submitted",
    "filled": 4,
    "remaining": 6,
    "avgFillPrice": 42.5,
    "permId": 43,
    "parentId": 44,
    "lastFillPrice": 45.5,
    "clientId": 46,
    "whyHeld": "",
    "mktCapPrice": 0,
}
_PORTFOLIO_PATHS = {
    **under("contract", {**OPTION_PATHS, "primaryExchange": "PEX"}),
    "position|posSize": 3,
    "marketPrice": 2.5,
    "marketValue": 1875,
    "averageCost": 411.25,
    "unrealizedPNL": 641.25,
    "realizedPNL": 17.5,
    "accountName|account": "ACC",
}
_HELD_PATHS = {
    **under("contract", {**OPTION_PATHS, "exchange": "PEX"}),
    "account": "ACC",
    "position|posSize|pos": 3,
    "avgCost": 411.25,
}
_MULTI_PATHS = {"reqId": 1, "account": "ACC", "modelCode": "MOD", "key|tag": "KEY", "value|val": "V", "currency": "CUR"}

ACCOUNT_CASES = [
    AnswerCase(accounts.position, accounts.position(HELD), _HELD_PATHS),
    AnswerCase(accounts.position_end, accounts.position_end(), {}),
    AnswerCase(
        accounts.position_multi,
        accounts.position_multi(1, HELD, model="MOD"),
        {**_HELD_PATHS, "reqId": 1, "modelCode": "MOD"},
    ),
    AnswerCase(accounts.position_multi_end, accounts.position_multi_end(1), {"reqId": 1}),
    AnswerCase(
        accounts.account_value,
        accounts.account_value(account="ACC", key="KEY", value="V", currency="CUR"),
        {"key|tag": "KEY", "val": "V", "currency": "CUR", "accountName|account": "ACC"},
    ),
    AnswerCase(accounts.account_time, accounts.account_time("10:31"), {"timeStamp|timestamp": "10:31"}),
    AnswerCase(accounts.account_download_end, accounts.account_download_end("ACC"), {"accountName|_account": "ACC"}),
    AnswerCase(accounts.portfolio, accounts.portfolio(HELD, price=D("2.5")), _PORTFOLIO_PATHS),
    AnswerCase(
        accounts.account_update_multi,
        accounts.account_update_multi(1, account="ACC", model="MOD", key="KEY", value="V", currency="CUR"),
        _MULTI_PATHS,
    ),
    AnswerCase(accounts.account_update_multi_end, accounts.account_update_multi_end(1), {"reqId": 1}),
    AnswerCase(
        accounts.account_summary,
        accounts.account_summary(1, account="ACC", tag="TAG", value="V", currency="CUR"),
        {"reqId|_reqId": 1, "account": "ACC", "tag": "TAG", "value": "V", "currency": "CUR"},
    ),
    AnswerCase(accounts.account_summary_end, accounts.account_summary_end(1), {"reqId": 1}),
    AnswerCase(
        pnl_answers.pnl,
        pnl_answers.pnl(1, daily=D("2.5"), unrealized=D("3.5"), realized=D("4.5")),
        {"reqId": 1, "dailyPnL": 2.5, "unrealizedPnL": 3.5, "realizedPnL": 4.5},
    ),
    AnswerCase(
        pnl_answers.pnl_single,
        pnl_answers.pnl_single(
            1, quantity=D("6"), daily=D("2.5"), unrealized=D("3.5"), realized=D("4.5"), value=D("5.5")
        ),
        {"reqId": 1, "pos": 6, "dailyPnL": 2.5, "unrealizedPnL": 3.5, "realizedPnL": 4.5, "value": 5.5},
    ),
]
ORDER_CASES = [
    AnswerCase(error, error(1, 202, "words"), {"reqId": 1, "errorCode": 202, "errorString": "words"}),
    AnswerCase(answers.managed_accounts, answers.managed_accounts(["A1", "A2"]), {"accountsList": "A1,A2"}),
    AnswerCase(answers.next_valid_id, answers.next_valid_id(12), {"orderId|reqId": 12}),
    AnswerCase(answers.current_time, answers.current_time(DEAL.time), {"time": 1767798000}),
    AnswerCase(answers.order_status, answers.order_status(order_status_order()), _STATUS_PATHS),
    AnswerCase(answers.open_order_end, answers.open_order_end(), {}),
    AnswerCase(answers.completed_orders_end, answers.completed_orders_end(), {}),
    AnswerCase(
        answers.execution_details,
        answers.execution_details(DEAL, request_id=7, time="20260107 10:00:00 US/Eastern"),
        _execution,
    ),
    AnswerCase(answers.execution_details_end, answers.execution_details_end(7), {"reqId": 7}),
    AnswerCase(
        answers.commission_report,
        answers.commission_report(DEAL),
        {
            "commissionReport.execId|commissionAndFeesReport.execId": DEAL.exec_id,
            "commissionReport.commission|commissionAndFeesReport.commissionAndFees": 38.75,
            "commissionReport.currency|commissionAndFeesReport.currency": "CUR",
            "commissionReport.realizedPNL|commissionAndFeesReport.realizedPNL": 39.5,
        },
    ),
]
CONTRACT_CASES = [
    AnswerCase(
        contract_answers.contract_details, contract_answers.contract_details(5, OPTION, LISTING), _contract_details
    ),
    AnswerCase(contract_answers.contract_details_end, contract_answers.contract_details_end(5), {"reqId": 5}),
    AnswerCase(contract_answers.symbol_samples, contract_answers.symbol_samples(6, [OPTION]), _samples),
    AnswerCase(
        contract_answers.market_rule,
        contract_answers.market_rule(26, [(D("0"), D("0.01")), (D("3"), D("0.05"))]),
        {
            "marketRuleId": 26,
            "priceIncrements.lowEdge": [0, 3],
            "priceIncrements.increment": [0.01, 0.05],
        },
    ),
    AnswerCase(
        contract_answers.option_chain,
        contract_answers.option_chain(
            2,
            STOCK,
            exchange="EXC",
            multiplier="250",
            expirations=[date(2026, 2, 20), date(2026, 3, 20)],
            strikes=[D("95"), D("97.5")],
        ),
        {
            "reqId": 2,
            "exchange": "EXC",
            "underlyingConId": 7001,
            "tradingClass": "STK1",
            "multiplier": "250",
            "expirations": ["20260220", "20260320"],
            "strikes": [95, 97.5],
        },
    ),
    AnswerCase(contract_answers.option_chain_end, contract_answers.option_chain_end(2), {"reqId": 2}),
]
OTHER_CASES = [
    AnswerCase(others.scanner_parameters, others.scanner_parameters(), {"xml": others.SCANNER_PARAMETERS}),
    AnswerCase(others.display_groups, others.display_groups(4), {"reqId": 4, "groups": ""}, known_to_ib_async=False),
    AnswerCase(
        others.display_group, others.display_group(4), {"reqId": 4, "contractInfo": "none"}, known_to_ib_async=False
    ),
    AnswerCase(others.soft_dollar_tiers, others.soft_dollar_tiers(4), {"reqId": 4}),
    AnswerCase(others.family_codes, others.family_codes(["A1", "A2"]), {"familyCodes.accountID": ["A1", "A2"]}),
    AnswerCase(others.news_providers, others.news_providers(), {}),
    AnswerCase(others.user_info, others.user_info(4), {"reqId": 4, "whiteBrandingId": ""}, since=Version.USER_INFO),
]
PLAIN_CASES = [*ACCOUNT_CASES, *ORDER_CASES, *CONTRACT_CASES, *MARKET_CASES, *STREAM_CASES, *OTHER_CASES]
