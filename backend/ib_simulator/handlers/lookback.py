"""How far a contract's past reaches, and at which prices it traded."""

import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.bars import past_of
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.bars import BarRequest, check_what_to_show, historical_bars
from ib_simulator.messages import stream_answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import RequestMessage
from ib_simulator.messages.stream_requests import ReqHeadTimestamp, ReqHistogram

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

AS_TEXT = 1
# The past of a stock begins here; an option's with its week's listing is not told apart.
HEAD = datetime(2004, 1, 23, 14, 30, tzinfo=UTC)
_PERIOD = re.compile(r"(\d{1,3}) (day|week|month|year)s?", re.IGNORECASE)
_UNITS = {"day": "D", "week": "W", "month": "M", "year": "Y"}


def request_head_timestamp(gateway: "Gateway", session: "Session", request: ReqHeadTimestamp) -> None:
    """Raises Refusal 200, 321 for a kind of data IB doesn't have."""
    find_instrument(gateway, request.contract)
    check_what_to_show(request.what_to_show)
    moment = f"{HEAD:%Y%m%d-%H:%M:%S}" if request.format_date == AS_TEXT else str(int(HEAD.timestamp()))
    session.send(stream_answers.head_timestamp(request.request_id, moment))


def request_histogram(gateway: "Gateway", session: "Session", request: ReqHistogram) -> None:
    """Send prices and the shares that traded at each. Raises Refusal 200, 321 for a period that cannot be read."""
    instrument = find_instrument(gateway, request.contract)
    match = _PERIOD.fullmatch(request.period.strip())
    if match is None or not int(match[1]):
        raise Refusal(code=321, text="Error validating request.-'cj' : cause - Invalid time period")
    past = past_of(gateway, instrument)
    unit = _UNITS[match[2].lower()]
    size = "30 mins" if unit in {"D", "W"} else "1 day"
    end = past.now.astimezone(gateway.zone)
    wanted = BarRequest(instrument, end, size, f"{match[1]} {unit}", use_rth=request.use_rth)
    traded: Counter[Decimal] = Counter()
    for bar in historical_bars(wanted, past):
        for price in (bar.open, bar.high, bar.low, bar.close):
            traded[price] += max(1, bar.volume // 4)
    session.send(stream_answers.histogram(request.request_id, sorted(traded.items())))


def cancel_nothing(_gateway: "Gateway", _session: "Session", _request_id: int) -> None:
    """Both are answered at once, so there is nothing to take back."""


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqHeadTimestamp: request_head_timestamp,
    ReqHistogram: request_histogram,
}
CANCELLERS: dict[Request, Canceller] = {
    Request.CANCEL_HEAD_TIMESTAMP: cancel_nothing,
    Request.CANCEL_HISTOGRAM: cancel_nothing,
}
