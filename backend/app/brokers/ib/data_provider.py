"""`IBDataProvider`: what a symbol is and what it trades at, over a connection of its own that asks for no orders."""

# mypy: allow-untyped-calls
# The library's client has no annotations.

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ib_async.contract import Contract as WireContract
from ib_async.contract import ContractDetails
from ib_async.objects import BarData

from app.brokers.base import Bar, BrokerSession, ConnectionState, StateSink
from app.brokers.errors import RequestRefused, UnknownSymbol
from app.brokers.ib import translate
from app.brokers.ib.connection import Connection
from app.brokers.ib.error_codes import HISTORICAL_DATA_ERROR, NO_SECURITY_DEFINITION
from app.brokers.ib.settings import IBSettings
from app.brokers.ib.wire import market_rule_key
from app.core import clock
from app.core.errors import FixRequest, RetryLater
from app.core.logging import get_logger
from app.domain.broker_events import AnyBrokerEvent
from app.domain.contract import Contract, PriceIncrement, SymbolInfo

log = get_logger(__name__)

# IBKR Campus, "Historical bar sizes".
BAR_SIZES = (
    *("1 secs", "5 secs", "10 secs", "15 secs", "30 secs"),
    *("1 min", "2 mins", "3 mins", "5 mins", "10 mins", "15 mins", "20 mins", "30 mins"),
    *("1 hour", "2 hours", "3 hours", "4 hours", "8 hours"),
    *("1 day", "1 week", "1 month"),
)
# IBKR Campus, "Historical data: duration": seconds, days, weeks, months, years.
_DURATION = re.compile(r"[1-9]\d* [SDWMY]")
WHAT_TO_SHOW = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST")

# IBKR Campus, "Market data types": 3 sends delayed prices where live ones are not subscribed, and live ones elsewhere.
_DELAYED_WHERE_NEEDED = 3
_LAST, _DELAYED_LAST, _CLOSE, _DELAYED_CLOSE = 4, 68, 9, 75
_SECONDS_SINCE_1970 = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class LastPrice:
    """A last price: `is_delayed` by the usual quarter of an hour, `is_close` when nothing traded since that close."""

    price: Decimal
    is_delayed: bool
    is_close: bool


def _ignore_state(_state: ConnectionState, _reason: str) -> None:
    pass


def _ignore_event(_event: AnyBrokerEvent) -> None:
    pass


class IBDataProvider:
    """Implements `DataProvider`. Lives in the event loop in which `connect` runs; not thread-safe."""

    def __init__(
        self,
        settings: IBSettings | None = None,
        *,
        on_state: StateSink = _ignore_state,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.settings = settings or IBSettings.from_environment(client_id_variable="IB_DATA_CLIENT_ID")
        self._connection = Connection(self.settings, on_event=_ignore_event, on_state=on_state, readonly=True, now=now)
        self._symbols: dict[str, SymbolInfo] = {}
        self._rules: dict[int, tuple[PriceIncrement, ...]] = {}
        self._data_type_told_to: str = ""

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._connection.state

    @property
    def is_connected(self) -> bool:
        """Whether questions can be asked now."""
        return self.state in (ConnectionState.READY, ConnectionState.DEGRADED)

    async def connect(self) -> BrokerSession:
        """Connect; return at once when connected already. Raises as `Broker.connect` does."""
        return await self._connection.connect()

    async def disconnect(self) -> None:
        """Close the connection; safe to call twice."""
        await self._connection.disconnect()

    async def ping(self) -> datetime:
        """Return the Gateway's time. Raises BrokerTimeout when it does not answer."""
        return await self._connection.ping()

    async def get_symbol_info(self, symbol: str) -> SymbolInfo:
        """Return what IB knows of a US stock; asked once. Raises UnknownSymbol, BrokerTimeout, NotConnected."""
        known = self._symbols.get(symbol)
        if known is not None:
            return known
        contract = translate.wire_contract(Contract(symbol=symbol))
        try:
            found: list[ContractDetails] = await self._connection.ask(
                "contract_details", lambda client, request_id: client.reqContractDetails(request_id, contract)
            )
        except RequestRefused as error:
            raise _unknown_symbol(symbol, error) from error
        details = _choose(found)
        if details is None:
            raise UnknownSymbol(f"Interactive Brokers knows no US stock {symbol}.", details={"symbol": symbol})
        info = translate.symbol_info(details, await self._price_increments(details))
        self._symbols[symbol] = info
        return info

    async def last_price(self, symbol: str) -> Decimal:
        """Return the last traded price; `last_quote` says how fresh it is."""
        return (await self.last_quote(symbol)).price

    async def last_quote(self, symbol: str) -> LastPrice:
        """Return the last traded price, delayed where live prices are not subscribed, else the last close.

        Raises UnknownSymbol, RequestRefused (no market data), RetryLater `price_unknown`, BrokerTimeout, NotConnected.
        """
        await self._ask_for_delayed_where_needed()
        contract = translate.wire_contract(Contract(symbol=symbol))
        try:
            ticks: list[tuple[int, float]] = await self._connection.ask(
                "last_price",
                lambda client, request_id: client.reqMktData(request_id, contract, "", True, False, []),  # noqa: FBT003
                is_enough=lambda tick: tick[0] in (_LAST, _DELAYED_LAST) and translate.is_price(tick[1]),
            )
        except RequestRefused as error:
            raise _unknown_symbol(symbol, error) from error
        prices = {tick_type: price for tick_type, price in ticks if translate.is_price(price)}
        for tick_type in (_LAST, _DELAYED_LAST, _CLOSE, _DELAYED_CLOSE):
            if tick_type in prices:
                return LastPrice(
                    price=translate.require_decimal(prices[tick_type]),
                    is_delayed=tick_type in (_DELAYED_LAST, _DELAYED_CLOSE),
                    is_close=tick_type in (_CLOSE, _DELAYED_CLOSE),
                )
        raise RetryLater(f"There is no price of {symbol} now.", code="price_unknown", details={"symbol": symbol})

    async def fetch_bars(
        self,
        symbol: str,
        bar_size: str,
        *,
        duration: str = "1 D",
        what_to_show: str = "TRADES",
        rth_only: bool = True,
    ) -> Sequence[Bar]:
        """Return bars up to now, oldest first; none where IB says that it has none.

        Raises FixRequest `bar_size_unknown`, `duration_unknown`, `what_to_show_unknown` before anything is sent;
        UnknownSymbol, RequestRefused, BrokerTimeout, NotConnected.
        """
        _check_bars(bar_size=bar_size, duration=duration, what_to_show=what_to_show)
        contract = translate.wire_contract(Contract(symbol=symbol))
        try:
            rows: list[BarData] = await self._connection.ask(
                "historical_bars",
                lambda client, request_id: client.reqHistoricalData(
                    request_id,
                    contract,
                    endDateTime="",
                    durationStr=duration,
                    barSizeSetting=bar_size,
                    whatToShow=what_to_show,
                    useRTH=int(rth_only),
                    formatDate=_SECONDS_SINCE_1970,
                    keepUpToDate=False,
                    chartOptions=[],
                ),
            )
        except RequestRefused as error:
            if error.details["broker_code"] == HISTORICAL_DATA_ERROR and "no data" in error.message.lower():
                return ()
            raise _unknown_symbol(symbol, error) from error
        return tuple(sorted(map(translate.bar, rows), key=lambda bar: bar.start))

    async def _price_increments(self, details: ContractDetails) -> tuple[PriceIncrement, ...]:
        rule_id = _smart_market_rule(details)
        if rule_id is None:
            return ()
        if rule_id not in self._rules:
            key = market_rule_key(rule_id)
            rows = await self._connection.ask(key, lambda client, _id: client.reqMarketRule(rule_id), key=key)
            self._rules[rule_id] = translate.price_increments(rows[0])
        return self._rules[rule_id]

    async def _ask_for_delayed_where_needed(self) -> None:
        session_name = self._connection.require_link().told.session
        if self._data_type_told_to != session_name:
            await self._connection.tell(lambda client: client.reqMarketDataType(_DELAYED_WHERE_NEEDED))
            self._data_type_told_to = session_name


def _choose(found: Sequence[ContractDetails]) -> ContractDetails | None:
    stocks = [details for details in found if _is_us_stock(details.contract)]
    smart = [details for details in stocks if "SMART" in details.validExchanges.split(",")]
    return next(iter(smart or stocks), None)


def _is_us_stock(contract: WireContract | None) -> bool:
    return contract is not None and contract.secType == "STK" and contract.currency == "USD"


def _smart_market_rule(details: ContractDetails) -> int | None:
    """Return the rule for SMART: exchanges and rules are two lists of the same length (IBKR Campus, market rules)."""
    rules = [rule for rule in details.marketRuleIds.split(",") if rule]
    by_exchange = dict(zip(details.validExchanges.split(","), rules, strict=False))
    chosen = by_exchange.get("SMART") or next(iter(rules), None)
    return int(chosen) if chosen else None


def _check_bars(*, bar_size: str, duration: str, what_to_show: str) -> None:
    if bar_size not in BAR_SIZES:
        raise FixRequest(f"No bar size {bar_size!r}; known are {', '.join(BAR_SIZES)}.", code="bar_size_unknown")
    if not _DURATION.fullmatch(duration):
        raise FixRequest(
            f"No duration {duration!r}; give a number and S, D, W, M or Y, as in '2 D'.", code="duration_unknown"
        )
    if what_to_show not in WHAT_TO_SHOW:
        raise FixRequest(
            f"No bars of {what_to_show!r}; known are {', '.join(WHAT_TO_SHOW)}.", code="what_to_show_unknown"
        )


def _unknown_symbol(symbol: str, error: RequestRefused) -> RequestRefused | UnknownSymbol:
    if error.details["broker_code"] != NO_SECURITY_DEFINITION:
        return error
    return UnknownSymbol(
        f"Interactive Brokers knows no US stock {symbol}: {error.details['broker_text']}",
        details={"symbol": symbol, **error.details},
    )
