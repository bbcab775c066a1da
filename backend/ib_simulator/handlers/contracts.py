"""Contract look-ups."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.handler import Handler
from ib_simulator.market import bars as history
from ib_simulator.market.instruments import MARKET_RULE_ID, TICK, Instrument
from ib_simulator.messages import market_answers
from ib_simulator.messages.contract import ContractQuery
from ib_simulator.messages.contract_requests import ReqContractDetails, ReqMarketRule, ReqMatchingSymbols
from ib_simulator.messages.request import RequestMessage

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

NO_DEFINITION = "No security definition has been found for the request"
MATCHES_MAX = 16
HOURS_DAYS = 6


def find_instrument(gateway: "Gateway", query: ContractQuery) -> Instrument:
    """Raises Refusal 200 for a contract that does not exist."""
    instrument = gateway.instruments.find(query)
    if instrument is None:
        raise Refusal(code=200, text=NO_DEFINITION)
    return instrument


def request_contract_details(gateway: "Gateway", session: "Session", request: ReqContractDetails) -> None:
    """Raises Refusal 200 for a contract that does not exist."""
    instrument = find_instrument(gateway, request.contract)
    now = gateway.clock.now().astimezone(gateway.zone)
    session.send(
        market_answers.contract_details(
            request.request_id,
            instrument,
            exchange=request.contract.exchange or "SMART",
            trading_hours=_hours(now, history.EXTENDED_OPEN.strftime("%H%M"), history.EXTENDED_CLOSE.strftime("%H%M")),
            liquid_hours=_hours(now, history.SESSION_OPEN.strftime("%H%M"), history.SESSION_CLOSE.strftime("%H%M")),
        )
    )
    session.send(market_answers.contract_details_end(request.request_id))


def _hours(now: datetime, opens: str, closes: str) -> str:
    """Write sessions as IB does: `20260105:0930-20260105:1600;20260110:CLOSED`."""
    parts = []
    for ahead in range(HOURS_DAYS):
        day = now + timedelta(days=ahead)
        date = f"{day:%Y%m%d}"
        parts.append(f"{date}:{opens}-{date}:{closes}" if day.weekday() < 5 else f"{date}:CLOSED")
    return ";".join(parts)


def request_matching_symbols(gateway: "Gateway", session: "Session", request: ReqMatchingSymbols) -> None:
    found = gateway.instruments.matching(request.pattern)[:MATCHES_MAX]
    session.send(market_answers.symbol_samples(request.request_id, found))


def request_market_rule(_gateway: "Gateway", session: "Session", request: ReqMarketRule) -> None:
    """Raises Refusal 10015 for a rule that does not exist."""
    if request.rule_id != MARKET_RULE_ID:
        raise Refusal(code=10015, text=f"No market rule has been found for the request:{request.rule_id}")
    session.send(market_answers.market_rule(MARKET_RULE_ID, [(Decimal(0), TICK)]))


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqContractDetails: request_contract_details,
    ReqMatchingSymbols: request_matching_symbols,
    ReqMarketRule: request_market_rule,
}
