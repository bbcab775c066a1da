"""Bars of five seconds, told as they end.

They follow the simulated time: a bar ends when the clock passes a multiple of five seconds, whether prices move by
themselves or only when told. After a long leap of the clock only the last minute's bars are made up for.
"""

from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.hours import Phase
from ib_simulator.messages import stream_answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import RequestMessage
from ib_simulator.messages.stream_answers import SecondsBar
from ib_simulator.messages.stream_requests import ReqRealTimeBars
from ib_simulator.streams import BAR_SECONDS, RunningBar, shown_price

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

BARS_MADE_UP_MAX = 12
KINDS = ("TRADES", "MIDPOINT", "BID", "ASK")


def request_real_time_bars(gateway: "Gateway", session: "Session", request: ReqRealTimeBars) -> None:
    """Raises Refusal 200, 322 (id in use), 420 (size or kind that IB doesn't have, no permission by switch)."""
    instrument = find_instrument(gateway, request.contract)
    if request.request_id in session.subscriptions.real_time_bars:
        raise Refusal(code=322, text="Error processing request.-'b1' : cause - Duplicate ticker id")
    if request.what_to_show not in KINDS:
        raise Refusal(code=420, text="Invalid Real-time Query:What to show field is missing or incorrect.")
    if request.bar_seconds != BAR_SECONDS:
        raise Refusal(code=420, text="Invalid Real-time Query:Only bars of 5 seconds are supported.")
    if gateway.scenario.is_on("market_data", "delayed_only"):
        venue = f"{instrument.primary_exchange} {instrument.sec_type}"
        raise Refusal(code=420, text=f"Invalid Real-time Query:No market data permissions for {venue}")
    quote = gateway.market.quote(instrument)
    price = shown_price(quote, request.what_to_show)
    start = int(gateway.clock.now().timestamp()) // BAR_SECONDS * BAR_SECONDS
    session.subscriptions.real_time_bars[request.request_id] = RunningBar(
        instrument=instrument,
        what_to_show=request.what_to_show,
        use_rth=request.use_rth,
        start=start,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=quote.volume,
        volume_now=quote.volume,
    )


def push_real_time_bars(gateway: "Gateway") -> None:
    """Send the bars that have ended; to be called as time passes and before a price changes."""
    sessions = [session for session in gateway.connected() if session.subscriptions.real_time_bars]
    if not sessions:
        return
    now = gateway.clock.now()
    phase = gateway.hours.phase(now)
    for session in sessions:
        for request_id, running in session.subscriptions.real_time_bars.items():
            closed = phase is Phase.CLOSED or (running.use_rth and phase is not Phase.REGULAR)
            for bar in _ended(running, second=int(now.timestamp())):
                if not closed:
                    session.send(stream_answers.real_time_bar(request_id, bar))


def _ended(running: RunningBar, *, second: int) -> list[SecondsBar]:
    begun = second // BAR_SECONDS * BAR_SECONDS
    running.start = max(running.start, begun - BARS_MADE_UP_MAX * BAR_SECONDS)
    ended = []
    while running.start < begun:
        ended.append(running.end())
    return ended


def take_prices(gateway: "Gateway", session: "Session") -> None:
    """Let the running bars know the prices of now."""
    for running in session.subscriptions.real_time_bars.values():
        running.take(gateway.market.quote(running.instrument))


def cancel_real_time_bars(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    """Raises Refusal 300 for a subscription that does not exist."""
    if session.subscriptions.real_time_bars.pop(request_id, None) is None:
        raise Refusal(code=300, text=f"Can't find EId with tickerId:{request_id}")


HANDLERS: dict[type[RequestMessage], Handler] = {ReqRealTimeBars: request_real_time_bars}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_REAL_TIME_BARS: cancel_real_time_bars}
