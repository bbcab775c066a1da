"""The tour: what a trading client does in a day, in the same steps for every client library.

    connect, look up, quote, bars, option chain -> bracket: held, filled, stop moved, stopped out
    -> modify, cancel, cancel all -> reconnect with an open order -> completed orders, executions, profit and loss

Each step returns plain facts; `expected.py` says what they must be.
"""

from collections.abc import Callable, Iterator

from tests.clients.tours.client import Facts, TourClient
from tests.clients.tours.market import Market

CLIENT_ID = 11
STOCK = {"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
START_PRICE = "190.00"
SUMMARY_TAGS = ("NetLiquidation", "TotalCashValue")
BASE = {"tif": "GTC", "totalQuantity": 10}


class Tour:
    """One client's tour through one simulator, which nobody else uses."""

    def __init__(self, client: TourClient, market: Market, *, host: str, port: int) -> None:
        self._client = client
        self._market = market
        self._host = host
        self._port = port
        self._con_id = 0
        self._account = ""
        self._option: Facts = {}
        self._entry = self._target = self._stop = self._left_open = 0

    def steps(self) -> Iterator[tuple[str, Callable[[], Facts]]]:
        """Give every step with its name, in order."""
        yield "connect", self._connect
        yield "contract details", self._look_up
        yield "unknown contract", self._unknown_contract
        yield "matching symbols", self._matching_symbols
        yield "snapshot", self._snapshot
        yield "stream", self._stream
        yield "bars", self._bars
        yield "option chain", self._option_chain
        yield "option contract", self._option_contract
        yield "option quote", self._option_quote
        yield "bracket held", self._bracket_held
        yield "bracket filled", self._bracket_filled
        yield "position", self._position
        yield "stop moved", self._stop_moved
        yield "stopped out", self._stopped_out
        yield "modify", self._modify
        yield "cancel", self._cancel
        yield "global cancel", self._global_cancel
        yield "reconnect", self._reconnect
        yield "completed orders", self._completed_orders
        yield "executions", self._executions
        yield "account summary", self._summary
        yield "profit and loss", self._profit
        yield "leave", self._leave

    # --- looking ---------------------------------------------------------------------------------------------

    def _connect(self) -> Facts:
        self._market.order("set_price", symbol="AAPL", price=START_PRICE)
        told = self._client.connect(host=self._host, port=self._port, client_id=CLIENT_ID)
        self._account = told["accounts"][0]
        return told

    def _look_up(self) -> Facts:
        [found] = self._client.contract_details(STOCK)
        self._con_id = found["conId"]
        return found

    def _unknown_contract(self) -> Facts:
        known = len(self._client.errors())
        found = self._client.contract_details({**STOCK, "symbol": "NOSUCH"})
        return {"found": found, "codes": [code for _id, code in self._client.errors()[known:]]}

    def _matching_symbols(self) -> Facts:
        return {"found": self._client.matching_symbols("goog")}

    def _snapshot(self) -> Facts:
        return self._client.snapshot(STOCK)

    def _stream(self) -> Facts:
        stream = self._client.stream(STOCK)
        first = self._client.until(lambda: _complete(self._client.ticks(stream)), "the first quote")
        self._market.order("set_price", symbol="AAPL", price="191.50")
        self._client.until(lambda: self._client.ticks(stream)["last"] == 191.5, "the changed price")
        self._client.until(lambda: self._client.ticks(stream)["ask"] == 191.51, "the changed ask")
        then = self._client.ticks(stream)
        self._client.end_stream(stream)
        self._market.order("set_price", symbol="AAPL", price=START_PRICE)
        return {"first": first, "then": then}

    def _bars(self) -> Facts:
        found = self._client.bars(STOCK, duration="5 D", size="1 day", what="TRADES")
        hours = self._client.bars(STOCK, duration="1 D", size="1 hour", what="MIDPOINT")
        return {"days": found, "hours": hours}

    def _option_chain(self) -> Facts:
        chains = self._client.option_chain(symbol="AAPL", con_id=self._con_id)
        [chain] = [each for each in chains if each["exchange"] == "SMART" and each["tradingClass"] == "AAPL"]
        strike = min(chain["strikes"], key=lambda each: abs(each - float(START_PRICE)))
        expiry = chain["expirations"][-1]
        self._option = {
            "symbol": "AAPL",
            "secType": "OPT",
            "exchange": "SMART",
            "currency": "USD",
            "lastTradeDateOrContractMonth": expiry,
            "strike": strike,
            "right": "C",
            "multiplier": "100",
        }
        return {**chain, "strike": strike}

    def _option_contract(self) -> Facts:
        [found] = self._client.contract_details(self._option)
        return {**found, "asked": self._option}

    def _option_quote(self) -> Facts:
        stream = self._client.stream(self._option)
        greeks = self._client.until(lambda: self._client.greeks(stream), "the model's greeks")
        ticks = self._client.until(lambda: _two_sided(self._client.ticks(stream)), "both sides of the quote")
        self._client.end_stream(stream)
        return {"greeks": greeks, "bid": ticks["bid"], "ask": ticks["ask"]}

    # --- a bracket -------------------------------------------------------------------------------------------

    def _bracket_held(self) -> Facts:
        self._market.order("pause_fills")
        client = self._client
        self._entry, self._target, self._stop = (client.new_order_id() for _ in range(3))
        entry = {"action": "BUY", "orderType": "MKT", **BASE, "tif": "DAY", "orderRef": "tour-entry"}
        target = {"action": "SELL", "orderType": "LMT", "lmtPrice": 200.25, **BASE, "orderRef": "tour-target"}
        stop = {"action": "SELL", "orderType": "STP", "auxPrice": 185.5, **BASE, "orderRef": "tour-stop"}
        client.place(self._entry, STOCK, {**entry, "transmit": False})
        client.place(self._target, STOCK, {**target, "transmit": False, "parentId": self._entry})
        client.place(self._stop, STOCK, {**stop, "transmit": True, "parentId": self._entry})
        client.until(lambda: self._all_are("PreSubmitted"), "all three to be PreSubmitted")
        client.until(lambda: client.order(self._stop)["whyHeld"], "why the stop is held")
        return self._bracket()

    def _bracket_filled(self) -> Facts:
        self._market.order("resume_fills")
        client = self._client
        client.until(lambda: client.order(self._entry)["status"] == "Filled", "the entry to fill")
        client.until(lambda: client.order(self._target)["status"] == "Submitted", "the target to wake")
        client.until(lambda: client.order(self._stop)["whyHeld"] == "trigger", "the stop to wake")
        return self._bracket()

    def _position(self) -> Facts:
        return {"positions": self._client.positions()}

    def _stop_moved(self) -> Facts:
        moved = {"action": "SELL", "orderType": "STP", "auxPrice": 187.75, **BASE, "orderRef": "tour-stop"}
        self._client.place(self._stop, STOCK, moved)
        self._client.until(lambda: self._client.order(self._stop)["auxPrice"] == 187.75, "the stop to have moved")
        return self._client.order(self._stop)

    def _stopped_out(self) -> Facts:
        self._market.order("set_price", symbol="AAPL", price="187.25")
        client = self._client
        client.until(lambda: client.order(self._stop)["status"] == "Filled", "the stop to fill")
        client.until(lambda: client.order(self._target)["status"] == "Cancelled", "the target to go")
        return self._bracket()

    # --- single orders ---------------------------------------------------------------------------------------

    def _modify(self) -> Facts:
        order_id = self._resting(150.25, ref="tour-modified")
        before = self._client.order(order_id)
        changed = {"action": "BUY", "orderType": "LMT", "lmtPrice": 151.75, **BASE, "orderRef": "tour-modified"}
        self._client.place(order_id, STOCK, {**changed, "totalQuantity": 7})
        self._client.until(lambda: self._client.order(order_id)["lmtPrice"] == 151.75, "the new limit")
        self._client.until(lambda: self._client.order(order_id)["remaining"] == 7, "the new quantity")
        return {"before": before, "after": self._client.order(order_id)}

    def _cancel(self) -> Facts:
        order_id = self._resting(149.5, ref="tour-cancelled")
        self._client.cancel(order_id)
        self._client.until(lambda: self._client.order(order_id)["status"] == "Cancelled", "the cancel")
        self._client.until(lambda: (order_id, 202) in self._client.errors(), "the notice of the cancel")
        return self._client.order(order_id)

    def _global_cancel(self) -> Facts:
        numbers = [self._resting(price, ref=f"tour-all-{price}") for price in (140.0, 141.0)]
        self._client.global_cancel()
        self._client.until(
            lambda: all(self._client.order(number)["status"] == "Cancelled" for number in numbers), "all cancels"
        )
        return {"orders": [self._client.order(number) for number in numbers], "open": self._client.open_orders()}

    # --- coming back -----------------------------------------------------------------------------------------

    def _reconnect(self) -> Facts:
        self._left_open = self._resting(130.5, ref="tour-left-open")
        before = self._client.order(self._left_open)
        self._client.disconnect()
        self._until_gone()
        told = self._client.connect(host=self._host, port=self._port, client_id=CLIENT_ID)
        return {"before": before, "open": self._client.open_orders(), "next_id": told["next_id"]}

    def _completed_orders(self) -> Facts:
        return {"orders": self._client.completed_orders()}

    def _executions(self) -> Facts:
        return {"executions": self._client.executions(), "entry": self._entry, "stop": self._stop}

    def _summary(self) -> Facts:
        return self._client.summary(SUMMARY_TAGS)

    def _profit(self) -> Facts:
        account = self._client.profit(self._account)
        return {"account": account, "position": self._client.profit_of(self._account, self._con_id)}

    def _leave(self) -> Facts:
        self._client.disconnect()
        self._until_gone()
        return {"codes": sorted({code for _id, code in self._client.errors() if code not in (2104, 2106, 2158)})}

    # --- words -----------------------------------------------------------------------------------------------

    def _resting(self, price: float, *, ref: str) -> int:
        order_id = self._client.new_order_id()
        order = {"action": "BUY", "orderType": "LMT", "lmtPrice": price, **BASE, "orderRef": ref}
        self._client.place(order_id, STOCK, order)
        self._client.until(lambda: self._client.order(order_id)["status"] == "Submitted", "the order to rest")
        return order_id

    def _bracket(self) -> Facts:
        named = {"entry": self._entry, "target": self._target, "stop": self._stop}
        return {name: self._client.order(number) for name, number in named.items()}

    def _all_are(self, status: str) -> bool:
        return all(self._client.order(number)["status"] == status for number in (self._entry, self._target, self._stop))

    def _until_gone(self) -> None:
        """The same client id is free again only when the server has noticed."""
        self._client.until(lambda: not self._market.order("state")["connections"], "the connection to end")


def _complete(ticks: Facts) -> Facts | None:
    return ticks if {"bid", "ask", "last"} <= {name for name, value in ticks.items() if value is not None} else None


def _two_sided(ticks: Facts) -> Facts | None:
    return ticks if (ticks.get("bid") or 0) > 0 and (ticks.get("ask") or 0) > 0 else None
