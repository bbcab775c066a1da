"""What every client must see on the tour: one list, so that all libraries are held to the same facts.

A fact that is not named here is free: dates of bars, ids the library counts in its own way. `compare` names each
difference by its path.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# What each library offers at most, cut at what the simulator speaks.
SERVER_VERSIONS = {"ib_async": 178, "ib_insync": 176, "ibapi": 157, "nautilus_ibapi": 178}


@dataclass(frozen=True)
class Within:
    """A number between two others, both included."""

    low: float
    high: float

    def fits(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Reads:
    """A text that the pattern fits from end to end."""

    pattern: str

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Unset:
    """Not set; ib_async and ib_insync show that as zero."""

    def fits(self, value: Any) -> bool:
        return value is None or value == 0


@dataclass(frozen=True)
class Each:
    """A list of so many values that all fit."""

    count: Within
    value: Any

    def fits(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and self.count.fits(len(value))
            and not [difference for item in value for difference in compare(self.value, item, path="")]
        )


def compare(expected: Any, seen: Any, *, path: str) -> Iterator[str]:
    """Name what differs. A dict may hold more than is expected of it, a list may not."""
    if isinstance(expected, dict) and isinstance(seen, dict):
        for name, value in expected.items():
            yield from compare(value, seen.get(name, "nothing"), path=f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(seen, list) and len(expected) == len(seen):
        for position, (value, item) in enumerate(zip(expected, seen, strict=True)):
            yield from compare(value, item, path=f"{path}[{position}]")
    elif isinstance(expected, Within | Reads | Unset | Each):
        if not expected.fits(seen):
            yield f"{path}: {seen!r} is not {expected}"
    elif expected != seen:
        yield f"{path}: {seen!r} is not {expected!r}"


def _order(action: str, order_type: str, status: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "orderType": order_type, "totalQuantity": 10, "status": status, **more}


_ENTRY = {"tif": "DAY", "orderRef": "tour-entry", "parentId": 0}
_TARGET = {"tif": "GTC", "orderRef": "tour-target", "lmtPrice": 200.25}
_STOP = {"tif": "GTC", "orderRef": "tour-stop"}
_QUOTE = {"bid": 189.99, "ask": 190.01, "last": 190.0, "close": 190.0, "bidSize": 100, "askSize": 100}
_BAR = {
    "open": Within(150, 230),
    "high": Within(150, 230),
    "low": Within(150, 230),
    "close": Within(150, 230),
}
_TRADED = {**_BAR, "volume": Within(1, 1e9), "barCount": Within(1, 1e7)}
_FIRST_PERM_ID = 1_007_000_001  # Of seed 7.
_PRICE = 190.01  # MKT deals at the ask, the stop at the bid: one tick beside the last price.
_STOP_PRICE = 187.24
_LOSS = -29.70  # (187.24 - 190.01) * 10, less a dollar's commission each way.

EXPECTED: dict[str, dict[str, Any]] = {
    "connect": {"accounts": ["DU1234567"], "next_id": Within(1, 10)},
    "contract details": {
        "conId": 265598,
        "symbol": "AAPL",
        "secType": "STK",
        "exchange": "SMART",
        "primaryExchange": "NASDAQ",
        "currency": "USD",
        "localSymbol": "AAPL",
        "tradingClass": "NMS",
        "longName": "APPLE INC",
        "minTick": 0.01,
        "timeZoneId": "US/Eastern",
        "stockType": "COMMON",
        "marketRuleIds": Reads(r"26(,26)*"),
    },
    "unknown contract": {"found": [], "codes": [200]},
    "matching symbols": {
        "found": [
            {"conId": 208813720, "symbol": "GOOG", "secType": "STK", "currency": "USD", "derivatives": ["CFD", "OPT"]},
            {"conId": 208813719, "symbol": "GOOGL", "secType": "STK", "currency": "USD", "derivatives": ["CFD", "OPT"]},
        ]
    },
    "snapshot": {**_QUOTE, "volume": Within(1, 1e6)},
    "stream": {"first": _QUOTE, "then": {**_QUOTE, "bid": 191.49, "ask": 191.51, "last": 191.5}},
    "bars": {"days": Each(Within(5, 5), _TRADED), "hours": Each(Within(4, 7), _BAR)},
    "option chain": {
        "exchange": "SMART",
        "tradingClass": "AAPL",
        "multiplier": "100",
        "expirations": Each(Within(5, 60), Reads(r"20\d{6}")),
        "strikes": Each(Within(10, 200), Within(1, 400)),
        "strike": 190,
    },
    "option contract": {
        "conId": Within(1, 2**31),
        "symbol": "AAPL",
        "secType": "OPT",
        "lastTradeDateOrContractMonth": Reads(r"20\d{6}"),
        "strike": 190,
        "right": "C",
        "multiplier": "100",
    },
    "option quote": {
        "greeks": {
            "impliedVol": Within(0.05, 2),
            "delta": Within(0.4, 0.8),
            "optPrice": Within(0.5, 60),
            "gamma": Within(0.001, 0.2),
            "vega": Within(0.01, 2),
            "theta": Within(-2, -0.001),
            "undPrice": 190,
        },
        "bid": Within(0.5, 60),
        "ask": Within(0.5, 60),
    },
    "bracket held": {
        "entry": _order("BUY", "MKT", "PreSubmitted", **_ENTRY, filled=0, whyHeld=""),
        "target": _order("SELL", "LMT", "PreSubmitted", **_TARGET, filled=0, whyHeld="child"),
        "stop": _order("SELL", "STP", "PreSubmitted", **_STOP, filled=0, auxPrice=185.5, whyHeld="child,trigger"),
    },
    "bracket filled": {
        "entry": _order("BUY", "MKT", "Filled", **_ENTRY, filled=10, remaining=0, avgFillPrice=_PRICE),
        "target": _order("SELL", "LMT", "Submitted", **_TARGET, filled=0, remaining=10, whyHeld=""),
        "stop": _order("SELL", "STP", "PreSubmitted", **_STOP, filled=0, remaining=10, whyHeld="trigger"),
    },
    "position": {"positions": [{"account": "DU1234567", "symbol": "AAPL", "position": 10, "avgCost": 190.11}]},
    "stop moved": _order("SELL", "STP", "PreSubmitted", **_STOP, auxPrice=187.75, whyHeld="trigger"),
    "stopped out": {
        "entry": _order("BUY", "MKT", "Filled", **_ENTRY),
        "target": _order("SELL", "LMT", "Cancelled", **_TARGET, filled=0),
        "stop": _order("SELL", "STP", "Filled", **_STOP, filled=10, remaining=0, avgFillPrice=_STOP_PRICE),
    },
    "modify": {
        "before": _order("BUY", "LMT", "Submitted", lmtPrice=150.25, orderRef="tour-modified", remaining=10),
        "after": {
            **_order("BUY", "LMT", "Submitted", lmtPrice=151.75, orderRef="tour-modified", remaining=7),
            "totalQuantity": 7,
        },
    },
    "cancel": _order("BUY", "LMT", "Cancelled", lmtPrice=149.5, orderRef="tour-cancelled", filled=0),
    "global cancel": {
        "orders": [
            _order("BUY", "LMT", "Cancelled", lmtPrice=price, orderRef=f"tour-all-{price}") for price in (140.0, 141.0)
        ],
        # The order of the step "modify", which rested until then, is gone as well.
        "open": [],
    },
    "reconnect": {"open": [_order("BUY", "LMT", "Submitted", lmtPrice=130.5, orderRef="tour-left-open", tif="GTC")]},
    "completed orders": {
        "orders": [
            {"orderRef": "tour-entry", "orderType": "MKT", "status": "Filled", "permId": _FIRST_PERM_ID},
            {"orderRef": "tour-target", "status": "Cancelled", "ocaGroup": str(_FIRST_PERM_ID), "lmtPrice": 200.25},
            {"orderRef": "tour-stop", "status": "Filled", "ocaGroup": str(_FIRST_PERM_ID), "auxPrice": 187.75},
            {"orderRef": "tour-modified", "status": "Cancelled", "totalQuantity": 7, "lmtPrice": 151.75},
            {"orderRef": "tour-cancelled", "status": "Cancelled", "lmtPrice": 149.5},
            {"orderRef": "tour-all-140.0", "status": "Cancelled", "lmtPrice": 140},
            {"orderRef": "tour-all-141.0", "status": "Cancelled", "lmtPrice": 141},
        ]
    },
    "executions": {
        "executions": [
            {
                "side": "BOT",
                "shares": 10,
                "price": _PRICE,
                "cumQty": 10,
                "avgPrice": _PRICE,
                "clientId": 11,
                "orderRef": "tour-entry",
                "commission": 1.0,
                "currency": "USD",
                "realizedPNL": Unset(),
                "permId": _FIRST_PERM_ID,
                "execId": Reads(r"[0-9a-f]{8}\.[0-9a-f]{8}\.01\.01"),
            },
            {
                "side": "SLD",
                "shares": 10,
                "price": _STOP_PRICE,
                "cumQty": 10,
                "avgPrice": _STOP_PRICE,
                "orderRef": "tour-stop",
                "commission": 1.0,
                "currency": "USD",
                "realizedPNL": Within(-29.71, -29.69),
                "permId": _FIRST_PERM_ID + 2,
                "clientId": 11,
            },
        ]
    },
    "account summary": {"NetLiquidation": "999970.30", "TotalCashValue": "999970.30"},
    "profit and loss": {
        "account": {"dailyPnL": _LOSS, "unrealizedPnL": 0, "realizedPnL": _LOSS},
        "position": {"position": 0, "dailyPnL": _LOSS, "unrealizedPnL": 0, "realizedPnL": _LOSS, "value": 0},
    },
    # 200 for the contract that does not exist, 202 for every cancel; nothing else went wrong.
    "leave": {"codes": [200, 202]},
}
