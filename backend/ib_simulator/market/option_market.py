"""Prices of options: Black-Scholes on the simulated stock, a spread around it, and the greeks that belong to them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from ib_simulator.market.hours import ZONE
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.option_pricing import (
    DAYS_PER_YEAR,
    black_scholes,
    implied_volatility,
    surface_volatility,
)
from ib_simulator.market.options import PENNY_SYMBOLS, OptionChains
from ib_simulator.market.prices import Quote

CENT, NICKEL = Decimal("0.01"), Decimal("0.05")
NICKEL_FROM = Decimal(3)
HALF_SPREAD_SHARE, HALF_SPREAD_MAX = Decimal("0.01"), Decimal("0.25")
EXPIRY_HOUR = 16
QUOTE_SIZE = 10
_SECONDS_PER_YEAR = DAYS_PER_YEAR * 86400


@dataclass(frozen=True)
class Computation:
    """What tickOptionComputation tells: prices in USD, volatility as a share of one, vega per point, theta per day."""

    volatility: float
    price: float
    delta: float
    gamma: float
    vega: float
    theta: float
    spot: float


class OptionMarket:
    """Quotes and greeks of every listed option. `quote_of` gives the stock's quote, `now` the time with its zone."""

    def __init__(
        self,
        chains: OptionChains,
        *,
        quote_of: Callable[[Instrument], Quote],
        now: Callable[[], datetime],
        seed: int,
    ) -> None:
        self.chains = chains
        self._quote_of = quote_of
        self._now = now
        self._seed = seed

    def quote(self, option: Instrument) -> Quote:
        """Return the option's quote: never below one tick, bid and ask around the theoretical price."""
        stock = self._quote_of(self.chains.underlying(option))
        chance = random.Random(f"{self._seed}:{option.key}:volume")  # noqa: S311 - reproducible, not secret.
        path = [self._worth(option, spot) for spot in (stock.open, stock.high, stock.low)]
        last = self._worth(option, stock.last)
        tick = option_tick(option, last)
        half = max(min(last * HALF_SPREAD_SHARE, HALF_SPREAD_MAX), tick)
        return Quote(
            last=last,
            bid=_rounded(option, last - half, ROUND_FLOOR),
            ask=_rounded(option, last + half, ROUND_CEILING),
            open=path[0],
            high=max(*path, last),
            low=min(*path, last),
            close=self._worth(option, stock.close),
            volume=chance.randint(0, 50) * 100,
            size=QUOTE_SIZE,
        )

    def spot(self, option: Instrument) -> Decimal:
        return self._quote_of(self.chains.underlying(option)).last

    def model(self, option: Instrument) -> Computation:
        """Return the theoretical value at the stock's price of now."""
        spot = float(self.spot(option))
        return self.at_volatility(option, volatility=self._volatility(option, spot), spot=spot)

    def at_price(self, option: Instrument, *, price: Decimal, spot: Decimal) -> Computation | None:
        """Return the volatility and greeks behind a price; None when no volatility explains it."""
        volatility = implied_volatility(
            price=float(price),
            spot=float(spot),
            strike=float(option.strike),
            years=self.years_left(option),
            is_call=option.right == "C",
        )
        if volatility is None:
            return None
        return replace(self.at_volatility(option, volatility=volatility, spot=float(spot)), price=float(price))

    def at_volatility(self, option: Instrument, *, volatility: float, spot: float) -> Computation:
        """Return price and greeks at a volatility. Both arguments must be positive."""
        value = black_scholes(
            spot=spot,
            strike=float(option.strike),
            years=self.years_left(option),
            volatility=volatility,
            is_call=option.right == "C",
        )
        return Computation(volatility, value.price, value.delta, value.gamma, value.vega, value.theta, spot)

    def years_left(self, option: Instrument) -> float:
        """Return the time until 16:00 New York time on the day of expiry; zero when that is over."""
        return max(0.0, (_expiry(option) - self._now()).total_seconds() / _SECONDS_PER_YEAR)

    def worth(self, option: Instrument, *, spot: float, seconds: float) -> float:
        """Return the theoretical value (USD) at a stock price and a moment (seconds since 1970)."""
        years = max(0.0, (_expiry(option).timestamp() - seconds) / _SECONDS_PER_YEAR)
        strike, is_call = float(option.strike), option.right == "C"
        volatility = surface_volatility(option.symbol, seed=self._seed, spot=spot, strike=strike, years=years)
        value = black_scholes(spot=spot, strike=strike, years=years, volatility=volatility, is_call=is_call)
        # May be exercised at any time, so it is never worth less than that.
        return max(value.price, spot - strike if is_call else strike - spot)

    def _volatility(self, option: Instrument, spot: float) -> float:
        years = self.years_left(option)
        strike = float(option.strike)
        return surface_volatility(option.symbol, seed=self._seed, spot=spot, strike=strike, years=years)

    def _worth(self, option: Instrument, spot: Decimal) -> Decimal:
        worth = self.worth(option, spot=float(spot), seconds=self._now().timestamp())
        return _rounded(option, Decimal(str(worth)), ROUND_HALF_EVEN)


@lru_cache(maxsize=4096)
def _expiry(option: Instrument) -> datetime:
    return datetime.strptime(option.expiry, "%Y%m%d").replace(hour=EXPIRY_HOUR, tzinfo=ZONE)


def option_tick(option: Instrument, price: Decimal) -> Decimal:
    """Return the price step: a cent, or five from 3 USD on where the class is not traded in cents throughout."""
    return NICKEL if price >= NICKEL_FROM and option.symbol not in PENNY_SYMBOLS else CENT


def _rounded(option: Instrument, price: Decimal, rounding: str) -> Decimal:
    tick = option_tick(option, price)
    return max((price / tick).quantize(Decimal(1), rounding) * tick, CENT)
