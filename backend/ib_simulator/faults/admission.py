"""Which requests get through to their handler: what the limits and the state of IB's servers allow."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.faults import resets
from ib_simulator.messages.market_requests import ReqHistoricalData, ReqMktData
from ib_simulator.messages.request import RequestMessage

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session


def is_admitted(gateway: "Gateway", session: "Session", request: RequestMessage) -> bool:
    """Say whether a request gets an answer at all.

    Raises Refusal 101 (market data lines), 162 (historical pacing) and 10197 (competing session).
    """
    scenario = gateway.scenario
    if scenario.disturbed and not resets.is_answered(request, scenario=scenario):
        return False
    if isinstance(request, ReqMktData):
        _check_lines(session, request, most=scenario.limits["market_data_lines"])
    if isinstance(request, ReqHistoricalData) and scenario.is_on("historical_pacing", "on"):
        _check_history(gateway, request)
    return True


def _check_history(gateway: "Gateway", request: ReqHistoricalData) -> None:
    size = request.bar_size.split()
    if len(size) != 2 or not size[1].startswith("sec"):
        return  # Longer bars are not paced.
    gateway.history_meter.check(
        now_ms=gateway.clock.monotonic_ms(),
        what=replace(request, request_id=0),
        group=(request.contract, request.what_to_show),
        weight=2 if request.what_to_show == "BID_ASK" else 1,
    )


def _check_lines(session: "Session", request: ReqMktData, *, most: int) -> None:
    """A snapshot needs no line for long. The limit is one of an account at IB; here it is one of a connection."""
    if most and not request.snapshot and len(session.subscriptions.quotes) >= most:
        raise Refusal(code=101, text="Max number of tickers has been reached")
