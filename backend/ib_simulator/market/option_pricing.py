"""What an option is worth: Black-Scholes without dividends, its greeks, and the volatility that explains a price.

Prices are USD per share, time is in years, volatility and the rate are shares of one per year (0.3 is 30 %).
"""

import random
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, sqrt
from statistics import NormalDist

RATE = 0.04
VOLATILITY_MIN, VOLATILITY_MAX = 0.0001, 10.0
# The chain's own volatilities stay where options of listed stocks are.
SURFACE_MIN, SURFACE_MAX = 0.08, 2.0
SKEW = 0.25
YEARS_MIN = 1 / (365 * 24 * 60)
DAYS_PER_YEAR = 365
_BISECTIONS = 42
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Value:
    """Theoretical price and greeks; vega is per point (1 %) of volatility, theta per day."""

    price: float
    delta: float
    gamma: float
    vega: float
    theta: float


def black_scholes(*, spot: float, strike: float, years: float, volatility: float, is_call: bool) -> Value:
    """Value a European option. All arguments must be positive; time is taken as a minute at least."""
    years = max(years, YEARS_MIN)
    root = sqrt(years)
    spread = volatility * root
    d1 = (log(spot / strike) + (RATE + volatility * volatility / 2) * years) / spread
    d2 = d1 - spread
    discounted = strike * exp(-RATE * years)
    density = _NORMAL.pdf(d1)
    sign = 1 if is_call else -1
    decay = -spot * density * volatility / (2 * root) - sign * RATE * discounted * _NORMAL.cdf(sign * d2)
    return Value(
        price=max(0.0, sign * (spot * _NORMAL.cdf(sign * d1) - discounted * _NORMAL.cdf(sign * d2))),
        delta=sign * _NORMAL.cdf(sign * d1),
        gamma=density / (spot * spread),
        vega=spot * density * root / 100,
        theta=decay / DAYS_PER_YEAR,
    )


def implied_volatility(*, price: float, spot: float, strike: float, years: float, is_call: bool) -> float | None:
    """Return the volatility at which the option is worth `price`; None when no volatility explains it."""
    low, high = VOLATILITY_MIN, VOLATILITY_MAX

    def worth(volatility: float) -> float:
        return black_scholes(spot=spot, strike=strike, years=years, volatility=volatility, is_call=is_call).price

    if not worth(low) <= price <= worth(high):
        return None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if worth(middle) < price:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def surface_volatility(symbol: str, *, seed: int, spot: float, strike: float, years: float) -> float:
    """Return the volatility options trade at here: a level per stock, higher for low strikes and near dates."""
    level = _level(symbol, seed)
    term = 1 + 0.1 / (1 + 12 * max(years, 0.0))
    skew = -SKEW * log(strike / spot) / (1 + 2 * max(years, 0.0))
    return min(max(level * term + skew, SURFACE_MIN), SURFACE_MAX)


@lru_cache(maxsize=4096)
def _level(symbol: str, seed: int) -> float:
    chance = random.Random(f"{seed}:{symbol}:volatility")  # noqa: S311 - reproducible prices, not secrets.
    return chance.uniform(0.2, 0.4)
