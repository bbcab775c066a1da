"""The options on the stocks: which are listed, how they are called, and what they are worth.

    AAPL ──> expirations (eight weeks, twelve months) x strikes (half to one and a half times the base price) x C, P

Nothing is stored: an option is made when it is named, and its contract id says which one it is, so it is the same one
after a restart.

    contract id = 700,000,000 + (stock, week of expiry, strike in half dollars, right)
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from ib_simulator.market.hours import ZONE, AlwaysOpen
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages.contract import ContractQuery

EXCHANGES = (
    *("SMART", "AMEX", "CBOE", "PHLX", "ISE", "BOX", "BATS", "NASDAQOM", "CBOE2", "NASDAQBX", "MIAX", "GEMINI"),
    *("EDGX", "MERCURY", "PEARL", "EMERALD"),
)
# Where a chain is announced; the real list is longer and says the same thing each time.
CHAIN_EXCHANGES = ("SMART", "AMEX", "CBOE", "ISE", "PHLX")
MULTIPLIER = "100"
PRIMARY_EXCHANGE = "CBOE"
CON_ID_BASE = 700_000_000
WEEKLIES, MONTHLIES = 8, 12
# Traded in cents at any price; other options from 3 USD on in steps of 5 cents.
PENNY_SYMBOLS = frozenset({"SPY", "QQQ", "IWM"})

_FIRST_FRIDAY = date(2020, 1, 3)
_WEEKS, _STRIKES = 1 << 10, 1 << 13
_HALF = Decimal("0.5")
_LISTED_SYMBOL = re.compile(r"([A-Z]{1,6}) *(\d{6})([CP])(\d{8})")
_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P", "": "", "0": "", "?": ""}
_CALENDAR = AlwaysOpen()


class OptionChains:
    """All options on some stocks. `now` gives the time with its zone."""

    def __init__(self, stocks: list[Instrument], *, now: Callable[[], datetime]) -> None:
        self._stocks = {stock.symbol: stock for stock in stocks}
        self._numbers = {stock.symbol: number for number, stock in enumerate(stocks)}
        self._now = now
        self._made: dict[str, Instrument] = {}

    def _today(self) -> date:
        return self._now().astimezone(ZONE).date()

    def underlying(self, option: Instrument) -> Instrument:
        return self._stocks[option.symbol]

    def stock(self, *, symbol: str, con_id: int) -> Instrument | None:
        """Return the stock that both say, or None."""
        found = self._stocks.get(symbol.upper())
        return found if found is not None and found.con_id == con_id else None

    def expirations(self) -> list[date]:
        """Return the days on which listed options end: the next Fridays, then third Fridays; Thursday on a holiday."""
        today = self._today()
        weeks = [week for week in range(_week_of(today), _week_of(today) + 54) if expiry_of(week) >= today]
        chosen = set(weeks[:WEEKLIES]) | set([week for week in weeks if _is_monthly(week)][:MONTHLIES])
        return [expiry_of(week) for week in sorted(chosen)]

    def strikes(self, stock: Instrument) -> list[Decimal]:
        """Return the strikes (USD) from half to one and a half times the price the stock is drawn to."""
        step = _strike_step(stock.base_price)
        first = int(stock.base_price / 2 / step) + 1
        return [step * number for number in range(first, first * 3)]

    def matches(self, query: ContractQuery) -> list[Instrument]:
        """Return every listed option that fits the description; empty fields are open. Expired ones when asked for."""
        if query.sec_type not in {"OPT", ""} or query.exchange not in {"", *EXCHANGES}:
            return []
        if query.con_id:
            found = self.by_con_id(query.con_id)
        elif query.local_symbol:
            found = self.by_key(query.local_symbol)
        else:
            return list(self._described(query)) if query.sec_type else []
        return [found] if found is not None and self._is_open(found, query) else []

    def by_con_id(self, con_id: int) -> Instrument | None:
        """Return the option with this id, listed now or at some time."""
        number = con_id - CON_ID_BASE
        if number < 0:
            return None
        number, right = divmod(number, 2)
        number, halves = divmod(number, _STRIKES)
        stock_number, week = divmod(number, _WEEKS)
        stock = next((self._stocks[name] for name, own in self._numbers.items() if own == stock_number), None)
        if stock is None:
            return None
        return self._listed(stock, expiry_of(week), halves * _HALF, "CP"[right])

    def by_key(self, key: str) -> Instrument | None:
        """Return the option with this local symbol, for example `AAPL  260116C00190000`; expired ones too."""
        match = _LISTED_SYMBOL.fullmatch(key.strip())
        stock = self._stocks.get(match[1]) if match else None
        if match is None or stock is None:
            return None
        try:
            expiry = datetime.strptime(match[2], "%y%m%d").replace(tzinfo=ZONE).date()
        except ValueError:
            return None
        return self._listed(stock, expiry, Decimal(match[4]) / 1000, match[3])

    def _described(self, query: ContractQuery) -> Iterator[Instrument]:
        stock = self._stocks.get(query.symbol.upper())
        right = _RIGHTS.get(query.right)
        if stock is None or right is None or not _says_the_class(query, stock):
            return
        strikes = self.strikes(stock)
        if query.strike:
            strikes = [strike for strike in strikes if strike == query.strike]
        for expiry in self._expirations_for(query):
            for strike in strikes:
                for side in right or "CP":
                    yield self._make(stock, expiry, strike, side)

    def _expirations_for(self, query: ContractQuery) -> list[date]:
        wanted = query.expiry[:8]
        listed = self.expirations()
        if query.include_expired and len(wanted) == 8:
            try:
                day = datetime.strptime(wanted, "%Y%m%d").replace(tzinfo=ZONE).date()
            except ValueError:
                return []
            return [day] if day in listed or (day < self._today() and day == expiry_of(_week_of(day))) else []
        return [day for day in listed if f"{day:%Y%m%d}".startswith(wanted)]

    def _is_open(self, option: Instrument, query: ContractQuery) -> bool:
        return query.include_expired or option.expiry >= f"{self._today():%Y%m%d}"

    def _listed(self, stock: Instrument, expiry: date, strike: Decimal, right: str) -> Instrument | None:
        """Return the option if the exchange ever lists one like it."""
        if expiry < _FIRST_FRIDAY or expiry != expiry_of(_week_of(expiry)) or strike not in self.strikes(stock):
            return None
        return self._make(stock, expiry, strike, right)

    def _make(self, stock: Instrument, expiry: date, strike: Decimal, right: str) -> Instrument:
        listed_symbol = f"{stock.symbol:<6}{expiry:%y%m%d}{right}{int(strike * 1000):08d}"
        if listed_symbol not in self._made:
            number = (self._numbers[stock.symbol] * _WEEKS + _week_of(expiry)) * _STRIKES + int(strike / _HALF)
            self._made[listed_symbol] = replace(
                stock,
                con_id=CON_ID_BASE + number * 2 + "CP".index(right),
                primary_exchange=PRIMARY_EXCHANGE,
                trading_class=stock.symbol,
                sec_type="OPT",
                stock_type="",
                expiry=f"{expiry:%Y%m%d}",
                strike=strike.quantize(Decimal("0.1")),
                right=right,
                multiplier=MULTIPLIER,
                listed_symbol=listed_symbol,
            )
        return self._made[listed_symbol]


def expiry_of(week: int) -> date:
    """Return the last trading day of a week, which is counted from the first Friday of 2020."""
    day = _FIRST_FRIDAY + timedelta(weeks=week)
    while _CALENDAR.day(day) is None:
        day -= timedelta(days=1)
    return day


def _week_of(day: date) -> int:
    return -(-(day - _FIRST_FRIDAY).days // 7)


def _is_monthly(week: int) -> bool:
    return 15 <= (_FIRST_FRIDAY + timedelta(weeks=week)).day <= 21


def _strike_step(price: Decimal) -> Decimal:
    for below, step in ((25, "0.5"), (100, "1"), (300, "2.5")):
        if price < below:
            return Decimal(step)
    return Decimal(5)


def _says_the_class(query: ContractQuery, stock: Instrument) -> bool:
    return (
        query.trading_class in {"", stock.symbol}
        and query.multiplier in {"", MULTIPLIER, f"{MULTIPLIER}.0"}
        and query.currency in {"", stock.currency}
    )
