"""Every request of the protocol, as ib_async sends it with values of its own, and where our decoder must put them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ib_async import Contract, ExecutionFilter, ScannerSubscription
from ib_async.client import Client
from ib_async.objects import WshEventData

from ib_simulator.messages.ids import Request

ID = 901
CONTRACT = Contract(
    conId=11,
    symbol="SYM",
    secType="OPT",
    lastTradeDateOrContractMonth="20270115",
    strike=12.5,
    right="C",
    multiplier="250",
    exchange="EXC",
    primaryExchange="PEX",
    currency="CUR",
    localSymbol="LOC",
    tradingClass="TRC",
)
CONTRACT_PATHS = {
    "contract.con_id": 11,
    "contract.symbol": "SYM",
    "contract.sec_type": "OPT",
    "contract.expiry": "20270115",
    "contract.strike": 12.5,
    "contract.right": "C",
    "contract.multiplier": "250",
    "contract.exchange": "EXC",
    "contract.primary_exchange": "PEX",
    "contract.currency": "CUR",
    "contract.local_symbol": "LOC",
    "contract.trading_class": "TRC",
}
Paths = dict[str, Any]


@dataclass(frozen=True)
class RequestCase:
    """One request: `send` calls the client, `paths` are the decoded request's fields."""

    kind: Request
    send: Callable[[Client], None]
    paths: Paths = field(default_factory=dict)


def _about(kind: Request, send: Callable[[Client], None], /, **paths: Any) -> RequestCase:
    """A request with an id and a contract."""
    return RequestCase(kind, send, {"request_id": ID, **CONTRACT_PATHS, **paths})


def _with_id(kind: Request, send: Callable[[Client, int], None], /, **paths: Any) -> RequestCase:
    return RequestCase(kind, lambda api: send(api, ID), {"request_id": ID, **paths})


FILTER = ExecutionFilter(
    clientId=21, acctCode="ACC", time="20260107 10:00:00", symbol="SYM", secType="STK", exchange="EXC", side="BUY"
)
FILTER_PATHS: Paths = {
    "client_id": 21,
    "account": "ACC",
    "time": "20260107 10:00:00",
    "symbol": "SYM",
    "sec_type": "STK",
    "exchange": "EXC",
    "side": "BUY",
}
C = CONTRACT
ORDER_REQUESTS = [
    RequestCase(Request.CANCEL_ORDER, lambda api: api.cancelOrder(31), {"order_id": 31}),
    RequestCase(Request.REQ_OPEN_ORDERS, Client.reqOpenOrders),
    RequestCase(Request.REQ_ALL_OPEN_ORDERS, Client.reqAllOpenOrders),
    RequestCase(Request.REQ_AUTO_OPEN_ORDERS, lambda api: api.reqAutoOpenOrders(True), {"bind": 1}),
    RequestCase(Request.REQ_COMPLETED_ORDERS, lambda api: api.reqCompletedOrders(True), {"api_only": 1}),
    RequestCase(Request.REQ_GLOBAL_CANCEL, Client.reqGlobalCancel),
    RequestCase(Request.REQ_IDS, lambda api: api.reqIds(1)),
    _with_id(Request.REQ_EXECUTIONS, lambda api, id_: api.reqExecutions(id_, FILTER), **FILTER_PATHS),
    RequestCase(Request.EXERCISE_OPTIONS, lambda api: api.exerciseOptions(ID, C, 1, 2, "ACC", 0), {"request_id": ID}),
]
CONNECTION_REQUESTS = [
    RequestCase(Request.START_API, Client.startApi, {"client_id": 77}),
    RequestCase(Request.REQ_CURRENT_TIME, Client.reqCurrentTime),
    RequestCase(Request.SET_SERVER_LOG_LEVEL, lambda api: api.setServerLogLevel(5)),
    RequestCase(Request.REQ_MANAGED_ACCOUNTS, Client.reqManagedAccts),
    RequestCase(Request.REQ_FAMILY_CODES, Client.reqFamilyCodes),
    _with_id(Request.REQ_SOFT_DOLLAR_TIERS, Client.reqSoftDollarTiers),
    _with_id(Request.REQ_USER_INFO, Client.reqUserInfo),
    RequestCase(Request.REQUEST_FA, lambda api: api.requestFA(1)),
    RequestCase(Request.REPLACE_FA, lambda api: api.replaceFA(ID, 1, "<xml/>"), {"request_id": ID}),
]
ACCOUNT_REQUESTS = [
    RequestCase(
        Request.REQ_ACCOUNT_UPDATES, lambda api: api.reqAccountUpdates(True, "ACC"), {"subscribe": 1, "account": "ACC"}
    ),
    _with_id(
        Request.REQ_ACCOUNT_UPDATES_MULTI,
        lambda api, id_: api.reqAccountUpdatesMulti(id_, "ACC", "MOD", True),
        account="ACC",
        model_code="MOD",
        ledger_only=1,
    ),
    _with_id(Request.CANCEL_ACCOUNT_UPDATES_MULTI, Client.cancelAccountUpdatesMulti),
    _with_id(
        Request.REQ_ACCOUNT_SUMMARY,
        lambda api, id_: api.reqAccountSummary(id_, "All", "One,Two"),
        group="All",
        tags=["One", "Two"],
    ),
    _with_id(Request.CANCEL_ACCOUNT_SUMMARY, Client.cancelAccountSummary),
    RequestCase(Request.REQ_POSITIONS, Client.reqPositions),
    RequestCase(Request.CANCEL_POSITIONS, Client.cancelPositions),
    _with_id(
        Request.REQ_POSITIONS_MULTI,
        lambda api, id_: api.reqPositionsMulti(id_, "ACC", "MOD"),
        account="ACC",
        model_code="MOD",
    ),
    _with_id(Request.CANCEL_POSITIONS_MULTI, Client.cancelPositionsMulti),
    _with_id(Request.REQ_PNL, lambda api, id_: api.reqPnL(id_, "ACC", "MOD"), account="ACC", model_code="MOD"),
    _with_id(Request.CANCEL_PNL, Client.cancelPnL),
    _with_id(
        Request.REQ_PNL_SINGLE,
        lambda api, id_: api.reqPnLSingle(id_, "ACC", "MOD", 55),
        account="ACC",
        model_code="MOD",
        con_id=55,
    ),
    _with_id(Request.CANCEL_PNL_SINGLE, Client.cancelPnLSingle),
]
CONTRACT_REQUESTS = [
    _about(Request.REQ_CONTRACT_DETAILS, lambda api: api.reqContractDetails(ID, C)),
    _with_id(Request.REQ_MATCHING_SYMBOLS, lambda api, id_: api.reqMatchingSymbols(id_, "pat"), pattern="pat"),
    RequestCase(Request.REQ_MARKET_RULE, lambda api: api.reqMarketRule(26), {"rule_id": 26}),
    _with_id(
        Request.REQ_SEC_DEF_OPT_PARAMS,
        lambda api, id_: api.reqSecDefOptParams(id_, "SYM", "EXC", "STK", 55),
        symbol="SYM",
        exchange="EXC",
        sec_type="STK",
        con_id=55,
    ),
    _about(
        Request.CALCULATE_IMPLIED_VOLATILITY,
        lambda api: api.calculateImpliedVolatility(ID, C, 3.5, 120.25, []),
        option_price=3.5,
        spot=120.25,
    ),
    _about(
        Request.CALCULATE_OPTION_PRICE,
        lambda api: api.calculateOptionPrice(ID, C, 0.35, 120.25, []),
        volatility=0.35,
        spot=120.25,
    ),
    _with_id(Request.CANCEL_CALCULATE_IMPLIED_VOLATILITY, Client.cancelCalculateImpliedVolatility),
    _with_id(Request.CANCEL_CALCULATE_OPTION_PRICE, Client.cancelCalculateOptionPrice),
]
MARKET_REQUESTS = [
    _about(
        Request.REQ_MKT_DATA,
        lambda api: api.reqMktData(ID, C, "100,233", True, False, ""),
        generic_ticks="100,233",
        snapshot=1,
    ),
    _with_id(Request.CANCEL_MKT_DATA, Client.cancelMktData),
    RequestCase(Request.REQ_MARKET_DATA_TYPE, lambda api: api.reqMarketDataType(3), {"market_data_type": 3}),
    _about(
        Request.REQ_HISTORICAL_DATA,
        lambda api: api.reqHistoricalData(ID, C, "20260107 10:00:00", "2 D", "1 hour", "MIDPOINT", True, 2, False, []),
        end="20260107 10:00:00",
        duration="2 D",
        bar_size="1 hour",
        what_to_show="MIDPOINT",
        use_rth=1,
        format_date=2,
        keep_up_to_date=0,
    ),
    _with_id(Request.CANCEL_HISTORICAL_DATA, Client.cancelHistoricalData),
    _about(
        Request.REQ_REAL_TIME_BARS,
        lambda api: api.reqRealTimeBars(ID, C, 5, "BID", True, []),
        bar_seconds=5,
        what_to_show="BID",
        use_rth=1,
    ),
    _with_id(Request.CANCEL_REAL_TIME_BARS, Client.cancelRealTimeBars),
    _about(
        Request.REQ_TICK_BY_TICK,
        lambda api: api.reqTickByTickData(ID, C, "BidAsk", 7, True),
        kind="BidAsk",
        count=7,
        ignore_size=1,
    ),
    _with_id(Request.CANCEL_TICK_BY_TICK, Client.cancelTickByTickData),
    _about(
        Request.REQ_HISTORICAL_TICKS,
        lambda api: api.reqHistoricalTicks(
            ID, C, "20260107 09:30:00", "20260107 10:00:00", 17, "TRADES", True, False, []
        ),
        start="20260107 09:30:00",
        end="20260107 10:00:00",
        count=17,
        what_to_show="TRADES",
        use_rth=1,
    ),
    _about(Request.REQ_MKT_DEPTH, lambda api: api.reqMktDepth(ID, C, 6, True, []), rows=6, smart=1),
    _with_id(Request.CANCEL_MKT_DEPTH, lambda api, id_: api.cancelMktDepth(id_, True)),
    RequestCase(Request.REQ_MKT_DEPTH_EXCHANGES, Client.reqMktDepthExchanges),
    _with_id(Request.REQ_SMART_COMPONENTS, lambda api, id_: api.reqSmartComponents(id_, "9c0001"), exchange="9c0001"),
    _about(
        Request.REQ_HEAD_TIMESTAMP,
        lambda api: api.reqHeadTimeStamp(ID, C, "BID", True, 2),
        what_to_show="BID",
        format_date=2,
    ),
    _with_id(Request.CANCEL_HEAD_TIMESTAMP, Client.cancelHeadTimeStamp),
    _about(Request.REQ_HISTOGRAM, lambda api: api.reqHistogramData(ID, C, True, "3 days"), use_rth=1, period="3 days"),
    _with_id(Request.CANCEL_HISTOGRAM, Client.cancelHistogramData),
]
OTHER_REQUESTS = [
    RequestCase(Request.REQ_NEWS_BULLETINS, lambda api: api.reqNewsBulletins(True)),
    RequestCase(Request.CANCEL_NEWS_BULLETINS, Client.cancelNewsBulletins),
    RequestCase(Request.REQ_NEWS_PROVIDERS, Client.reqNewsProviders),
    _with_id(Request.REQ_NEWS_ARTICLE, lambda api, id_: api.reqNewsArticle(id_, "PRO", "ART", [])),
    _with_id(Request.REQ_HISTORICAL_NEWS, lambda api, id_: api.reqHistoricalNews(id_, 55, "PRO", "from", "to", 9, [])),
    RequestCase(Request.REQ_SCANNER_PARAMETERS, Client.reqScannerParameters),
    _with_id(
        Request.REQ_SCANNER_SUBSCRIPTION,
        lambda api, id_: api.reqScannerSubscription(id_, ScannerSubscription(numberOfRows=9), [], []),
    ),
    _with_id(Request.CANCEL_SCANNER_SUBSCRIPTION, Client.cancelScannerSubscription),
    _with_id(Request.REQ_FUNDAMENTAL_DATA, lambda api, id_: api.reqFundamentalData(id_, C, "report", [])),
    _with_id(Request.CANCEL_FUNDAMENTAL_DATA, Client.cancelFundamentalData),
    _with_id(Request.QUERY_DISPLAY_GROUPS, Client.queryDisplayGroups),
    _with_id(Request.SUBSCRIBE_TO_GROUP_EVENTS, lambda api, id_: api.subscribeToGroupEvents(id_, 3)),
    _with_id(Request.UPDATE_DISPLAY_GROUP, lambda api, id_: api.updateDisplayGroup(id_, "info")),
    _with_id(Request.UNSUBSCRIBE_FROM_GROUP_EVENTS, Client.unsubscribeFromGroupEvents),
    _with_id(Request.REQ_WSH_META_DATA, Client.reqWshMetaData),
    _with_id(Request.CANCEL_WSH_META_DATA, Client.cancelWshMetaData),
    _with_id(Request.REQ_WSH_EVENT_DATA, lambda api, id_: api.reqWshEventData(id_, WshEventData(conId=55))),
    _with_id(Request.CANCEL_WSH_EVENT_DATA, Client.cancelWshEventData),
]
REQUEST_CASES = [
    *ORDER_REQUESTS,
    *CONNECTION_REQUESTS,
    *ACCOUNT_REQUESTS,
    *CONTRACT_REQUESTS,
    *MARKET_REQUESTS,
    *OTHER_REQUESTS,
]
