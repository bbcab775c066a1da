"""What is remembered about symbols."""

from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal

from app.brokers.errors import UnknownSymbol
from app.core import clock
from app.core.decimal_text import plain
from app.core.errors import RetryLater
from app.domain.contract import PriceIncrement, SymbolInfo
from app.domain.prices import is_price
from app.market import dispatch
from app.market.models import Instrument

DESCRIPTION_AGE_MAX = timedelta(days=1)
PRICE_AGE_MAX = timedelta(seconds=30)


def instrument_resolve(symbol: str, *, price_needed: bool) -> Instrument:
    """Return the symbol's row, asking the data worker when it is not known or too old to rely on.

    Raises UnknownSymbol when the broker knows no such symbol, RetryLater when it could not be asked. Where only the
    price is old and cannot be had, the description is returned; the price's age is for the caller to judge.
    """
    now = clock.now()
    known = Instrument.objects.filter(symbol=symbol).first()
    described = known is not None and now - known.looked_up_at <= DESCRIPTION_AGE_MAX
    if known is not None and described and not (price_needed and price_now(known, now=now) is None):
        return known
    try:
        answer = dispatch.look_up(symbol)
    except RetryLater:
        if known is not None and described:
            return known
        raise
    if "error" in answer:
        error = answer["error"]
        if error["code"] == UnknownSymbol.code:
            raise UnknownSymbol(error["message"], details={"symbol": symbol})
        if known is not None and described:
            return known
        raise RetryLater(error["message"], code=error["code"])
    described_now = Instrument.objects.filter(symbol=symbol).first()
    if described_now is None:
        # The broker answered under a name of its own (BRK.B is "BRK B"): trading a name nobody gave is a guess.
        raise UnknownSymbol(f"The broker knows {symbol} by another name, if at all.", details={"symbol": symbol})
    return described_now


def instrument_record(*, info: SymbolInfo, last_price: Decimal | None, now: datetime) -> Instrument:
    """Store the broker's description, and the price where one came (a feed without data says NaN, -1 or 0)."""
    values = {
        "con_id": info.con_id,
        "long_name": info.long_name,
        "primary_exchange": info.primary_exchange,
        "currency": info.contract.currency,
        "price_increments": [
            {name: str(value) for name, value in asdict(increment).items()} for increment in info.price_increments
        ],
        "looked_up_at": now,
    }
    if is_price(last_price):
        values |= {"last_price": last_price, "last_price_at": now}
    instrument, _ = Instrument.objects.update_or_create(symbol=info.contract.symbol, defaults=values)
    return instrument


def increments_of(instrument: Instrument) -> tuple[PriceIncrement, ...]:
    """Return the price steps in domain words."""
    return tuple(
        PriceIncrement(low_edge=Decimal(step["low_edge"]), increment=Decimal(step["increment"]))
        for step in instrument.price_increments
    )


def price_fresh(symbol: str, *, seconds_max: float) -> Decimal | None:
    """Return a price that is at most so old, asking the data worker where the known one is older; None without one."""
    for is_asked in (False, True):
        known = Instrument.objects.filter(symbol=symbol).first()
        quoted_at = known.last_price_at if known is not None else None
        if known is not None and quoted_at is not None and clock.now() - quoted_at <= timedelta(seconds=seconds_max):
            return known.last_price
        if not is_asked:
            try:
                dispatch.look_up(symbol)
            except RetryLater:
                return None
    return None


def price_now(instrument: Instrument, *, now: datetime) -> Decimal | None:
    """Return the last price while it is young enough to judge an order by, else None."""
    if instrument.last_price is None or instrument.last_price_at is None:
        return None
    if now - instrument.last_price_at > PRICE_AGE_MAX:
        return None
    return Decimal(plain(instrument.last_price, places_min=2))  # As people read it in what is said about it.
