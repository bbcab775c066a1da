"""Take over an analyst's plan, checked against the broker's description of the symbol where that can be had.

Where the broker cannot be asked now, the plan is stored as it is: it is checked again before it is executed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from app.accounts.selectors import account_to_trade
from app.core import clock
from app.core.errors import RetryLater
from app.core.logging import get_logger
from app.domain.contract import PriceIncrement
from app.domain.terms import EntryType
from app.market.services import increments_of, instrument_resolve, price_now
from app.setups.models import Setup
from app.setups.revision import Seen, require_seen
from app.setups.services import require_open, setup_create, setup_update

logger = get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Market:
    """What a plan is judged by; None where it is not known."""

    increments: Sequence[PriceIncrement] | None
    last_price: Decimal | None


def plan_create(*, owner: User, values: Mapping[str, Any], account_id: str = "") -> Setup:
    """Store a new setup of `owner`; `values` as `setup_create` takes them.

    Raises FixRequest (also `unknown_symbol`, `account_unknown`, `account_missing`).
    """
    account = account_to_trade(account_id)
    market = _market(symbol=values["symbol"], entry_type=values["entry_type"])
    return setup_create(
        owner=owner, account=account, values=values, increments=market.increments, last_price=market.last_price
    )


def plan_change(*, setup: Setup, values: Mapping[str, Any], account_id: str = "", seen: Seen = None) -> Setup:
    """Change a setup; `values` holds what changes. Raises what `setup_update` and `plan_create` raise.

    `seen` is compared twice: here, so that a plan nobody looked at is not judged, and under the row's lock.
    """
    require_open(setup)
    require_seen(setup, seen=seen)
    changes = dict(values)
    if account_id:
        changes["account"] = account_to_trade(account_id)
    market = _market(symbol=changes.get("symbol", setup.symbol), entry_type=changes.get("entry_type", setup.entry_type))
    return setup_update(
        setup_id=setup.pk, values=changes, increments=market.increments, last_price=market.last_price, seen=seen
    )


def _market(*, symbol: str, entry_type: str) -> _Market:
    price_needed = entry_type == EntryType.MARKET.value
    try:
        instrument = instrument_resolve(symbol, price_needed=price_needed)
    except RetryLater as error:
        logger.warning("plan_not_checked", symbol=symbol, reason=error.code)
        return _Market(increments=None, last_price=None)
    last_price = price_now(instrument, now=clock.now()) if price_needed else None
    return _Market(increments=increments_of(instrument), last_price=last_price)
