"""The tour's client over ib_async or ib_insync, which share their interface."""

import asyncio
import importlib
import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

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

CONNECT_SECONDS_MAX = 10.0


class FacadeClient:
    """One `IB` object, connected as often as the tour wants."""

    def __init__(self, library: str) -> None:
        # Both take the loop of this thread; newer Pythons don't make one by themselves.
        asyncio.set_event_loop(asyncio.new_event_loop())
        logging.getLogger(library).setLevel(logging.CRITICAL)
        self._library: Any = importlib.import_module(library)
        self._ib = self._library.IB()
        self._errors: list[tuple[int, int]] = []
        self._tickers: dict[int, tuple[Any, Any]] = {}
        self._ib.errorEvent += lambda id_, code, *_rest: self._errors.append((id_, code))

    def connect(self, *, host: str, port: int, client_id: int) -> Facts:
        self._ib.connect(host, port, clientId=client_id, timeout=CONNECT_SECONDS_MAX)
        return {
            "server_version": self._ib.client.serverVersion(),
            "accounts": self._ib.managedAccounts(),
            "next_id": self._ib.client.getReqId(),
        }

    def disconnect(self) -> None:
        self._ib.disconnect()

    def errors(self) -> list[tuple[int, int]]:
        return list(self._errors)

    def contract_details(self, contract: Facts) -> list[Facts]:
        names = OPTION_FACTS if contract["secType"] == "OPT" else CONTRACT_FACTS
        found = self._ib.reqContractDetails(self._contract(contract))
        return [{**facts(each.contract, names), **facts(each, DETAIL_FACTS)} for each in found]

    def matching_symbols(self, pattern: str) -> list[Facts]:
        return [
            {
                **facts(each.contract, ("conId", "symbol", "secType", "currency")),
                "derivatives": list(each.derivativeSecTypes),
            }
            for each in self._ib.reqMatchingSymbols(pattern)
        ]

    def snapshot(self, contract: Facts) -> Facts:
        asked = self._contract(contract)
        self._ib.qualifyContracts(asked)
        [ticker] = self._ib.reqTickers(asked)
        return _prices(ticker)

    def stream(self, contract: Facts) -> int:
        asked = self._contract(contract)
        self._ib.qualifyContracts(asked)
        number = len(self._tickers)
        self._tickers[number] = (asked, self._ib.reqMktData(asked, "", False, False))
        return number

    def ticks(self, stream: int) -> Facts:
        return _prices(self._tickers[stream][1])

    def greeks(self, stream: int) -> Facts:
        told = self._tickers[stream][1].modelGreeks
        names = ("impliedVol", "delta", "optPrice", "gamma", "vega", "theta", "undPrice")
        return {} if told is None else facts(told, names)

    def end_stream(self, stream: int) -> None:
        self._ib.cancelMktData(self._tickers.pop(stream)[0])

    def bars(self, contract: Facts, *, duration: str, size: str, what: str) -> list[Facts]:
        found = self._ib.reqHistoricalData(self._contract(contract), "", duration, size, what, useRTH=True)
        names = [name for name in BAR_FACTS if name != "date"]
        return [{"date": str(bar.date), **facts(bar, names)} for bar in found]

    def option_chain(self, *, symbol: str, con_id: int) -> list[Facts]:
        found = self._ib.reqSecDefOptParams(symbol, "", "STK", con_id)
        return [
            {
                **facts(each, ("exchange", "underlyingConId", "tradingClass", "multiplier")),
                "expirations": sorted(each.expirations),
                "strikes": sorted(float(strike) for strike in each.strikes),
            }
            for each in found
        ]

    def new_order_id(self) -> int:
        return int(self._ib.client.getReqId())

    def place(self, order_id: int, contract: Facts, order: Facts) -> None:
        sent = filled_in(self._library.Order(), {**order, "orderId": order_id})
        self._ib.placeOrder(self._contract(contract), sent)

    def cancel(self, order_id: int) -> None:
        self._ib.cancelOrder(self._trade(order_id).order)

    def global_cancel(self) -> None:
        self._ib.reqGlobalCancel()

    def order(self, order_id: int) -> Facts:
        return _order(self._trade(order_id))

    def open_orders(self) -> list[Facts]:
        asked = {order.orderId for order in map(_order_of, self._ib.reqOpenOrders())}
        return [_order(trade) for trade in self._ib.openTrades() if trade.order.orderId in asked]

    def completed_orders(self) -> list[Facts]:
        return [
            {**facts(trade.order, ORDER_FACTS), "status": trade.orderStatus.status}
            for trade in self._ib.reqCompletedOrders(False)
        ]

    def executions(self) -> list[Facts]:
        self._ib.reqExecutions()
        fills = self.until(lambda: [fill for fill in self._ib.fills() if fill.commissionReport.execId], "commissions")
        return [
            {
                **facts(fill.execution, EXECUTION_FACTS),
                "execId": fill.execution.execId,
                **facts(fill.commissionReport, ("commission", "currency", "realizedPNL")),
            }
            for fill in fills
        ]

    def positions(self) -> list[Facts]:
        return [
            {"account": held.account, "symbol": held.contract.symbol, **facts(held, ("position", "avgCost"))}
            for held in self._ib.reqPositions()
        ]

    def summary(self, tags: Iterable[str]) -> Facts:
        wanted = set(tags)
        return {value.tag: value.value for value in self._ib.accountSummary() if value.tag in wanted}

    def profit(self, account: str) -> Facts:
        profit = self._ib.reqPnL(account)
        self.until(lambda: not math.isnan(profit.dailyPnL), "profit and loss")
        self._ib.cancelPnL(account)
        return facts(profit, ("dailyPnL", "unrealizedPnL", "realizedPnL"))

    def profit_of(self, account: str, con_id: int) -> Facts:
        profit = self._ib.reqPnLSingle(account, "", con_id)
        self.until(lambda: not math.isnan(profit.dailyPnL), "profit and loss of a position")
        self._ib.cancelPnLSingle(account, "", con_id)
        return facts(profit, ("position", "dailyPnL", "unrealizedPnL", "realizedPnL", "value"))

    def until(self, look: Callable[[], Any], what: str) -> Any:
        deadline = Deadline(what)
        while not (value := look()):
            self._ib.waitOnUpdate(timeout=min(0.1, deadline.seconds_left()))
        return value

    def _contract(self, contract: Facts) -> Any:
        return filled_in(self._library.Contract(), contract)

    def _trade(self, order_id: int) -> Any:
        return next(trade for trade in self._ib.trades() if trade.order.orderId == order_id)


def _order_of(opened: Any) -> Any:
    # The two differ: trades there, orders here.
    return getattr(opened, "order", opened)


def _order(trade: Any) -> Facts:
    status = facts(trade.orderStatus, ("status", "filled", "remaining", "avgFillPrice", "whyHeld"))
    return {**facts(trade.order, (*ORDER_FACTS, "orderId", "parentId")), **status}


def _prices(ticker: Any) -> Facts:
    named = {"bid": ticker.bid, "ask": ticker.ask, "last": ticker.last, "close": ticker.close, "volume": ticker.volume}
    sizes = {"bidSize": ticker.bidSize, "askSize": ticker.askSize}
    return {name: plain(value) for name, value in {**named, **sizes}.items()}
