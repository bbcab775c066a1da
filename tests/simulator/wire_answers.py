"""Every answer the simulator can give, each value of its own, and where a client's decoder must show it.

A path is what `flatten` writes; `a|b` are two libraries' names for one thing. Numbers are compared as numbers, flags as
0 and 1. `since` is the first server version whose clients know the message.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ib_simulator.ledger import Execution, Position
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages import account_answers as accounts
from ib_simulator.messages import answers, contract_answers, pnl_answers
from ib_simulator.messages import market_answers as market
from ib_simulator.messages import stream_answers as streams
from ib_simulator.messages.answer import Answer, error
from ib_simulator.messages.contract_answers import Listing
from ib_simulator.messages.ids import SERVER_VERSION_MIN, Version
from ib_simulator.messages.market_answers import OptionTick
from ib_simulator.messages.stream_answers import SecondsBar
from tests.simulator.wire_compare import First
from tests.simulator.wire_orders import order_status_order

Paths = dict[str, Any]

VERSIONS = (157, 163, 170, 176, 178)
D = Decimal
OPTION = Instrument(
    con_id=9001,
    symbol="SYM",
    name="LONG NAME",
    primary_exchange="PEX",
    trading_class="TRC",
    base_price=D("50"),
    industry="Industry",
    stock_type="STT",
    currency="CUR",
    sec_type="OPT",
    expiry="20270115",
    strike=D("123.5"),
    right="C",
    multiplier="250",
    listed_symbol="LOCAL",
)
STOCK = Instrument(7001, "STK1", "STOCK NAME", "NYSE", "STC", D("60"), industry="Works", stock_type="ETF")
_OPTION_PATHS: Paths = {
    "conId": 9001,
    "symbol": "SYM",
    "secType": "OPT",
    "lastTradeDateOrContractMonth": "20270115",
    "strike": 123.5,
    "right": "C",
    "multiplier": "250",
    "currency": "CUR",
    "localSymbol": "LOCAL",
    "tradingClass": "TRC",
}
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


@dataclass(frozen=True)
class AnswerCase:
    """One answer; `paths` may depend on the server version."""

    makes: Callable[..., Answer]
    answer: Answer
    paths: Paths | Callable[[int], Paths]
    since: int = SERVER_VERSION_MIN
    name: str = field(default="")

    @property
    def id(self) -> str:
        return self.name or self.makes.__name__

    def expected(self, version: int) -> Paths:
        return self.paths(version) if callable(self.paths) else self.paths


def under(prefix: str, paths: Paths) -> Paths:
    """Put an object's name before its attributes."""
    return {f"{prefix}.{name}": value for name, value in paths.items()}


def _contract_details(version: int) -> Paths:
    contract = under("contractDetails.contract", {**_OPTION_PATHS, "exchange": "EXC"})
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
    return {"reqId": 7, **under("contract", {**_OPTION_PATHS, "exchange": "EXC"}), **under("execution", details)}


def _bars(_version: int) -> Paths:
    return {
        "reqId": 8,
        "bar.date": ["20260106", "20260107"],
        "bar.open": [1.5, 11.5],
        "bar.high": [2.5, 12.5],
        "bar.low": [0.5, 10.5],
        "bar.close": [2.25, 12.25],
        "bar.volume": [300, 1300],
        "bar.average|bar.wap": [1.75, 11.75],
        "bar.barCount": [4, 14],
    }


BAR_ROWS = [
    ("20260106", D("1.5"), D("2.5"), D("0.5"), D("2.25"), 300, D("1.75"), 4),
    ("20260107", D("11.5"), D("12.5"), D("10.5"), D("12.25"), 1300, D("11.75"), 14),
]
GREEKS = OptionTick(volatility=0.31, delta=0.52, price=13.3, gamma=0.014, vega=0.15, theta=-0.16, spot=117.5)
_GREEK_PATHS = {
    "reqId": 3,
    "impliedVol": 0.31,
    "delta": 0.52,
    "optPrice": 13.3,
    "gamma": 0.014,
    "vega": 0.15,
    "theta": -0.16,
    "undPrice": 117.5,
}
_SCHEDULE_PATHS = {
    "reqId": 9,
    "startDateTime": "20260106-09:30:00",
    "endDateTime": "20260107-16:00:00",
    "timeZone": "US/Eastern",
    "sessions.startDateTime": ["20260106-09:30:00", "20260107-09:30:00"],
    "sessions.endDateTime": ["20260106-16:00:00", "20260107-16:00:00"],
    "sessions.refDate": ["20260106", "20260107"],
}
SCHEDULE_ROWS = [
    ("20260106-09:30:00", "20260106-16:00:00", "20260106"),
    ("20260107-09:30:00", "20260107-16:00:00", "20260107"),
]
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
    **under("contract", {**_OPTION_PATHS, "primaryExchange": "PEX"}),
    "position|posSize": 3,
    "marketPrice": 2.5,
    "marketValue": 1875,
    "averageCost": 411.25,
    "unrealizedPNL": 641.25,
    "realizedPNL": 17.5,
    "accountName|account": "ACC",
}
_HELD_PATHS = {
    **under("contract", {**_OPTION_PATHS, "exchange": "PEX"}),
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
MARKET_CASES = [
    AnswerCase(
        market.tick_price, market.tick_price(3, 1, D("10.5"), 200), {"reqId": 3, "tickType": First(1), "price": 10.5}
    ),
    AnswerCase(market.tick_size, market.tick_size(3, 8, 250), {"reqId": 3, "tickType": 8, "size": 250}),
    AnswerCase(market.tick_generic, market.tick_generic(3, 49, D("1.5")), {"reqId": 3, "tickType": 49, "value": 1.5}),
    AnswerCase(market.tick_string, market.tick_string(3, 45, "17"), {"reqId": 3, "tickType": 45, "value": "17"}),
    AnswerCase(
        market.tick_request_parameters,
        market.tick_request_parameters(3, D("0.05")),
        {"tickerId|reqId": 3, "minTick": 0.05, "bboExchange": "9c0001", "snapshotPermissions": 3},
    ),
    AnswerCase(market.tick_option_computation, market.tick_option_computation(3, 13, GREEKS), _GREEK_PATHS),
    AnswerCase(market.tick_snapshot_end, market.tick_snapshot_end(3), {"reqId": 3}),
    AnswerCase(market.market_data_type, market.market_data_type(3, 4), {"reqId": 3, "marketDataType|marketDataId": 4}),
    AnswerCase(
        market.historical_data, market.historical_data(8, start="20260101", end="20260107", rows=BAR_ROWS), _bars
    ),
    AnswerCase(
        market.historical_data_update,
        market.historical_data_update(8, BAR_ROWS[0]),
        {
            "reqId": 8,
            "bar.date": "20260106",
            "bar.open": 1.5,
            "bar.high": 2.5,
            "bar.low": 0.5,
            "bar.close": 2.25,
            "bar.volume": 300,
            "bar.average|bar.wap": 1.75,
            "bar.barCount": 4,
        },
    ),
    AnswerCase(
        market.historical_schedule,
        market.historical_schedule(9, zone="US/Eastern", rows=SCHEDULE_ROWS),
        _SCHEDULE_PATHS,
        since=Version.HISTORICAL_SCHEDULE,
    ),
]
BAR = SecondsBar(1767798000, D("1.5"), D("2.5"), D("0.5"), D("2.25"), 300, D("1.75"), 4)
STREAM_CASES = [
    AnswerCase(
        streams.real_time_bar,
        streams.real_time_bar(4, BAR),
        {
            "reqId": 4,
            "time": 1767798000,
            "open_": 1.5,
            "high": 2.5,
            "low": 0.5,
            "close": 2.25,
            "volume": 300,
            "wap": 1.75,
            "count": 4,
        },
    ),
    AnswerCase(
        streams.tick_last,
        streams.tick_last(4, 2, time=1767798001, price=D("1.5"), size=20, exchange="EXC"),
        {"reqId": 4, "tickType": 2, "time": 1767798001, "price": 1.5, "size": 20, "exchange": "EXC"},
    ),
    AnswerCase(
        streams.tick_bid_ask,
        streams.tick_bid_ask(4, time=1767798001, bid=D("1.5"), ask=D("1.75"), sizes=(20, 30), marks=2),
        {
            "reqId": 4,
            "time": 1767798001,
            "bidPrice": 1.5,
            "askPrice": 1.75,
            "bidSize": 20,
            "askSize": 30,
            "tickAttribBidAsk.bidPastLow": 0,
            "tickAttribBidAsk.askPastHigh": 1,
        },
    ),
    AnswerCase(
        streams.tick_midpoint,
        streams.tick_midpoint(4, time=1767798001, price=D("1.5")),
        {"reqId": 4, "time": 1767798001, "midPoint": 1.5},
    ),
    AnswerCase(
        streams.historical_midpoints,
        streams.historical_midpoints(4, [(1767798001, D("1.5")), (1767798002, D("2.5"))]),
        {"reqId": 4, "ticks.price": [1.5, 2.5], "done": 1},
    ),
    AnswerCase(
        streams.historical_bid_asks,
        streams.historical_bid_asks(4, [(1767798001, D("1.5"), D("1.75"), 20, 30)]),
        {
            "reqId": 4,
            "ticks.priceBid": 1.5,
            "ticks.priceAsk": 1.75,
            "ticks.sizeBid": 20,
            "ticks.sizeAsk": 30,
            "done": 1,
        },
    ),
    AnswerCase(
        streams.historical_lasts,
        streams.historical_lasts(4, [(1767798001, D("1.5"), 20, "EXC")]),
        {"reqId": 4, "ticks.price": 1.5, "ticks.size": 20, "ticks.exchange": "EXC", "done": 1},
    ),
    AnswerCase(
        streams.depth_row,
        streams.depth_row(4, position=1, operation=2, side=0, price=D("1.5"), size=30),
        {"reqId": 4, "position": 1, "operation": 2, "side": 0, "price": 1.5, "size": 30},
    ),
    AnswerCase(
        streams.smart_depth_row,
        streams.smart_depth_row(4, position=1, exchange="EXC", operation=2, side=0, price=D("1.5"), size=30),
        {
            "reqId": 4,
            "position": 1,
            "marketMaker": "EXC",
            "operation": 2,
            "side": 0,
            "price": 1.5,
            "size": 30,
            "isSmartDepth": 1,
        },
    ),
    AnswerCase(
        streams.depth_exchanges,
        streams.depth_exchanges(["EXC", "TWO"]),
        {
            "depthMktDataDescriptions.exchange": ["EXC", "TWO"],
            "depthMktDataDescriptions.secType": ["STK", "STK"],
            "depthMktDataDescriptions.serviceDataType": ["Deep2", "Deep2"],
        },
    ),
    AnswerCase(
        streams.smart_components,
        streams.smart_components(4, [("EXC", "Q"), ("TWO", "R")]),
        {"reqId": 4},
    ),
    AnswerCase(
        streams.head_timestamp,
        streams.head_timestamp(4, "19801212-14:30:00"),
        {"reqId": 4, "headTimestamp|headTimeStamp": "19801212-14:30:00"},
    ),
    AnswerCase(
        streams.histogram,
        streams.histogram(4, [(D("1.5"), 20), (D("2.5"), 30)]),
        {"reqId": 4, "items.price": [1.5, 2.5], "items.size|items.count": [20, 30]},
    ),
]
PLAIN_CASES = [*ACCOUNT_CASES, *ORDER_CASES, *CONTRACT_CASES, *MARKET_CASES, *STREAM_CASES]
