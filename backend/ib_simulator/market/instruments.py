"""The stocks this simulator knows. Anything else is error 200, as at IB."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from ib_simulator.messages.contract import ContractQuery

TICK = Decimal("0.01")
MARKET_RULE_ID = 26
VALID_EXCHANGES = (
    "SMART",
    "AMEX",
    "NYSE",
    "CBOE",
    "PHLX",
    "ISE",
    "CHX",
    "ARCA",
    "NASDAQ",
    "ISLAND",
    "DRCTEDGE",
    "BEX",
    "BATS",
    "EDGEA",
    "BYX",
    "IEX",
    "MEMX",
    "PEARL",
    "IBKRATS",
)
ORDER_TYPES = ("DAY", "GTC", "IOC", "FOK", "LMT", "MKT", "STP", "STPLMT", "OCA", "RTH", "WHATIF")


@dataclass(frozen=True)
class ComboLeg:
    """One part of a combination: so many of an instrument for each combination bought."""

    instrument: "Instrument"
    ratio: int
    is_buy: bool

    @property
    def signed_ratio(self) -> int:
        return self.ratio if self.is_buy else -self.ratio


@dataclass(frozen=True)
class Instrument:
    """One thing to trade. `base_price` is where a stock's price path begins and what it is drawn back to (USD).

    A stock has only the first fields; an option also has its expiry (`yyyymmdd`), strike (USD), right (`C` or `P`),
    multiplier and `listed_symbol` (the 21 characters of OCC).
    """

    con_id: int
    symbol: str
    name: str
    primary_exchange: str
    trading_class: str
    base_price: Decimal
    industry: str = "Technology"
    stock_type: str = "COMMON"
    currency: str = "USD"
    sec_type: str = "STK"
    expiry: str = ""
    strike: Decimal = Decimal(0)
    right: str = ""
    multiplier: str = ""
    listed_symbol: str = ""
    legs: tuple[ComboLeg, ...] = ()
    price_step: Decimal = TICK
    moved_by: str = ""

    @property
    def local_symbol(self) -> str:
        """The name at the exchange."""
        return self.listed_symbol or self.symbol

    @property
    def key(self) -> str:
        """What positions, prices and the journal know it by: unlike `symbol`, no two instruments share it."""
        if not self.legs:
            return self.local_symbol
        parts = [f"{leg.instrument.con_id}x{leg.ratio}{'B' if leg.is_buy else 'S'}" for leg in self.legs]
        return ":".join([self.sec_type, self.symbol, *parts])

    @property
    def movers(self) -> tuple[str, ...]:
        """The symbols whose prices move this one's: its own, that of another, or those of its legs."""
        return tuple({leg.instrument.symbol: None for leg in self.legs}) or (self.moved_by or self.symbol,)

    @property
    def tick(self) -> Decimal:
        return self.price_step


def _stock(
    con_id: int,
    symbol: str,
    name: str,
    base_price: str,
    *,
    exchange: str = "NASDAQ",
    industry: str = "Technology",
    stock_type: str = "COMMON",
) -> Instrument:
    trading_class = {"NASDAQ": "NMS", "NYSE": symbol, "ARCA": symbol}[exchange]
    return Instrument(
        con_id, symbol, name, exchange, trading_class, Decimal(base_price), industry=industry, stock_type=stock_type
    )


STOCKS: tuple[Instrument, ...] = (
    _stock(265598, "AAPL", "APPLE INC", "190.00"),
    _stock(272093, "MSFT", "MICROSOFT CORP", "420.00"),
    _stock(4815747, "NVDA", "NVIDIA CORP", "130.00"),
    _stock(76792991, "TSLA", "TESLA INC", "250.00", industry="Consumer, Cyclical"),
    _stock(4391, "AMD", "ADVANCED MICRO DEVICES", "160.00"),
    _stock(756733, "SPY", "SS SPDR S&P 500 ETF TRUST-US", "560.00", exchange="ARCA", stock_type="ETF", industry=""),
    _stock(320227571, "QQQ", "INVESCO QQQ TRUST SERIES 1", "480.00", stock_type="ETF", industry=""),
    _stock(9579970, "IWM", "ISHARES RUSSELL 2000 ETF", "210.00", exchange="ARCA", stock_type="ETF", industry=""),
    _stock(208813720, "GOOG", "ALPHABET INC-CL C", "175.00", industry="Communications"),
    _stock(208813719, "GOOGL", "ALPHABET INC-CL A", "173.50", industry="Communications"),
    _stock(3691937, "AMZN", "AMAZON.COM INC", "185.00", industry="Communications"),
    _stock(107113386, "META", "META PLATFORMS INC-CLASS A", "510.00", industry="Communications"),
    _stock(15124833, "NFLX", "NETFLIX INC", "650.00", industry="Communications"),
    _stock(270639, "INTC", "INTEL CORP", "31.00"),
    _stock(8314, "IBM", "INTL BUSINESS MACHINES CORP", "190.50", exchange="NYSE"),
    _stock(1520593, "JPM", "JPMORGAN CHASE & CO", "205.00", exchange="NYSE", industry="Financial"),
    _stock(6459, "DIS", "WALT DISNEY CO/THE", "98.00", exchange="NYSE", industry="Communications"),
    _stock(4762, "BA", "BOEING CO/THE", "180.00", exchange="NYSE", industry="Industrial"),
    _stock(8894, "KO", "COCA-COLA CO/THE", "64.00", exchange="NYSE", industry="Consumer, Non-cyclical"),
    _stock(9599491, "F", "FORD MOTOR CO", "12.00", exchange="NYSE", industry="Consumer, Cyclical"),
)


class InstrumentSource(Protocol):
    """Knows instruments that are made when they are named, such as options."""

    def matches(self, query: ContractQuery) -> list[Instrument]:
        """Return all that fit; empty fields of the query are open."""

    def by_key(self, key: str) -> Instrument | None: ...


class InstrumentList:
    """Looks instruments up the way IB does: by contract id, or by symbol, type, exchange and currency."""

    def __init__(self, instruments: Iterable[Instrument] = STOCKS) -> None:
        self._by_symbol = {instrument.symbol: instrument for instrument in instruments}
        self._by_con_id = {instrument.con_id: instrument for instrument in self._by_symbol.values()}
        self.sources: list[InstrumentSource] = []

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_symbol.values())

    def by_symbol(self, symbol: str) -> Instrument | None:
        return self._by_symbol.get(symbol.upper())

    def by_key(self, key: str) -> Instrument | None:
        """Return the instrument whose `key` this is."""
        listed = self.by_symbol(key)
        if listed is not None:
            return listed
        return next((found for source in self.sources if (found := source.by_key(key)) is not None), None)

    def find(self, query: ContractQuery) -> Instrument | None:
        """Return the one instrument that fits, or None (IB's error 200)."""
        found = self.matches(query)
        return found[0] if len(found) == 1 else None

    def matches(self, query: ContractQuery) -> list[Instrument]:
        """Return every instrument that fits: one stock at most, but a whole chain for an option with open fields."""
        stock = self._stock(query)
        return [stock] if stock is not None else [found for source in self.sources for found in source.matches(query)]

    def _stock(self, query: ContractQuery) -> Instrument | None:
        if query.con_id:
            found = self._by_con_id.get(query.con_id)
        else:
            found = self._by_symbol.get((query.symbol or query.local_symbol).upper())
        return found if found and _fits(found, query) else None

    def matching(self, pattern: str) -> list[Instrument]:
        """Return instruments whose symbol begins with the pattern or whose name contains it."""
        wanted = pattern.strip().upper()
        if not wanted:
            return []
        starts = [found for found in self._by_symbol.values() if found.symbol.startswith(wanted)]
        named = [found for found in self._by_symbol.values() if wanted in found.name and found not in starts]
        return starts + named


def _fits(instrument: Instrument, query: ContractQuery) -> bool:
    if query.sec_type not in {"STK", ""} or query.exchange not in {*VALID_EXCHANGES, ""}:
        return False
    # A contract id says it all; the other fields are then only repeated by the client.
    return bool(query.con_id) or (
        query.currency in {instrument.currency, ""}
        and query.primary_exchange in {instrument.primary_exchange, "SMART", ""}
    )
