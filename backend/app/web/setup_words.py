"""A plan in a trader's words, the same wherever it is shown."""

from decimal import Decimal

from app.core.decimal_text import plain
from app.executions.services.request import MARKET_ENTRY_TIMEOUT_SECONDS
from app.setups.models import Setup

NOTHING = "–"


def entry_words(setup: Setup) -> str:
    """Return the entry: "STOP LIMIT 190.00, limit 190.50"."""
    words = setup.entry_type.replace("_", " ")
    if setup.entry_price is not None:
        words += f" {plain(setup.entry_price, places_min=2)}"
    if setup.entry_limit_price is not None:
        words += f", limit {plain(setup.entry_limit_price, places_min=2)}"
    return words


def targets_words(setup: Setup) -> str:
    """Return the targets: "50 % at 200.00, 50 % at 210.00"."""
    targets = [
        f"{plain(target.fraction * Decimal(100))} % at {plain(target.price, places_min=2)}"
        for target in setup.take_profits.all()
    ]
    return ", ".join(targets) or NOTHING


def size_words(setup: Setup) -> str:
    """Return the size as it was given: shares, money at risk, or a share of the equity at risk."""
    if setup.quantity is not None:
        return f"{plain(setup.quantity)} shares"
    if setup.risk_amount is not None:
        return f"risk {plain(setup.risk_amount, places_min=2)}"
    return f"risk {plain(setup.risk_percent or Decimal(0))} %"


def time_limit_words(setup: Setup) -> str:
    """Return how long the entry may take, and what happens then."""
    seconds = setup.entry_timeout_seconds
    if seconds is None and setup.entry_type == "MARKET":
        seconds = MARKET_ENTRY_TIMEOUT_SECONDS
    return f"{seconds} s, then {setup.on_timeout.lower()}" if seconds else NOTHING
