"""Combinations (BAG): several contracts that trade as one, at the sum of their prices.

buy 1 call, sell 1 call   bid = bid - ask   ask = ask - bid   last = last - last      negative for a credit
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.market.instruments import ComboLeg, Instrument, InstrumentList
from ib_simulator.market.prices import Quote
from ib_simulator.messages.contract import ContractQuery, LegQuery

# What every combination is listed as; the legs tell them apart.
CON_ID = 28812380
TRADING_CLASS = "COMB"
LEGS_MAX = 6
_SIDES = {"BUY": True, "SELL": False}


class Combos:
    """Makes combinations of listed contracts when they are named."""

    def __init__(self, instruments: InstrumentList) -> None:
        self._instruments = instruments
        self._made: dict[str, Instrument] = {}

    def matches(self, query: ContractQuery) -> list[Instrument]:
        """Return the combination of the query's legs; none when a leg does not exist or there are not two to six."""
        if query.sec_type != "BAG" or not 2 <= len(query.legs) <= LEGS_MAX:
            return []
        legs = [self._leg(leg) for leg in query.legs]
        found = [leg for leg in legs if leg is not None]
        return [self._make(query.symbol, tuple(found))] if len(found) == len(legs) else []

    def by_key(self, key: str) -> Instrument | None:
        """Return the combination with this key, for example `BAG:AAPL:265598x100B:705243851x1S`."""
        name, *rest = key.split(":")
        if name != "BAG" or len(rest) < 1 + 2:
            return None
        symbol, *parts = rest
        legs = []
        for part in parts:
            con_id, _, ratio = part[:-1].partition("x")
            if not (con_id.isdecimal() and ratio.isdecimal() and part[-1] in "BS"):
                return None
            legs.append(LegQuery(int(con_id), int(ratio), "BUY" if part[-1] == "B" else "SELL", ""))
        query = ContractQuery(symbol=symbol, sec_type="BAG", legs=tuple(legs))
        found = self.matches(query)
        return found[0] if found else None

    def _leg(self, query: LegQuery) -> ComboLeg | None:
        # A leg may outlive its listing: an order in the journal still names it.
        found = self._instruments.find(ContractQuery(con_id=query.con_id, include_expired=True))
        if found is None or query.ratio <= 0 or query.action not in _SIDES:
            return None
        return ComboLeg(found, query.ratio, _SIDES[query.action])

    def _make(self, symbol: str, legs: tuple[ComboLeg, ...]) -> Instrument:
        first = legs[0].instrument
        combo = Instrument(
            con_id=CON_ID,
            symbol=symbol or first.symbol,
            name=first.name,
            primary_exchange="SMART",
            trading_class=TRADING_CLASS,
            base_price=Decimal(0),
            industry="",
            stock_type="",
            currency=first.currency,
            sec_type="BAG",
            listed_symbol=str(CON_ID),
            legs=legs,
        )
        return self._made.setdefault(combo.key, combo)


@dataclass(frozen=True)
class ComboMarket:
    """Quotes of combinations from those of their legs."""

    quote_of: Callable[[Instrument], Quote]

    def quote(self, combo: Instrument) -> Quote:
        legs = [(leg, self.quote_of(leg.instrument)) for leg in combo.legs]

        def total(bought: str, sold: str) -> Decimal:
            prices = [leg.signed_ratio * getattr(quote, bought if leg.is_buy else sold) for leg, quote in legs]
            return sum(prices, Decimal(0))

        last = total("last", "last")
        opened, close = total("open", "open"), total("close", "close")
        return Quote(
            last=last,
            bid=total("bid", "ask"),
            ask=total("ask", "bid"),
            open=opened,
            high=max(opened, last),
            low=min(opened, last),
            close=close,
            volume=0,
            size=min(quote.size for _leg, quote in legs),
            bid_size=min(quote.bid_size for _leg, quote in legs),
            ask_size=min(quote.ask_size for _leg, quote in legs),
            halted=any(quote.halted for _leg, quote in legs),
        )
