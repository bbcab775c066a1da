"""What the tour asks of a client library, and the words both kinds of library are translated into.

Two libraries share each adapter: `facade` drives ib_async and ib_insync, `native` drives the two official APIs. All
answers are plain values (dicts, lists, texts, floats), so that they can be written as JSON and held to the same facts.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

ANSWER_SECONDS_MAX = 15.0
Facts = dict[str, Any]

CONTRACT_FACTS = (
    "conId",
    "symbol",
    "secType",
    "exchange",
    "primaryExchange",
    "currency",
    "localSymbol",
    "tradingClass",
)
OPTION_FACTS = ("conId", "symbol", "secType", "lastTradeDateOrContractMonth", "strike", "right", "multiplier")
DETAIL_FACTS = ("longName", "minTick", "timeZoneId", "stockType", "marketRuleIds")
BAR_FACTS = ("date", "open", "high", "low", "close", "volume", "barCount")
# As the tour sends them; what comes back is compared under the same names.
ORDER_FACTS = ("action", "totalQuantity", "orderType", "lmtPrice", "auxPrice", "tif", "orderRef", "ocaGroup", "permId")
EXECUTION_FACTS = ("orderId", "permId", "clientId", "side", "shares", "price", "cumQty", "avgPrice", "orderRef")


class NoAnswer(RuntimeError):
    """The simulator did not answer, or not what was waited for, in time."""


class TourClient(Protocol):
    """One connection after the other of one client library."""

    def connect(self, *, host: str, port: int, client_id: int) -> Facts: ...
    def disconnect(self) -> None: ...
    def errors(self) -> list[tuple[int, int]]: ...
    def contract_details(self, contract: Facts) -> list[Facts]: ...
    def matching_symbols(self, pattern: str) -> list[Facts]: ...
    def snapshot(self, contract: Facts) -> Facts: ...
    def stream(self, contract: Facts) -> int: ...
    def ticks(self, stream: int) -> Facts: ...
    def greeks(self, stream: int) -> Facts: ...
    def end_stream(self, stream: int) -> None: ...
    def bars(self, contract: Facts, *, duration: str, size: str, what: str) -> list[Facts]: ...
    def option_chain(self, *, symbol: str, con_id: int) -> list[Facts]: ...
    def new_order_id(self) -> int: ...
    def place(self, order_id: int, contract: Facts, order: Facts) -> None: ...
    def cancel(self, order_id: int) -> None: ...
    def global_cancel(self) -> None: ...
    def order(self, order_id: int) -> Facts: ...
    def open_orders(self) -> list[Facts]: ...
    def completed_orders(self) -> list[Facts]: ...
    def executions(self) -> list[Facts]: ...
    def positions(self) -> list[Facts]: ...
    def summary(self, tags: Iterable[str]) -> Facts: ...
    def profit(self, account: str) -> Facts: ...
    def profit_of(self, account: str, con_id: int) -> Facts: ...
    def until(self, look: Callable[[], Any], what: str) -> Any: ...


def plain(value: Any) -> Any:
    """Return a value JSON can hold: numbers as floats, "not set" (NaN or the largest double) as None."""
    if isinstance(value, bool | str | int) or value is None:
        return value
    number = float(value)
    return None if math.isnan(number) or number > 1e300 else number


def facts(thing: object, names: Iterable[str]) -> Facts:
    """Return the attributes of an object under their own names."""
    return {name: plain(getattr(thing, name)) for name in names}


def filled_in(thing: Any, values: Facts) -> Any:
    """Set attributes of a contract or an order. Raises AttributeError for a name it does not have."""
    for name, value in values.items():
        getattr(thing, name)
        setattr(thing, name, value)
    return thing


class Deadline:
    """Says when waiting must end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._ends_at = time.monotonic() + ANSWER_SECONDS_MAX

    def seconds_left(self) -> float:
        """Raises NoAnswer when none are."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise NoAnswer(self._what)
        return left
