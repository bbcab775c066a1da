"""An index and a currency pair: what clients look at beside stocks. They have quotes and bars.

SPX   ten times SPY, so that both tell the same story; it cannot be bought
EUR.USD   a path of its own under the same seed, as long as the other paths
"""

from collections.abc import Callable
from decimal import Decimal

from ib_simulator.market.instruments import Instrument
from ib_simulator.market.past import drawn
from ib_simulator.market.prices import Quote
from ib_simulator.messages.contract import ContractQuery

SPX_PER_SPY = 10
PIP_HALF = Decimal("0.00005")
EUR_REACH = Decimal("0.004")
CASH_SIZE = 1_000_000

SPX = Instrument(
    con_id=416904,
    symbol="SPX",
    name="S&P 500 Stock Index",
    primary_exchange="CBOE",
    trading_class="SPX",
    base_price=Decimal(5600),
    industry="Indices",
    stock_type="",
    sec_type="IND",
    moved_by="SPY",
)
EUR_USD = Instrument(
    con_id=12087792,
    symbol="EUR",
    name="European Monetary Union Euro",
    primary_exchange="IDEALPRO",
    trading_class="EUR.USD",
    base_price=Decimal("1.08"),
    industry="",
    stock_type="",
    sec_type="CASH",
    listed_symbol="EUR.USD",
    price_step=PIP_HALF,
    moved_by="SPY",  # It moves with every step, and so does SPY.
)
EXCHANGES = {"IND": ("CBOE",), "CASH": ("IDEALPRO",)}


class Indices:
    """Looks both up, and quotes them. `spy` is the quote of SPY, `steps` how often prices have moved."""

    def __init__(self, *, spy: Callable[[], Quote], steps: Callable[[], int], seed: int) -> None:
        self._spy = spy
        self._steps = steps
        self._seed = seed

    def matches(self, query: ContractQuery) -> list[Instrument]:
        return [found for found in (SPX, EUR_USD) if _fits(found, query)]

    def by_key(self, key: str) -> Instrument | None:
        return next((found for found in (SPX, EUR_USD) if found.key == key), None)

    def index_quote(self, index: Instrument) -> Quote:
        """Return the index from SPY: no sizes, no volume, and a bid and ask at the last price."""
        spy = self._spy()
        opened, high, low, close, last = (
            SPX_PER_SPY * price for price in (spy.open, spy.high, spy.low, spy.close, spy.last)
        )
        return Quote(last=last, bid=last, ask=last, open=opened, high=high, low=low, close=close, volume=0, size=0)

    def cash_quote(self, pair: Instrument) -> Quote:
        """Return the pair's quote, one tick wide."""
        last = self._rate(pair, self._steps())
        opened = self._rate(pair, 0)
        high, low = max(opened, last), min(opened, last)
        return Quote(
            last=last,
            bid=last - PIP_HALF,
            ask=last,
            open=opened,
            high=high,
            low=low,
            close=pair.base_price,
            volume=0,
            size=CASH_SIZE,
            bid_size=CASH_SIZE,
            ask_size=CASH_SIZE,
        )

    def _rate(self, pair: Instrument, step: int) -> Decimal:
        """Return the rate after so many steps: between the draws of every twentieth it moves evenly."""
        before, between = divmod(step, 20)
        left, right = (drawn(seed=self._seed, name=pair.key, number=number) for number in (before, before + 1))
        share = Decimal(str(left + (right - left) * between / 20 - 0.5))
        return (pair.base_price * (1 + EUR_REACH * share) / PIP_HALF).quantize(Decimal(1)) * PIP_HALF


def _fits(instrument: Instrument, query: ContractQuery) -> bool:
    if query.sec_type not in {instrument.sec_type, ""}:
        return False
    if query.exchange not in {"", "SMART", *EXCHANGES[instrument.sec_type]}:
        return False
    if query.con_id:
        return query.con_id == instrument.con_id
    named = query.local_symbol == instrument.local_symbol or (
        query.sec_type == instrument.sec_type and query.symbol.upper() == instrument.symbol
    )
    return named and query.currency in {"", instrument.currency}
