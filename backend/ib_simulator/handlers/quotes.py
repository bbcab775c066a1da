"""Quotes: one, or one and its changes."""

from collections.abc import Set
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers import bars, depth, generic_ticks, options, real_time_bars, ticks
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.hours import Phase
from ib_simulator.market.prices import Quote
from ib_simulator.messages import market_answers
from ib_simulator.messages.answer import Tick
from ib_simulator.messages.ids import Request
from ib_simulator.messages.market_requests import ReqMarketDataType, ReqMktData
from ib_simulator.messages.request import RequestMessage
from ib_simulator.subscriptions import DELAYED, DELAYED_FROZEN, FROZEN, REAL_TIME, QuoteSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

# Tick types of live data and of delayed data.
LIVE_TYPES = {"bid": 1, "ask": 2, "last": 4, "high": 6, "low": 7, "close": 9, "open": 14}
DELAYED_TYPES = {"bid": 66, "ask": 67, "last": 68, "high": 72, "low": 73, "close": 75, "open": 76}
SIZED = {"bid": "bid_size", "ask": "ask_size", "last": "size"}
LIVE_SIZE_TYPES = {"bid": 0, "ask": 3, "last": 5, "volume": 8}
DELAYED_SIZE_TYPES = {"bid": 69, "ask": 70, "last": 71, "volume": 74}
LAST_TIME_TYPE, HALTED_TYPE = 45, 49
DELAYED_LAST_TIME_TYPE, DELAYED_HALTED_TYPE = 88, 90
MARKET_DATA_TYPES = range(REAL_TIME, DELAYED_FROZEN + 1)
NOT_SUBSCRIBED = {
    "refuse_354": (354, "Requested market data is not subscribed."),
    "refuse_10089": (
        10089,
        "Requested market data requires additional subscription for API.Delayed market data is available.",
    ),
    "refuse_10168": (10168, "Requested market data is not subscribed. Delayed market data is not enabled."),
}
VOLUME_UNIT = 100
# The quote now, the quote before, and the difference in messages; by the identities of both and whether it is delayed.
News = tuple[Quote, Quote | None, list[Tick]]
WrittenNews = dict[tuple[int, int, bool], News]


def request_market_data(gateway: "Gateway", session: "Session", request: ReqMktData) -> None:
    """Send the quote, then its end (snapshot) or its changes (streaming).

    Raises Refusal 200 (no such contract), 321 (generic ticks that IB doesn't know, or with a snapshot), 322 (request
    id in use), 354, 10089 or 10168 (no live data, by switch). A regulatory snapshot is one like any other, for nothing.
    """
    instrument = find_instrument(gateway, request.contract)
    snapshot = request.snapshot or request.regulatory
    if snapshot and request.generic_ticks:
        cause = "Snapshot market data subscription is not applicable to generic ticks"
        raise Refusal(code=321, text=f"Error validating request.-'bO' : cause - {cause}")
    if request.request_id in session.subscriptions.quotes:
        raise Refusal(code=322, text="Error processing request.-'bO' : cause - Duplicate ticker id")
    wanted = generic_ticks.read_generic_ticks(request.generic_ticks)
    delayed = _must_be_delayed(gateway, session, request.request_id)
    session.send(market_answers.tick_request_parameters(request.request_id, instrument.tick))
    session.send(market_answers.market_data_type(request.request_id, _told_type(gateway, session, delayed=delayed)))
    subscription = QuoteSubscription(instrument, delayed=delayed, generic_ticks=wanted)
    _send_quote(gateway, session, request.request_id, subscription)
    if snapshot:
        session.send(market_answers.tick_snapshot_end(request.request_id))
    else:
        session.subscriptions.quotes[request.request_id] = subscription


def _must_be_delayed(gateway: "Gateway", session: "Session", request_id: int) -> bool:
    if gateway.scenario.is_on("market_data", "live"):
        return False
    if session.subscriptions.market_data_type < DELAYED:
        code, text = NOT_SUBSCRIBED[gateway.scenario.switches["no_live_data"]]
        raise Refusal(code=code, text=text)
    text = "Requested market data is not subscribed. Displaying delayed market data."
    session.send_error(request_id=request_id, code=10167, text=text)
    return True


def _told_type(gateway: "Gateway", session: "Session", *, delayed: bool) -> int:
    """Return the type of the data sent: frozen only while the exchange is closed and if asked for."""
    asked = session.subscriptions.market_data_type
    frozen = asked in {FROZEN, DELAYED_FROZEN} and gateway.hours.phase(gateway.clock.now()) is Phase.CLOSED
    if delayed:
        return DELAYED_FROZEN if frozen else DELAYED
    return FROZEN if frozen else REAL_TIME


def push_quotes(gateway: "Gateway", changed: Set[str]) -> None:
    """Send what changed, of the symbols that did, to everyone who streams."""
    written: WrittenNews = {}
    for session in gateway.connected():
        for request_id, subscription in session.subscriptions.quotes.items():
            if not changed.isdisjoint(subscription.instrument.movers):
                _send_quote(gateway, session, request_id, subscription, written=written)
        bars.push_bars(gateway, session, changed)
        real_time_bars.take_prices(gateway, session)
        ticks.push_ticks(gateway, session)
        depth.push_depth(gateway, session)


def _send_quote(
    gateway: "Gateway",
    session: "Session",
    request_id: int,
    subscription: QuoteSubscription,
    *,
    written: WrittenNews | None = None,
) -> None:
    """Send what the client does not know. `written` keeps the news of one push, which many clients share."""
    quote, known = gateway.market.quote(subscription.instrument), subscription.sent
    if quote is known:
        return
    # The news keep both quotes, so that their identities stay their own.
    key = (id(quote), id(known), subscription.delayed)
    news = None if written is None else written.get(key)
    if news is None:
        news = _news(quote, known, delayed=subscription.delayed, moment=int(gateway.clock.now().timestamp()))
        if written is not None:
            written[key] = news
    session.send_ticks(news[2], request_id=request_id)
    generic_ticks.send_generic_ticks(gateway, session, request_id, subscription, quote)
    if subscription.instrument.sec_type == "OPT":
        options.send_computations(gateway, session, request_id, subscription, quote)
    subscription.sent = quote


def _news(quote: Quote, known: Quote | None, *, delayed: bool, moment: int) -> News:
    """Return what changed from one quote to the other, in the order it is told; both are kept beside it."""
    types = DELAYED_TYPES if delayed else LIVE_TYPES
    sizes = DELAYED_SIZE_TYPES if delayed else LIVE_SIZE_TYPES
    told: list[Tick] = []
    for name, tick_type in types.items():
        price, sized = getattr(quote, name), SIZED.get(name)
        size = 0 if sized is None else getattr(quote, sized)
        if known is None or price != getattr(known, name) or (sized and size != getattr(known, sized)):
            told.append(market_answers.price_tick(tick_type, price, size))
            if name in SIZED:
                told.append(market_answers.size_tick(sizes[name], size))
    if known is None or quote.volume != known.volume:
        told.append(market_answers.size_tick(sizes["volume"], quote.volume // VOLUME_UNIT))
    if _traded(quote, known):
        told.append(market_answers.text_tick(DELAYED_LAST_TIME_TYPE if delayed else LAST_TIME_TYPE, str(moment)))
    if known is None or quote.halted != known.halted:
        halted_type = DELAYED_HALTED_TYPE if delayed else HALTED_TYPE
        told.append(market_answers.generic_tick(halted_type, Decimal(int(quote.halted))))
    return (quote, known, told)


def _traded(quote: Quote, known: Quote | None) -> bool:
    return known is None or quote.last != known.last or quote.volume != known.volume


def choose_market_data_type(_gateway: "Gateway", session: "Session", request: ReqMarketDataType) -> None:
    """Raises Refusal 321 for a type IB doesn't have; the type before stays."""
    if request.market_data_type not in MARKET_DATA_TYPES:
        raise Refusal(code=321, text="Error validating request.-'cc' : cause - Invalid market data type")
    session.subscriptions.market_data_type = request.market_data_type


def cancel_market_data(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    """Raises Refusal 300 for a subscription that does not exist."""
    if session.subscriptions.quotes.pop(request_id, None) is None:
        raise Refusal(code=300, text=f"Can't find EId with tickerId:{request_id}")


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqMktData: request_market_data,
    ReqMarketDataType: choose_market_data_type,
}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_MKT_DATA: cancel_market_data}
