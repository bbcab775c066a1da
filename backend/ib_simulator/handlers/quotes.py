"""Quotes: one, or one and its changes."""

from collections.abc import Set
from decimal import Decimal
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers import bars, depth, options, real_time_bars, ticks
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.prices import Quote
from ib_simulator.messages import market_answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.market_requests import ReqMarketDataType, ReqMktData
from ib_simulator.messages.request import RequestMessage
from ib_simulator.subscriptions import DELAYED, REAL_TIME, QuoteSubscription

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
VOLUME_UNIT = 100


def request_market_data(gateway: "Gateway", session: "Session", request: ReqMktData) -> None:
    """Send the quote, then its end (snapshot) or its changes (streaming).

    Raises Refusal 200 (no such contract), 321 (snapshot with generic ticks), 322 (request id in use), 354 (no live
    data, by switch).
    """
    instrument = find_instrument(gateway, request.contract)
    if request.snapshot and request.generic_ticks:
        cause = "Snapshot market data subscription is not applicable to generic ticks"
        raise Refusal(code=321, text=f"Error validating request.-'bO' : cause - {cause}")
    if request.request_id in session.subscriptions.quotes:
        raise Refusal(code=322, text="Error processing request.-'bO' : cause - Duplicate ticker id")
    delayed = _must_be_delayed(gateway, session, request.request_id)
    session.send(market_answers.tick_request_parameters(request.request_id, instrument.tick))
    session.send(market_answers.market_data_type(request.request_id, DELAYED if delayed else REAL_TIME))
    subscription = QuoteSubscription(instrument, delayed=delayed)
    _send_quote(gateway, session, request.request_id, subscription)
    if request.snapshot:
        session.send(market_answers.tick_snapshot_end(request.request_id))
    else:
        session.subscriptions.quotes[request.request_id] = subscription


def _must_be_delayed(gateway: "Gateway", session: "Session", request_id: int) -> bool:
    if gateway.scenario.is_on("market_data", "live"):
        return False
    if session.subscriptions.market_data_type < DELAYED:
        raise Refusal(code=354, text="Requested market data is not subscribed.")
    text = "Requested market data is not subscribed. Displaying delayed market data."
    session.send_error(request_id=request_id, code=10167, text=text)
    return True


def push_quotes(gateway: "Gateway", changed: Set[str]) -> None:
    """Send what changed, of the symbols that did, to everyone who streams."""
    for session in gateway.connected():
        for request_id, subscription in session.subscriptions.quotes.items():
            if not changed.isdisjoint(subscription.instrument.movers):
                _send_quote(gateway, session, request_id, subscription)
        bars.push_bars(gateway, session)
        real_time_bars.take_prices(gateway, session)
        ticks.push_ticks(gateway, session)
        depth.push_depth(gateway, session)


def _send_quote(gateway: "Gateway", session: "Session", request_id: int, subscription: QuoteSubscription) -> None:
    quote, known = gateway.market.quote(subscription.instrument), subscription.sent
    if quote is known:
        return
    types = DELAYED_TYPES if subscription.delayed else LIVE_TYPES
    sizes = DELAYED_SIZE_TYPES if subscription.delayed else LIVE_SIZE_TYPES
    for name, tick_type in types.items():
        price, sized = getattr(quote, name), SIZED.get(name)
        size = 0 if sized is None else getattr(quote, sized)
        if known is None or price != getattr(known, name) or (sized and size != getattr(known, sized)):
            session.send(market_answers.tick_price(request_id, tick_type, price, size))
            if name in SIZED:
                session.send(market_answers.tick_size(request_id, sizes[name], size))
    if known is None or quote.volume != known.volume:
        session.send(market_answers.tick_size(request_id, sizes["volume"], quote.volume // VOLUME_UNIT))
    if not subscription.delayed and _traded(quote, known):
        moment = str(int(gateway.clock.now().timestamp()))
        session.send(market_answers.tick_string(request_id, LAST_TIME_TYPE, moment))
    if not subscription.delayed and (known is None or quote.halted != known.halted):
        session.send(market_answers.tick_generic(request_id, HALTED_TYPE, Decimal(int(quote.halted))))
    if subscription.instrument.sec_type == "OPT":
        options.send_computations(gateway, session, request_id, subscription, quote)
    subscription.sent = quote


def _traded(quote: Quote, known: Quote | None) -> bool:
    return known is None or quote.last != known.last or quote.volume != known.volume


def choose_market_data_type(_gateway: "Gateway", session: "Session", request: ReqMarketDataType) -> None:
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
