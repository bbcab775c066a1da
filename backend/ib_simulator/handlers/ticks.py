"""Single ticks: as they happen, and of before."""

from datetime import datetime
from typing import TYPE_CHECKING

from ib_simulator.clock import parse_moment
from ib_simulator.errors import Refusal
from ib_simulator.handlers.bars import past_of
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.instruments import Instrument
from ib_simulator.market.prices import Quote
from ib_simulator.market.ticks import EXCHANGES, PastTick, ticks_after, ticks_before
from ib_simulator.messages import stream_answers
from ib_simulator.messages.answer import Answer
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import RequestMessage
from ib_simulator.messages.stream_requests import ReqHistoricalTicks, ReqTickByTick
from ib_simulator.streams import TickSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

# As clients write them; each with what historical ticks call it.
KINDS = {"Last": "TRADES", "AllLast": "TRADES", "BidAsk": "BID_ASK", "MidPoint": "MIDPOINT"}
NUMBERS = {"Last": 1, "AllLast": 2}
SUBSCRIPTIONS_MAX = 3  # For the default 100 market data lines [DOC].
TICKS_MAX = 1000
REALTIME_FAILED = "Failed to request tick-by-tick data."
HISTORY_FAILED = "Failed to request historical ticks:"


def request_tick_by_tick(gateway: "Gateway", session: "Session", request: ReqTickByTick) -> None:
    """Send ticks of before, if wanted, and then every change.

    Raises Refusal 200, 322 (id in use), 10189 (kind or contract that has none, no permission by switch), 10190 (too
    many at once).
    """
    instrument = find_instrument(gateway, request.contract)
    streams = session.subscriptions.ticks
    if request.request_id in streams:
        raise Refusal(code=322, text="Error processing request.-'cr' : cause - Duplicate ticker id")
    if request.kind not in KINDS or instrument.sec_type == "BAG":
        what = f"{request.kind} tick-by-tick requests are not supported for {instrument.local_symbol}"
        raise Refusal(code=10189, text=f"{REALTIME_FAILED}{what}")
    _check_permission(gateway, instrument, code=10189, text=REALTIME_FAILED)
    if len(streams) >= SUBSCRIPTIONS_MAX:
        raise Refusal(code=10190, text="Max number of tick-by-tick requests has been reached.")
    streams[request.request_id] = TickSubscription(
        instrument, request.kind, request.ignore_size, gateway.market.quote(instrument)
    )
    if request.count > 0:
        past = past_of(gateway, instrument)
        found = ticks_before(instrument, past, end=past.now, count=min(request.count, TICKS_MAX), use_rth=False)
        session.send(_history(request.request_id, KINDS[request.kind], found))


def push_ticks(gateway: "Gateway", session: "Session") -> None:
    """Send a tick to every stream whose prices or sizes have changed."""
    for request_id, stream in session.subscriptions.ticks.items():
        quote, known = gateway.market.quote(stream.instrument), stream.sent
        stream.sent = quote
        time = int(gateway.clock.now().timestamp())
        if stream.kind in NUMBERS:
            if quote.last != known.last or quote.volume != known.volume:
                session.send(_last(request_id, stream.kind, quote, time=time))
        elif stream.kind == "MidPoint":
            if quote.bid + quote.ask != known.bid + known.ask:
                price = (quote.bid + quote.ask) / 2
                session.send(stream_answers.tick_midpoint(request_id, time=time, price=price))
        elif _bid_ask(quote, sized=not stream.ignore_size) != _bid_ask(known, sized=not stream.ignore_size):
            marks = (1 if quote.bid < quote.low else 0) + (2 if quote.ask > quote.high else 0)
            sizes = (quote.bid_size, quote.ask_size)
            session.send(
                stream_answers.tick_bid_ask(
                    request_id, time=time, bid=quote.bid, ask=quote.ask, sizes=sizes, marks=marks
                )
            )


def _last(request_id: int, kind: str, quote: Quote, *, time: int) -> Answer:
    number, exchange = NUMBERS[kind], EXCHANGES[time % len(EXCHANGES)]
    return stream_answers.tick_last(request_id, number, time=time, price=quote.last, size=quote.size, exchange=exchange)


def _bid_ask(quote: Quote, *, sized: bool) -> tuple[object, ...]:
    return (quote.bid, quote.ask, *((quote.bid_size, quote.ask_size) if sized else ()))


def request_historical_ticks(gateway: "Gateway", session: "Session", request: ReqHistoricalTicks) -> None:
    """Send all in one message. Raises Refusal 200, 321 (kind), 10187 (times, number, no permission by switch)."""
    instrument = find_instrument(gateway, request.contract)
    if request.what_to_show not in KINDS.values():
        raise Refusal(code=321, text="Error validating request.-'cq' : cause - What to show field is incorrect.")
    _check_permission(gateway, instrument, code=10187, text=HISTORY_FAILED)
    if bool(request.start) == bool(request.end):
        text = f"{HISTORY_FAILED}Either the start or the end must be given, and only one of them"
        raise Refusal(code=10187, text=text)
    if not 0 < request.count <= TICKS_MAX:
        raise Refusal(code=10187, text=f"{HISTORY_FAILED}The number of ticks must be 1 to {TICKS_MAX}")
    moment = _moment(gateway, request.start or request.end)
    past = past_of(gateway, instrument)
    if request.start:
        found = ticks_after(instrument, past, start=moment, count=request.count, use_rth=request.use_rth)
    else:
        found = ticks_before(instrument, past, end=moment, count=request.count, use_rth=request.use_rth)
    session.send(_history(request.request_id, request.what_to_show, found))


def _moment(gateway: "Gateway", text: str) -> datetime:
    moment = parse_moment(text, zone=gateway.zone)
    if moment is None:
        raise Refusal(code=10187, text=f"{HISTORY_FAILED}The time '{text}' cannot be read")
    return moment


def _history(request_id: int, what_to_show: str, found: list[PastTick]) -> Answer:
    if what_to_show == "TRADES":
        lasts = [(tick.time, tick.price, tick.size, tick.exchange) for tick in found]
        return stream_answers.historical_lasts(request_id, lasts)
    if what_to_show == "BID_ASK":
        quotes = [(tick.time, tick.bid, tick.ask, tick.bid_size, tick.ask_size) for tick in found]
        return stream_answers.historical_bid_asks(request_id, quotes)
    midpoints = [(tick.time, (tick.bid + tick.ask) / 2) for tick in found]
    return stream_answers.historical_midpoints(request_id, midpoints)


def _check_permission(gateway: "Gateway", instrument: Instrument, *, code: int, text: str) -> None:
    """Without live data single ticks are refused [CAPTURE tick_by_tick_last_permission_refusal]."""
    if gateway.scenario.is_on("market_data", "delayed_only"):
        venue = f"{instrument.primary_exchange} {instrument.sec_type}"
        raise Refusal(code=code, text=f"{text}No market data permissions for {venue}")


def cancel_tick_by_tick(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    """Raises Refusal 300 for a subscription that does not exist."""
    if session.subscriptions.ticks.pop(request_id, None) is None:
        raise Refusal(code=300, text=f"Can't find EId with tickerId:{request_id}")


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqTickByTick: request_tick_by_tick,
    ReqHistoricalTicks: request_historical_ticks,
}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_TICK_BY_TICK: cancel_tick_by_tick}
