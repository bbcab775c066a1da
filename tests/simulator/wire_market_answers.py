"""Cases of answers about prices and their past, bars, ticks and depth."""

from decimal import Decimal

from ib_simulator.messages import market_answers as market
from ib_simulator.messages import stream_answers as streams
from ib_simulator.messages.ids import Version
from ib_simulator.messages.market_answers import OptionTick
from ib_simulator.messages.stream_answers import SecondsBar
from tests.simulator.wire_case import AnswerCase, Paths
from tests.simulator.wire_compare import First

D = Decimal


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
