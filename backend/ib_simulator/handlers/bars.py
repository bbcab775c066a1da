"""Historical bars, also kept up to date."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.clock import parse_moment
from ib_simulator.errors import Refusal
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market import bars as history
from ib_simulator.market.bars import Bar, BarRequest
from ib_simulator.messages import market_answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.market_requests import ReqHistoricalData
from ib_simulator.messages.request import RequestMessage
from ib_simulator.subscriptions import BarSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session


def request_historical_data(gateway: "Gateway", session: "Session", request: ReqHistoricalData) -> None:
    """Raises Refusal 200, 321 (size, duration, time or kind that IB doesn't have), 162 (too many bars)."""
    instrument = find_instrument(gateway, request.contract)
    if request.what_to_show not in history.WHAT_TO_SHOW:
        raise Refusal(
            code=321, text="Error validating request.-'bP' : cause - What to show field is missing or incorrect."
        )
    if request.keep_up_to_date and request.end:
        text = "Error validating request.-'bP' : cause - End date not supported with keepUpToDate subscriptions."
        raise Refusal(code=321, text=text)
    end = _end_time(gateway, request.end)
    wanted = BarRequest(instrument, end, request.bar_size, request.duration, use_rth=request.use_rth)
    found = history.historical_bars(wanted, seed=gateway.config.seed, last=gateway.market.quote(instrument).last)
    rows = [_row(bar, daily=_is_daily(wanted), format_date=request.format_date) for bar in found]
    start = end - timedelta(seconds=history.check_duration(request.duration))
    session.send(
        market_answers.historical_data(
            request.request_id, start=gateway.wire_time(start), end=gateway.wire_time(end), rows=rows
        )
    )
    if request.keep_up_to_date:
        session.subscriptions.bars[request.request_id] = BarSubscription(wanted, request.format_date)


def _send_bar_update(gateway: "Gateway", session: "Session", request_id: int, kept: BarSubscription) -> None:
    seconds = history.check_bar_size(kept.request.bar_size)
    duration = f"{seconds} S" if seconds < history.DURATION_SECONDS["D"] else "1 D"
    now = gateway.clock.now().astimezone(gateway.zone)
    wanted = replace(kept.request, end=now, duration=duration)
    last = gateway.market.quote(wanted.instrument).last
    for bar in history.historical_bars(wanted, seed=gateway.config.seed, last=last)[-1:]:
        row = _row(bar, daily=_is_daily(wanted), format_date=kept.format_date)
        session.send(market_answers.historical_data_update(request_id, row))


def _is_daily(request: BarRequest) -> bool:
    return history.check_bar_size(request.bar_size) >= history.DURATION_SECONDS["D"]


def _row(bar: Bar, *, daily: bool, format_date: int) -> market_answers.BarRow:
    if daily:
        date = f"{bar.start:%Y%m%d}"
    elif format_date == 1:
        date = f"{bar.start:%Y%m%d %H:%M:%S} US/Eastern"
    else:
        date = str(int(bar.start.timestamp()))
    weighted = ((bar.high + bar.low + bar.close) / 3).quantize(Decimal("0.0001"))
    return (date, bar.open, bar.high, bar.low, bar.close, bar.volume, weighted, bar.count)


def _end_time(gateway: "Gateway", text: str) -> datetime:
    """Read the end of a series; empty means now."""
    if not text:
        return gateway.clock.now().astimezone(gateway.zone)
    moment = parse_moment(text, zone=gateway.zone)
    if moment is None:
        raise _bad_end()
    return moment.astimezone(gateway.zone)


def _bad_end() -> Refusal:
    return Refusal(
        code=321,
        text="Error validating request.-'bP' : cause - Historical data query end date/time string is invalid. "
        "Format is 'YYYYMMDD{SPACE}hh:mm:ss[{SPACE}TMZ]'.",
    )


def push_bars(gateway: "Gateway", session: "Session") -> None:
    """Send the running bar of every series that is kept up to date."""
    for request_id, kept in session.subscriptions.bars.items():
        _send_bar_update(gateway, session, request_id, kept)


def cancel_historical_data(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    """Raises Refusal 366 for a series that is not kept up to date."""
    if session.subscriptions.bars.pop(request_id, None) is None:
        raise Refusal(code=366, text=f"No historical data query found for ticker id:{request_id}")


HANDLERS: dict[type[RequestMessage], Handler] = {ReqHistoricalData: request_historical_data}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_HISTORICAL_DATA: cancel_historical_data}
