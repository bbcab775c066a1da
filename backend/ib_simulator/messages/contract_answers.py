"""What the server sends about contracts: their details, the chains of options, and the rules of prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ib_simulator.fields import Value
from ib_simulator.market.instruments import ORDER_TYPES, Instrument
from ib_simulator.messages.answer import Answer, plain
from ib_simulator.messages.ids import Version

LOT = 100


@dataclass(frozen=True)
class Listing:
    """Where and how an instrument trades. Hours are IB's strings of sessions; each exchange has a market rule."""

    exchange: str
    exchanges: Sequence[str]
    market_rule_id: int
    minimum_tick: Decimal
    trading_hours: str
    liquid_hours: str
    underlying: Instrument | None = None
    lot: int = LOT


def contract_details(request_id: int, listed: Instrument, listing: Listing) -> Answer:
    """One contract; `contract_details_end` follows the last."""
    under = listing.underlying
    strike = listed.strike if listed.strike else "0"
    is_option = listed.sec_type == "OPT"

    def fields(version: int) -> Sequence[Value]:
        sized = version >= Version.SIZE_RULES
        values: list[Value] = [10] if sized else [10, 8]
        values += [request_id, listed.symbol, listed.sec_type, listed.expiry, strike, listed.right]
        values += [listing.exchange, listed.currency, listed.local_symbol, listed.trading_class, listed.trading_class]
        values += [listed.con_id, listing.minimum_tick]
        values += [] if sized else [100]
        values += [listed.multiplier, ",".join(ORDER_TYPES), ",".join(listing.exchanges), 1]
        values += [under.con_id if under else 0, listed.name, "" if is_option else listed.primary_exchange]
        values += [listed.expiry[:6], listed.industry, "", "", "US/Eastern"]
        values += [listing.trading_hours, listing.liquid_hours, "", "", 0, 2 if is_option else 1]
        values += [under.symbol if under else "", under.sec_type if under else ""]
        values += [",".join([str(listing.market_rule_id)] * len(listing.exchanges)), listed.expiry, listed.stock_type]
        return [*values, *_sizes(version, listing)]

    return Answer("contractDetails", fields)


def _sizes(version: int, listing: Listing) -> list[Value]:
    if version == Version.SUGGESTED_SIZE:
        return [listing.lot]
    if version < Version.SIZE_RULES:
        return []
    smallest = "0.0001" if listing.lot == LOT else str(listing.lot)
    return [smallest, smallest, str(listing.lot)]


def contract_details_end(request_id: int) -> Answer:
    return plain("contractDetailsEnd", 52, 1, request_id)


def symbol_samples(request_id: int, found: Sequence[Instrument]) -> Answer:
    def fields(version: int) -> Sequence[Value]:
        values: list[Value] = [79, request_id, len(found)]
        for listed in found:
            values += [listed.con_id, listed.symbol, listed.sec_type, listed.primary_exchange, listed.currency]
            values += [2, "CFD", "OPT"]
            values += [listed.name, ""] if version >= Version.BOND_ISSUER else []
        return values

    return Answer("symbolSamples", fields)


def market_rule(rule_id: int, increments: Sequence[tuple[Decimal, Decimal]]) -> Answer:
    """`increments` are pairs of low edge and tick (USD)."""
    return plain("marketRule", 93, rule_id, len(increments), *(value for pair in increments for value in pair))


def option_chain(
    request_id: int,
    stock: Instrument,
    *,
    exchange: str,
    multiplier: str,
    expirations: Sequence[date],
    strikes: Sequence[Decimal],
) -> Answer:
    """The chain of a stock at one exchange; `option_chain_end` follows the last."""
    days = [f"{day:%Y%m%d}" for day in expirations]
    head: list[Value] = [75, request_id, exchange, stock.con_id, stock.symbol, multiplier]
    return plain("securityDefinitionOptionParameter", *head, len(days), *days, len(strikes), *strikes)


def option_chain_end(request_id: int) -> Answer:
    return plain("securityDefinitionOptionParameterEnd", 76, request_id)
