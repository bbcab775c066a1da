"""Contract look-ups."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Handler
from ib_simulator.market import indices, options
from ib_simulator.market.hours import TradingDay
from ib_simulator.market.instruments import MARKET_RULE_ID, TICK, VALID_EXCHANGES, Instrument
from ib_simulator.market.option_market import NICKEL, NICKEL_FROM
from ib_simulator.messages import contract_answers
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.contract_answers import Listing
from ib_simulator.messages.contract_requests import ReqContractDetails, ReqMarketRule, ReqMatchingSymbols
from ib_simulator.messages.request import RequestMessage

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

NO_DEFINITION = "No security definition has been found for the request"
AMBIGUOUS = "The contract description specified for {symbol} is ambiguous."
MATCHES_MAX = 16
HOURS_DAYS = 6
NICKEL_RULE_ID, FOREX_RULE_ID = 109, 239
# Low edges and the tick from there on (USD).
MARKET_RULES: dict[int, list[tuple[Decimal, Decimal]]] = {
    MARKET_RULE_ID: [(Decimal(0), TICK)],
    FOREX_RULE_ID: [(Decimal(0), indices.PIP_HALF)],
    NICKEL_RULE_ID: [(Decimal(0), TICK), (NICKEL_FROM, NICKEL)],
}


def find_instrument(gateway: "Gateway", query: ContractQuery) -> Instrument:
    """Raises Refusal 200 for a contract that does not exist or a description that fits several."""
    found = gateway.instruments.matches(query)
    if len(found) == 1:
        return found[0]
    raise Refusal(code=200, text=AMBIGUOUS.format(symbol=query.symbol) if found else NO_DEFINITION)


def request_contract_details(gateway: "Gateway", session: "Session", request: ReqContractDetails) -> None:
    """Send everything that fits, then the end: the whole chain for an option with open fields. Raises Refusal 200."""
    found = gateway.instruments.matches(request.contract)
    if not found:
        raise Refusal(code=200, text=NO_DEFINITION)
    for instrument in found:
        exchange = request.contract.exchange or _usual_exchange(instrument)
        listing = _listing(gateway, instrument, exchange=exchange)
        session.send(contract_answers.contract_details(request.request_id, instrument, listing))
    session.send(contract_answers.contract_details_end(request.request_id))


def _usual_exchange(instrument: Instrument) -> str:
    return instrument.primary_exchange if instrument.sec_type in indices.EXCHANGES else "SMART"


def _listing(gateway: "Gateway", instrument: Instrument, *, exchange: str) -> Listing:
    liquid = _hours(gateway, lambda day: (day.open, day.close))
    if instrument.sec_type == "OPT":
        penny = instrument.symbol in options.PENNY_SYMBOLS
        return Listing(
            exchange=exchange,
            exchanges=options.EXCHANGES,
            market_rule_id=MARKET_RULE_ID if penny else NICKEL_RULE_ID,
            minimum_tick=instrument.tick,
            trading_hours=liquid,
            liquid_hours=liquid,
            underlying=gateway.options.chains.underlying(instrument),
            lot=1,
        )
    elsewhere = indices.EXCHANGES.get(instrument.sec_type)
    return Listing(
        exchange=exchange,
        exchanges=elsewhere or VALID_EXCHANGES,
        market_rule_id=FOREX_RULE_ID if instrument.sec_type == "CASH" else MARKET_RULE_ID,
        minimum_tick=instrument.tick,
        trading_hours=_hours(gateway, lambda day: (day.pre_open, day.post_close)),
        liquid_hours=liquid,
    )


def _hours(gateway: "Gateway", session_of: Callable[[TradingDay], tuple[datetime, datetime]]) -> str:
    """Write the sessions of the next days as IB does: `20260105:0930-20260105:1600;20260110:CLOSED`."""
    today = gateway.clock.now().astimezone(gateway.zone).date()
    parts = []
    for ahead in range(HOURS_DAYS):
        date = today + timedelta(days=ahead)
        day = gateway.hours.day(date)
        if day is None:
            parts.append(f"{date:%Y%m%d}:CLOSED")
        else:
            opens, closes = session_of(day)
            parts.append(f"{opens:%Y%m%d:%H%M}-{closes:%Y%m%d:%H%M}")
    return ";".join(parts)


def request_matching_symbols(gateway: "Gateway", session: "Session", request: ReqMatchingSymbols) -> None:
    found = gateway.instruments.matching(request.pattern)[:MATCHES_MAX]
    session.send(contract_answers.symbol_samples(request.request_id, found))


def request_market_rule(_gateway: "Gateway", session: "Session", request: ReqMarketRule) -> None:
    """Raises Refusal 10015 for a rule that does not exist."""
    increments = MARKET_RULES.get(request.rule_id)
    if increments is None:
        raise Refusal(code=10015, text=f"No market rule has been found for the request:{request.rule_id}")
    session.send(contract_answers.market_rule(request.rule_id, increments))


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqContractDetails: request_contract_details,
    ReqMatchingSymbols: request_matching_symbols,
    ReqMarketRule: request_market_rule,
}
