"""The tour's client over an official API: 9.81 or 10.46, which differ in a few signatures and names.

The library calls back on a thread of its own; what it says is written down under one lock.
"""

# ruff: noqa: N802, N803 - the library calls these methods by names of its own.

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper

from tests.clients.tours.client import (
    BAR_FACTS,
    CONTRACT_FACTS,
    DETAIL_FACTS,
    EXECUTION_FACTS,
    OPTION_FACTS,
    ORDER_FACTS,
    Deadline,
    Facts,
    facts,
    filled_in,
    plain,
)

PRICE_TICKS = {1: "bid", 2: "ask", 4: "last", 9: "close"}
SIZE_TICKS = {0: "bidSize", 3: "askSize", 8: "volume"}
MODEL_TICK = 13
GREEKS = ("impliedVol", "delta", "optPrice", "pvDividend", "gamma", "vega", "theta", "undPrice")
DONE = "done"


class Callbacks(EWrapper):
    """Writes down what the library says: rows by request id, orders by order id."""

    def __init__(self, failures: list[tuple[int, int]]) -> None:
        EWrapper.__init__(self)
        self.changed = threading.Condition()
        self.told: dict[str, Any] = {}
        self.failures = failures
        self.rows: dict[Any, list[Any]] = defaultdict(list)
        self.ticks: dict[int, Facts] = defaultdict(dict)
        self.computed: dict[int, Facts] = {}
        self.orders: dict[int, Facts] = defaultdict(dict)
        self.commissions: dict[str, Facts] = {}

    def _note(self, key: Any, row: Any) -> None:
        with self.changed:
            self.rows[key].append(row)
            self.changed.notify_all()

    def _say(self, name: str, value: Any) -> None:
        with self.changed:
            self.told[name] = value
            self.changed.notify_all()

    def nextValidId(self, orderId: int) -> None:
        self._say("next_id", orderId)

    def managedAccounts(self, accountsList: str) -> None:
        self._say("accounts", [name for name in accountsList.split(",") if name])

    def error(self, reqId: int, *rest: Any) -> None:
        # 9.81 says code and text, 10.46 puts a time before them.
        code = rest[0] if isinstance(rest[1], str) else rest[1]
        with self.changed:
            self.failures.append((reqId, code))
            self.rows[reqId].append((DONE, code))
            self.changed.notify_all()

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        self._note(reqId, contractDetails)

    def contractDetailsEnd(self, reqId: int) -> None:
        self._note(reqId, (DONE, 0))

    def symbolSamples(self, reqId: int, contractDescriptions: list[Any]) -> None:
        with self.changed:
            self.rows[reqId] += [*contractDescriptions, (DONE, 0)]
            self.changed.notify_all()

    def tickPrice(self, reqId: int, tickType: int, price: float, _attrib: Any) -> None:
        self._tick(reqId, PRICE_TICKS.get(tickType), price)

    def tickSize(self, reqId: int, tickType: int, size: Any) -> None:
        self._tick(reqId, SIZE_TICKS.get(tickType), size)

    def _tick(self, stream: int, name: str | None, value: Any) -> None:
        with self.changed:
            if name is not None:
                self.ticks[stream][name] = plain(value)
            self.changed.notify_all()

    def tickSnapshotEnd(self, reqId: int) -> None:
        self._note(reqId, (DONE, 0))

    def tickOptionComputation(self, reqId: int, tickType: int, *rest: Any) -> None:
        # The tick's attribute comes first where there is one.
        with self.changed:
            if tickType == MODEL_TICK:
                self.computed[reqId] = {
                    name: plain(value) for name, value in zip(GREEKS, rest[-8:], strict=True) if name != "pvDividend"
                }
            self.changed.notify_all()

    def historicalData(self, reqId: int, bar: Any) -> None:
        self._note(reqId, bar)

    def historicalDataEnd(self, reqId: int, _start: str, _end: str) -> None:
        self._note(reqId, (DONE, 0))

    def securityDefinitionOptionParameter(self, reqId: int, *row: Any) -> None:
        self._note(reqId, row)

    def securityDefinitionOptionParameterEnd(self, reqId: int) -> None:
        self._note(reqId, (DONE, 0))

    def openOrder(self, orderId: int, _contract: Any, order: Any, orderState: Any) -> None:
        with self.changed:
            # Gateways say 0 for "no price"; the facts are what the tour sent or what changed.
            self.orders[orderId] |= facts(order, (*ORDER_FACTS, "parentId"))
            self.orders[orderId] |= {"orderId": orderId, "status": orderState.status}
            self.rows["open"].append(orderId)
            self.changed.notify_all()

    def orderStatus(self, orderId: int, *row: Any) -> None:
        status, filled, remaining, average, _perm, _parent, _last, _client, why_held = row[:9]
        told = {"filled": filled, "remaining": remaining, "avgFillPrice": average}
        with self.changed:
            self.orders[orderId] |= {name: plain(value) for name, value in told.items()}
            self.orders[orderId] |= {"orderId": orderId, "status": status, "whyHeld": why_held}
            self.changed.notify_all()

    def openOrderEnd(self) -> None:
        self._note("open", (DONE, 0))

    def completedOrder(self, _contract: Any, order: Any, orderState: Any) -> None:
        self._note("completed", {**facts(order, ORDER_FACTS), "status": orderState.status})

    def completedOrdersEnd(self) -> None:
        self._note("completed", (DONE, 0))

    def execDetails(self, reqId: int, _contract: Any, execution: Any) -> None:
        self._note(reqId, {**facts(execution, EXECUTION_FACTS), "execId": execution.execId})

    def execDetailsEnd(self, reqId: int) -> None:
        self._note(reqId, (DONE, 0))

    def commissionReport(self, report: Any) -> None:
        self._commission(report, report.commission)

    def commissionAndFeesReport(self, report: Any) -> None:
        self._commission(report, report.commissionAndFees)

    def _commission(self, report: Any, amount: float) -> None:
        with self.changed:
            self.commissions[report.execId] = {
                "commission": plain(amount),
                **facts(report, ("currency", "realizedPNL")),
            }
            self.changed.notify_all()

    def position(self, account: str, contract: Any, position: Any, avgCost: float) -> None:
        row = {"account": account, "symbol": contract.symbol, "position": plain(position), "avgCost": avgCost}
        self._note("positions", row)

    def positionEnd(self) -> None:
        self._note("positions", (DONE, 0))

    def accountSummary(self, reqId: int, _account: str, tag: str, value: str, _currency: str) -> None:
        self._note(reqId, (tag, value))

    def accountSummaryEnd(self, reqId: int) -> None:
        self._note(reqId, (DONE, 0))

    def pnl(self, reqId: int, *row: float) -> None:
        self._note(reqId, row)

    def pnlSingle(self, reqId: int, *row: Any) -> None:
        self._note(reqId, row)


class NativeClient:
    """A new pair of library objects per connection; request ids count on."""

    def __init__(self) -> None:
        logging.getLogger("ibapi").setLevel(logging.CRITICAL)
        self._failures: list[tuple[int, int]] = []
        self._heard = Callbacks(self._failures)
        self._api: Any = None
        self._thread: threading.Thread | None = None
        self._last_request = 1_000_000
        self._order_id = 0

    def connect(self, *, host: str, port: int, client_id: int) -> Facts:
        self._heard = Callbacks(self._failures)
        self._api = EClient(self._heard)
        self._api.connect(host, port, client_id)
        self._thread = threading.Thread(target=self._api.run, daemon=True)
        self._thread.start()
        told = self._heard.told
        self.until(lambda: {"next_id", "accounts"} <= told.keys(), "the next order id and the accounts")
        self._order_id = told["next_id"]
        return {"server_version": self._api.serverVersion(), "accounts": told["accounts"], "next_id": told["next_id"]}

    def disconnect(self) -> None:
        self._api.disconnect()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def errors(self) -> list[tuple[int, int]]:
        return list(self._failures)

    def contract_details(self, contract: Facts) -> list[Facts]:
        names = OPTION_FACTS if contract["secType"] == "OPT" else CONTRACT_FACTS
        found = self._ask(lambda id_: self._api.reqContractDetails(id_, _contract(contract)))
        return [{**facts(each.contract, names), **facts(each, DETAIL_FACTS)} for each in found]

    def matching_symbols(self, pattern: str) -> list[Facts]:
        return [
            {
                **facts(each.contract, ("conId", "symbol", "secType", "currency")),
                "derivatives": list(each.derivativeSecTypes),
            }
            for each in self._ask(lambda id_: self._api.reqMatchingSymbols(id_, pattern))
        ]

    def snapshot(self, contract: Facts) -> Facts:
        self._ask(lambda id_: self._api.reqMktData(id_, _contract(contract), "", True, False, []))
        return dict(self._heard.ticks[self._last_request])

    def stream(self, contract: Facts) -> int:
        stream = self._next_request()
        self._api.reqMktData(stream, _contract(contract), "", False, False, [])
        return stream

    def ticks(self, stream: int) -> Facts:
        return dict(self._heard.ticks[stream])

    def greeks(self, stream: int) -> Facts:
        return self._heard.computed.get(stream, {})

    def end_stream(self, stream: int) -> None:
        self._api.cancelMktData(stream)

    def bars(self, contract: Facts, *, duration: str, size: str, what: str) -> list[Facts]:
        def ask(request_id: int) -> None:
            self._api.reqHistoricalData(request_id, _contract(contract), "", duration, size, what, 1, 1, False, [])

        return [facts(bar, BAR_FACTS) for bar in self._ask(ask)]

    def option_chain(self, *, symbol: str, con_id: int) -> list[Facts]:
        found = self._ask(lambda id_: self._api.reqSecDefOptParams(id_, symbol, "", "STK", con_id))
        names = ("exchange", "underlyingConId", "tradingClass", "multiplier", "expirations", "strikes")
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return [{**row, "expirations": sorted(row["expirations"]), "strikes": sorted(row["strikes"])} for row in rows]

    def new_order_id(self) -> int:
        self._order_id += 1
        return self._order_id - 1

    def place(self, order_id: int, contract: Facts, order: Facts) -> None:
        sent = filled_in(Order(), order)
        for name in ("eTradeOnly", "firmQuoteOnly"):
            # On by default in 9.81, refused by today's servers, unknown to 10.46.
            if hasattr(sent, name):
                setattr(sent, name, False)
        self._api.placeOrder(order_id, _contract(contract), sent)

    def cancel(self, order_id: int) -> None:
        self._api.cancelOrder(order_id, *_cancel_details())

    def global_cancel(self) -> None:
        self._api.reqGlobalCancel(*_cancel_details())

    def order(self, order_id: int) -> Facts:
        with self._heard.changed:
            # Until the server has said something it is as the other kind of library has it.
            return {"status": "PendingSubmit", "filled": 0, **self._heard.orders[order_id]}

    def open_orders(self) -> list[Facts]:
        numbers = self._rows("open", self._api.reqOpenOrders)
        return [self.order(number) for number in dict.fromkeys(numbers)]

    def completed_orders(self) -> list[Facts]:
        return self._rows("completed", lambda: self._api.reqCompletedOrders(False))

    def executions(self) -> list[Facts]:
        found = self._ask(lambda id_: self._api.reqExecutions(id_, ExecutionFilter()))
        paid = self._heard.commissions
        self.until(lambda: {row["execId"] for row in found} <= paid.keys(), "commissions")
        return [{**row, **paid[row["execId"]]} for row in found]

    def positions(self) -> list[Facts]:
        rows = self._rows("positions", self._api.reqPositions)
        self._api.cancelPositions()
        return rows

    def summary(self, tags: Iterable[str]) -> Facts:
        return dict(self._ask(lambda id_: self._api.reqAccountSummary(id_, "All", ",".join(tags))))

    def profit(self, account: str) -> Facts:
        request = self._next_request()
        self._api.reqPnL(request, account, "")
        row = self.until(lambda: self._heard.rows[request], "profit and loss")[-1]
        self._api.cancelPnL(request)
        return dict(zip(("dailyPnL", "unrealizedPnL", "realizedPnL"), map(plain, row), strict=True))

    def profit_of(self, account: str, con_id: int) -> Facts:
        request = self._next_request()
        self._api.reqPnLSingle(request, account, "", con_id)
        row = self.until(lambda: self._heard.rows[request], "profit and loss of a position")[-1]
        self._api.cancelPnLSingle(request)
        return dict(
            zip(("position", "dailyPnL", "unrealizedPnL", "realizedPnL", "value"), map(plain, row), strict=True)
        )

    def until(self, look: Callable[[], Any], what: str) -> Any:
        deadline = Deadline(what)
        with self._heard.changed:
            while not (value := look()):
                # What is waited for may also be seen elsewhere than in a callback.
                self._heard.changed.wait(min(0.05, deadline.seconds_left()))
            return value

    def _next_request(self) -> int:
        self._last_request += 1
        return self._last_request

    def _ask(self, send: Callable[[int], None]) -> list[Any]:
        request = self._next_request()
        return self._rows(request, lambda: send(request))

    def _rows(self, key: Any, send: Callable[[], None]) -> list[Any]:
        with self._heard.changed:
            self._heard.rows.pop(key, None)
        send()
        rows = self.until(lambda: self._ended(key), f"the end of the answer to {send}")
        return [row for row in rows if not _is_end(row)]

    def _ended(self, key: Any) -> list[Any]:
        rows = self._heard.rows[key]
        return rows if any(_is_end(row) for row in rows) else []


def _is_end(row: Any) -> bool:
    return isinstance(row, tuple) and row[:1] == (DONE,)


def _contract(contract: Facts) -> Contract:
    return filled_in(Contract(), contract)


def _cancel_details() -> list[Any]:
    """Return what 10.46 wants beside the order id, and 9.81 doesn't know."""
    try:
        from ibapi.order_cancel import OrderCancel
    except ImportError:
        return []
    return [OrderCancel()]
