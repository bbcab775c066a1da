"""Historical bars, also kept up to date, and the schedule of sessions."""

from collections.abc import Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ib_simulator.clock import parse_moment
from ib_simulator.errors import Refusal
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market import bars as history
from ib_simulator.market.bars import Bar, BarRequest, Past
from ib_simulator.market.durations import (
    DAY_SECONDS,
    LIVE_BAR_SECONDS_MIN,
    VALIDATING,
    check_bar_size,
    check_duration,
)
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages import market_answers
from ib_simulator.messages.ids import Request, Version
from ib_simulator.messages.market_requests import ReqHistoricalData
from ib_simulator.messages.request import RequestMessage
from ib_simulator.subscriptions import BarSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

AS_TEXT = 1


def request_historical_data(gateway: "Gateway", session: "Session", request: ReqHistoricalData) -> None:
    """Raises Refusal 200, 321 (size, duration, time or kind that IB doesn't have), 322 (id in use), 162 (too long)."""
    instrument = find_instrument(gateway, request.contract)
    history.check_what_to_show(request.what_to_show)
    _check_end(request)
    if request.request_id in session.subscriptions.bars:
        raise Refusal(code=322, text="Error processing request.-'bP' : cause - Duplicate ticker id")
    past = past_of(gateway, instrument)
    end = _end_time(gateway, request.end, now=past.now)
    wanted = BarRequest(
        instrument, end, request.bar_size, request.duration, use_rth=request.use_rth, what_to_show=request.what_to_show
    )
    if request.what_to_show == "SCHEDULE":
        _send_schedule(gateway, session, request.request_id, wanted)
        return
    found = history.historical_bars(wanted, past)
    rows = [_row(bar, daily=_is_daily(wanted), format_date=request.format_date) for bar in found]
    start = end - timedelta(seconds=check_duration(request.duration))
    session.send(
        market_answers.historical_data(
            request.request_id, start=gateway.wire_time(start), end=gateway.wire_time(end), rows=rows
        )
    )
    if request.keep_up_to_date:
        session.subscriptions.bars[request.request_id] = BarSubscription(wanted, request.format_date)


def past_of(gateway: "Gateway", instrument: Instrument) -> Past:
    """Return where an instrument's bars and ticks of before come from."""
    return Past(
        price_at=gateway.history.path(instrument),
        hours=gateway.hours,
        now=gateway.clock.now(),
        last=gateway.market.quote(instrument).last,
        seed=gateway.config.seed,
    )


def _check_end(request: ReqHistoricalData) -> None:
    if request.end and request.what_to_show == "ADJUSTED_LAST":
        raise Refusal(code=321, text=f"{VALIDATING}End date not supported with adjusted last")
    if not request.keep_up_to_date:
        return
    if request.end:
        cause = "End date not supported with keepUpToDate subscriptions."
        raise Refusal(code=321, text=VALIDATING + cause)
    if request.what_to_show not in {"TRADES", "MIDPOINT", "BID", "ASK"}:
        cause = f"keepUpToDate is not supported for {request.what_to_show}."
        raise Refusal(code=321, text=VALIDATING + cause)
    if check_bar_size(request.bar_size) < LIVE_BAR_SECONDS_MIN:
        raise Refusal(code=321, text=f"{VALIDATING}keepUpToDate needs bars of 5 seconds or more.")


def _send_schedule(gateway: "Gateway", session: "Session", request_id: int, wanted: BarRequest) -> None:
    if session.server_version < Version.HISTORICAL_SCHEDULE:
        raise Refusal(code=321, text=f"{VALIDATING}What to show field is missing or incorrect.")
    if wanted.bar_size != "1 day":
        raise Refusal(code=321, text=f"{VALIDATING}Only daily bars can be requested with SCHEDULE.")
    days = history.sessions(wanted, gateway.hours)
    rows = []
    for day, (opens, _cut) in days:
        trading = gateway.hours.day(day)
        if trading is not None:
            closes = trading.close if wanted.use_rth else trading.post_close
            rows.append((f"{opens:%Y%m%d-%H:%M:%S}", f"{closes:%Y%m%d-%H:%M:%S}", f"{day:%Y%m%d}"))
    session.send(market_answers.historical_schedule(request_id, zone=gateway.zone.key, rows=rows))


def _send_bar_update(gateway: "Gateway", session: "Session", request_id: int, kept: BarSubscription) -> None:
    seconds = check_bar_size(kept.request.bar_size)
    duration = f"{seconds} S" if seconds < DAY_SECONDS else "1 D"
    past = past_of(gateway, kept.request.instrument)
    wanted = replace(kept.request, end=past.now.astimezone(gateway.zone), duration=duration)
    for bar in history.historical_bars(wanted, past)[-1:]:
        row = _row(bar, daily=_is_daily(wanted), format_date=kept.format_date)
        session.send(market_answers.historical_data_update(request_id, row))


def _is_daily(request: BarRequest) -> bool:
    return check_bar_size(request.bar_size) >= DAY_SECONDS


def _row(bar: Bar, *, daily: bool, format_date: int) -> market_answers.BarRow:
    if daily:
        date = f"{bar.start:%Y%m%d}"
    elif format_date == AS_TEXT:
        date = f"{bar.start:%Y%m%d %H:%M:%S} US/Eastern"
    else:
        date = str(int(bar.start.timestamp()))
    return (date, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.weighted, bar.count)


def _end_time(gateway: "Gateway", text: str, *, now: datetime) -> datetime:
    """Read the end of a series; empty means now."""
    if not text:
        return now.astimezone(gateway.zone)
    moment = parse_moment(text, zone=gateway.zone)
    if moment is None:
        raise _bad_end()
    return moment.astimezone(gateway.zone)


def _bad_end() -> Refusal:
    return Refusal(
        code=321,
        text=f"{VALIDATING}Historical data query end date/time string is invalid. "
        "Format is 'YYYYMMDD{SPACE}hh:mm:ss[{SPACE}TMZ]'.",
    )


def push_bars(gateway: "Gateway", session: "Session", changed: Set[str]) -> None:
    """Send the running bar of every series that is kept up to date and whose symbol's price has changed."""
    for request_id, kept in session.subscriptions.bars.items():
        if not changed.isdisjoint(kept.request.instrument.movers):
            _send_bar_update(gateway, session, request_id, kept)


def cancel_historical_data(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    """Raises Refusal 366 for a series that is not kept up to date."""
    if session.subscriptions.bars.pop(request_id, None) is None:
        raise Refusal(code=366, text=f"No historical data query found for ticker id:{request_id}")


HANDLERS: dict[type[RequestMessage], Handler] = {ReqHistoricalData: request_historical_data}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_HISTORICAL_DATA: cancel_historical_data}
