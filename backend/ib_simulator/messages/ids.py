"""The numbers of the messages, and where a request that is not served carries its own id."""

from enum import IntEnum

SERVER_VERSION_MIN = 157
SERVER_VERSION_MAX = 178


class Version(IntEnum):
    """Server versions that changed a layout used here."""

    DURATION_IN_PLACE_ORDER = 158
    DURATION_IN_OPEN_ORDER = 159
    POST_TO_ATS = 160
    AUTO_CANCEL_PARENT = 162
    SUGGESTED_SIZE = 163
    SIZE_RULES = 164
    HISTORICAL_SCHEDULE = 165
    ADVANCED_ORDER_REJECT = 166
    USER_INFO = 167
    MANUAL_ORDER_TIME = 169
    PEG_BEST_AND_MID = 170
    BOND_ISSUER = 176
    FA_PROFILE_GONE = 177
    PENDING_PRICE_REVISION = 178


class Request(IntEnum):
    """Messages of the client that are served."""

    REQ_MKT_DATA = 1
    CANCEL_MKT_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    REQ_OPEN_ORDERS = 5
    REQ_ACCOUNT_UPDATES = 6
    REQ_EXECUTIONS = 7
    REQ_IDS = 8
    REQ_CONTRACT_DETAILS = 9
    REQ_MKT_DEPTH = 10
    CANCEL_MKT_DEPTH = 11
    REQ_NEWS_BULLETINS = 12
    CANCEL_NEWS_BULLETINS = 13
    SET_SERVER_LOG_LEVEL = 14
    REQ_AUTO_OPEN_ORDERS = 15
    REQ_ALL_OPEN_ORDERS = 16
    REQ_MANAGED_ACCOUNTS = 17
    REQUEST_FA = 18
    REPLACE_FA = 19
    REQ_HISTORICAL_DATA = 20
    EXERCISE_OPTIONS = 21
    REQ_SCANNER_SUBSCRIPTION = 22
    CANCEL_SCANNER_SUBSCRIPTION = 23
    REQ_SCANNER_PARAMETERS = 24
    CANCEL_HISTORICAL_DATA = 25
    REQ_CURRENT_TIME = 49
    REQ_REAL_TIME_BARS = 50
    CANCEL_REAL_TIME_BARS = 51
    REQ_FUNDAMENTAL_DATA = 52
    CANCEL_FUNDAMENTAL_DATA = 53
    CALCULATE_IMPLIED_VOLATILITY = 54
    CALCULATE_OPTION_PRICE = 55
    CANCEL_CALCULATE_IMPLIED_VOLATILITY = 56
    CANCEL_CALCULATE_OPTION_PRICE = 57
    REQ_GLOBAL_CANCEL = 58
    REQ_MARKET_DATA_TYPE = 59
    REQ_POSITIONS = 61
    REQ_ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    QUERY_DISPLAY_GROUPS = 67
    SUBSCRIBE_TO_GROUP_EVENTS = 68
    UPDATE_DISPLAY_GROUP = 69
    UNSUBSCRIBE_FROM_GROUP_EVENTS = 70
    START_API = 71
    REQ_POSITIONS_MULTI = 74
    CANCEL_POSITIONS_MULTI = 75
    REQ_ACCOUNT_UPDATES_MULTI = 76
    CANCEL_ACCOUNT_UPDATES_MULTI = 77
    REQ_SEC_DEF_OPT_PARAMS = 78
    REQ_SOFT_DOLLAR_TIERS = 79
    REQ_FAMILY_CODES = 80
    REQ_MATCHING_SYMBOLS = 81
    REQ_MKT_DEPTH_EXCHANGES = 82
    REQ_SMART_COMPONENTS = 83
    REQ_NEWS_ARTICLE = 84
    REQ_NEWS_PROVIDERS = 85
    REQ_HISTORICAL_NEWS = 86
    REQ_HEAD_TIMESTAMP = 87
    REQ_HISTOGRAM = 88
    CANCEL_HISTOGRAM = 89
    CANCEL_HEAD_TIMESTAMP = 90
    REQ_MARKET_RULE = 91
    REQ_PNL = 92
    CANCEL_PNL = 93
    REQ_PNL_SINGLE = 94
    CANCEL_PNL_SINGLE = 95
    REQ_HISTORICAL_TICKS = 96
    REQ_TICK_BY_TICK = 97
    CANCEL_TICK_BY_TICK = 98
    REQ_COMPLETED_ORDERS = 99
    REQ_WSH_META_DATA = 100
    CANCEL_WSH_META_DATA = 101
    REQ_WSH_EVENT_DATA = 102
    CANCEL_WSH_EVENT_DATA = 103
    REQ_USER_INFO = 104


# Requests of the protocol that are not served: name and the position of their request id (None: they carry none).
UNSERVED: dict[int, tuple[str, int | None]] = {
    65: ("verifyRequest", None),
    66: ("verifyMessage", None),
    72: ("verifyAndAuthRequest", None),
    73: ("verifyAndAuthMessage", None),
}

# Where a served request carries its id, so that a malformed one can still be answered.
REQUEST_ID_POSITION: dict[int, int] = {
    Request.REQ_MKT_DATA: 2,
    Request.CANCEL_MKT_DATA: 2,
    Request.PLACE_ORDER: 1,
    Request.CANCEL_ORDER: 2,
    Request.REQ_EXECUTIONS: 2,
    Request.REQ_CONTRACT_DETAILS: 2,
    Request.REQ_HISTORICAL_DATA: 1,
    Request.CANCEL_HISTORICAL_DATA: 2,
    Request.REQ_ACCOUNT_SUMMARY: 2,
    Request.CANCEL_ACCOUNT_SUMMARY: 2,
    Request.REQ_ACCOUNT_UPDATES_MULTI: 2,
    Request.CANCEL_ACCOUNT_UPDATES_MULTI: 2,
    Request.REQ_POSITIONS_MULTI: 2,
    Request.CANCEL_POSITIONS_MULTI: 2,
    Request.REQ_PNL: 1,
    Request.CANCEL_PNL: 1,
    Request.REQ_PNL_SINGLE: 1,
    Request.CANCEL_PNL_SINGLE: 1,
    Request.REQ_MATCHING_SYMBOLS: 1,
    Request.CALCULATE_IMPLIED_VOLATILITY: 2,
    Request.CALCULATE_OPTION_PRICE: 2,
    Request.CANCEL_CALCULATE_IMPLIED_VOLATILITY: 2,
    Request.CANCEL_CALCULATE_OPTION_PRICE: 2,
    Request.REQ_SEC_DEF_OPT_PARAMS: 1,
    Request.REPLACE_FA: 4,
    Request.EXERCISE_OPTIONS: 2,
    Request.REQ_SCANNER_SUBSCRIPTION: 1,
    Request.CANCEL_SCANNER_SUBSCRIPTION: 2,
    Request.REQ_FUNDAMENTAL_DATA: 2,
    Request.CANCEL_FUNDAMENTAL_DATA: 2,
    Request.QUERY_DISPLAY_GROUPS: 2,
    Request.SUBSCRIBE_TO_GROUP_EVENTS: 2,
    Request.UPDATE_DISPLAY_GROUP: 2,
    Request.UNSUBSCRIBE_FROM_GROUP_EVENTS: 2,
    Request.REQ_SOFT_DOLLAR_TIERS: 1,
    Request.REQ_NEWS_ARTICLE: 1,
    Request.REQ_HISTORICAL_NEWS: 1,
    Request.REQ_WSH_META_DATA: 1,
    Request.CANCEL_WSH_META_DATA: 1,
    Request.REQ_WSH_EVENT_DATA: 1,
    Request.CANCEL_WSH_EVENT_DATA: 1,
    Request.REQ_USER_INFO: 1,
    Request.CANCEL_HISTOGRAM: 1,
    Request.REQ_HISTOGRAM: 1,
    Request.CANCEL_HEAD_TIMESTAMP: 1,
    Request.REQ_HEAD_TIMESTAMP: 1,
    Request.REQ_SMART_COMPONENTS: 1,
    Request.CANCEL_MKT_DEPTH: 2,
    Request.REQ_MKT_DEPTH: 2,
    Request.REQ_HISTORICAL_TICKS: 1,
    Request.CANCEL_TICK_BY_TICK: 1,
    Request.REQ_TICK_BY_TICK: 1,
    Request.CANCEL_REAL_TIME_BARS: 2,
    Request.REQ_REAL_TIME_BARS: 2,
}

REQUEST_NAMES: dict[int, str] = {
    Request.REQ_MKT_DATA: "reqMktData",
    Request.CANCEL_MKT_DATA: "cancelMktData",
    Request.PLACE_ORDER: "placeOrder",
    Request.CANCEL_ORDER: "cancelOrder",
    Request.REQ_OPEN_ORDERS: "reqOpenOrders",
    Request.REQ_ACCOUNT_UPDATES: "reqAccountUpdates",
    Request.REQ_EXECUTIONS: "reqExecutions",
    Request.REQ_IDS: "reqIds",
    Request.REQ_CONTRACT_DETAILS: "reqContractDetails",
    Request.SET_SERVER_LOG_LEVEL: "setServerLogLevel",
    Request.REQ_AUTO_OPEN_ORDERS: "reqAutoOpenOrders",
    Request.REQ_ALL_OPEN_ORDERS: "reqAllOpenOrders",
    Request.REQ_MANAGED_ACCOUNTS: "reqManagedAccts",
    Request.REQ_HISTORICAL_DATA: "reqHistoricalData",
    Request.CANCEL_HISTORICAL_DATA: "cancelHistoricalData",
    Request.REQ_CURRENT_TIME: "reqCurrentTime",
    Request.REQ_GLOBAL_CANCEL: "reqGlobalCancel",
    Request.REQ_MARKET_DATA_TYPE: "reqMarketDataType",
    Request.REQ_POSITIONS: "reqPositions",
    Request.REQ_ACCOUNT_SUMMARY: "reqAccountSummary",
    Request.CANCEL_ACCOUNT_SUMMARY: "cancelAccountSummary",
    Request.CANCEL_POSITIONS: "cancelPositions",
    Request.START_API: "startApi",
    Request.REQ_ACCOUNT_UPDATES_MULTI: "reqAccountUpdatesMulti",
    Request.CANCEL_ACCOUNT_UPDATES_MULTI: "cancelAccountUpdatesMulti",
    Request.CALCULATE_IMPLIED_VOLATILITY: "calculateImpliedVolatility",
    Request.CALCULATE_OPTION_PRICE: "calculateOptionPrice",
    Request.CANCEL_CALCULATE_IMPLIED_VOLATILITY: "cancelCalculateImpliedVolatility",
    Request.CANCEL_CALCULATE_OPTION_PRICE: "cancelCalculateOptionPrice",
    Request.REQ_SEC_DEF_OPT_PARAMS: "reqSecDefOptParams",
    Request.REQ_NEWS_BULLETINS: "reqNewsBulletins",
    Request.CANCEL_NEWS_BULLETINS: "cancelNewsBulletins",
    Request.REQUEST_FA: "requestFA",
    Request.REPLACE_FA: "replaceFA",
    Request.EXERCISE_OPTIONS: "exerciseOptions",
    Request.REQ_SCANNER_SUBSCRIPTION: "reqScannerSubscription",
    Request.CANCEL_SCANNER_SUBSCRIPTION: "cancelScannerSubscription",
    Request.REQ_SCANNER_PARAMETERS: "reqScannerParameters",
    Request.REQ_FUNDAMENTAL_DATA: "reqFundamentalData",
    Request.CANCEL_FUNDAMENTAL_DATA: "cancelFundamentalData",
    Request.QUERY_DISPLAY_GROUPS: "queryDisplayGroups",
    Request.SUBSCRIBE_TO_GROUP_EVENTS: "subscribeToGroupEvents",
    Request.UPDATE_DISPLAY_GROUP: "updateDisplayGroup",
    Request.UNSUBSCRIBE_FROM_GROUP_EVENTS: "unsubscribeFromGroupEvents",
    Request.REQ_SOFT_DOLLAR_TIERS: "reqSoftDollarTiers",
    Request.REQ_FAMILY_CODES: "reqFamilyCodes",
    Request.REQ_NEWS_ARTICLE: "reqNewsArticle",
    Request.REQ_NEWS_PROVIDERS: "reqNewsProviders",
    Request.REQ_HISTORICAL_NEWS: "reqHistoricalNews",
    Request.REQ_WSH_META_DATA: "reqWshMetaData",
    Request.CANCEL_WSH_META_DATA: "cancelWshMetaData",
    Request.REQ_WSH_EVENT_DATA: "reqWshEventData",
    Request.CANCEL_WSH_EVENT_DATA: "cancelWshEventData",
    Request.REQ_USER_INFO: "reqUserInfo",
    Request.CANCEL_HISTOGRAM: "cancelHistogramData",
    Request.REQ_HISTOGRAM: "reqHistogramData",
    Request.CANCEL_HEAD_TIMESTAMP: "cancelHeadTimeStamp",
    Request.REQ_HEAD_TIMESTAMP: "reqHeadTimeStamp",
    Request.REQ_SMART_COMPONENTS: "reqSmartComponents",
    Request.REQ_MKT_DEPTH_EXCHANGES: "reqMktDepthExchanges",
    Request.CANCEL_MKT_DEPTH: "cancelMktDepth",
    Request.REQ_MKT_DEPTH: "reqMktDepth",
    Request.REQ_HISTORICAL_TICKS: "reqHistoricalTicks",
    Request.CANCEL_TICK_BY_TICK: "cancelTickByTickData",
    Request.REQ_TICK_BY_TICK: "reqTickByTickData",
    Request.CANCEL_REAL_TIME_BARS: "cancelRealTimeBars",
    Request.REQ_REAL_TIME_BARS: "reqRealTimeBars",
    Request.REQ_MATCHING_SYMBOLS: "reqMatchingSymbols",
    Request.REQ_MARKET_RULE: "reqMarketRule",
    Request.REQ_POSITIONS_MULTI: "reqPositionsMulti",
    Request.CANCEL_POSITIONS_MULTI: "cancelPositionsMulti",
    Request.REQ_PNL: "reqPnL",
    Request.CANCEL_PNL: "cancelPnL",
    Request.REQ_PNL_SINGLE: "reqPnLSingle",
    Request.CANCEL_PNL_SINGLE: "cancelPnLSingle",
    Request.REQ_COMPLETED_ORDERS: "reqCompletedOrders",
}


def request_name(number: int) -> str:
    """Return the name of a client's message as the client libraries call it, or `unknown:<number>`."""
    if number in REQUEST_NAMES:
        return REQUEST_NAMES[number]
    if number in UNSERVED:
        return UNSERVED[number][0]
    return f"unknown:{number}"
