"""Market depth: the rows of the book, as insertions first and then as changes."""

from itertools import zip_longest
from typing import TYPE_CHECKING

from ib_simulator.errors import Refusal
from ib_simulator.handlers.contracts import find_instrument
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.market.depth import Level, book_levels
from ib_simulator.messages import stream_answers
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import Plain, RequestMessage
from ib_simulator.messages.stream_answers import ASK_SIDE, BID_SIDE, DELETE, INSERT, UPDATE
from ib_simulator.messages.stream_requests import ReqMktDepth, ReqSmartComponents
from ib_simulator.streams import DepthSubscription

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

SUBSCRIPTIONS_MAX = 3  # For the default 100 market data lines [DOC].
ROWS_MAX = 50
DEPTH_EXCHANGES = ("ISLAND", "ARCA", "NYSE", "BATS", "IEX", "BEX", "EDGEA", "DRCTEDGE")
COMPONENTS = (
    *(("AMEX", "A"), ("BEX", "B"), ("NYSE", "N"), ("ARCA", "P"), ("ISLAND", "Q"), ("BATS", "Z"), ("BYX", "Y")),
    *(("DRCTEDGE", "K"), ("EDGEA", "J"), ("IEX", "V"), ("CHX", "M"), ("PHLX", "X"), ("MEMX", "U")),
)


def request_depth(gateway: "Gateway", session: "Session", request: ReqMktDepth) -> None:
    """Send the book and then its changes.

    Raises Refusal 200, 309 (too many at once), 322 (id in use), 354 (no live data, by switch), 10092 (SMART without
    smart depth [CAPTURE market_depth_aapl], combinations).
    """
    instrument = find_instrument(gateway, request.contract)
    known = session.subscriptions.depths
    if request.request_id in known:
        raise Refusal(code=322, text="Error processing request.-'bL' : cause - Duplicate ticker id")
    directed = request.contract.exchange not in {"", "SMART"}
    if instrument.sec_type == "BAG" or not (request.smart or directed):
        text = "Deep market data is not supported for this combination of security type/exchange"
        raise Refusal(code=10092, text=text)
    if gateway.scenario.is_on("market_data", "delayed_only"):
        raise Refusal(code=354, text="Requested market data is not subscribed.")
    if len(known) >= SUBSCRIPTIONS_MAX:
        raise Refusal(code=309, text="Max number of market depth requests has been reached.")
    rows = min(max(request.rows, 1), ROWS_MAX)
    known[request.request_id] = DepthSubscription(instrument, rows, request.smart)
    if request.smart:
        text = f"Exchanges - Depth: {'; '.join(DEPTH_EXCHANGES)}; Top: {'; '.join(name for name, _ in COMPONENTS)}; "
        session.send_error(request_id=request.request_id, code=2152, text=text)
    _send_changes(gateway, session, request.request_id, known[request.request_id])


def push_depth(gateway: "Gateway", session: "Session") -> None:
    """Send every row that has changed."""
    for request_id, subscription in session.subscriptions.depths.items():
        _send_changes(gateway, session, request_id, subscription)


def _send_changes(gateway: "Gateway", session: "Session", request_id: int, subscription: DepthSubscription) -> None:
    quote = gateway.market.quote(subscription.instrument)
    bids, asks = book_levels(subscription.instrument, quote, rows=subscription.rows, seed=gateway.config.seed)
    for side, levels in ((BID_SIDE, bids), (ASK_SIDE, asks)):
        known = subscription.sent[side]
        for position, (before, level) in enumerate(zip_longest(known, levels)):
            if before == level:
                continue
            if level is None:
                # Rows move up when one goes, so what is too much always stands at the new end.
                _send_row(session, request_id, subscription, len(levels), DELETE, side, before)
            else:
                operation = INSERT if before is None else UPDATE
                _send_row(session, request_id, subscription, position, operation, side, level)
        subscription.sent[side] = levels


def _send_row(
    session: "Session",
    request_id: int,
    subscription: DepthSubscription,
    position: int,
    operation: int,
    side: int,
    level: Level,
) -> None:
    row = {"position": position, "operation": operation, "side": side, "size": level.size}
    if subscription.smart:
        exchange = DEPTH_EXCHANGES[int(level.price / subscription.instrument.tick) % len(DEPTH_EXCHANGES)]
        answer = stream_answers.smart_depth_row(request_id, exchange=exchange, price=level.price, **row)
    else:
        answer = stream_answers.depth_row(request_id, price=level.price, **row)
    session.send(answer)


def cancel_depth(_gateway: "Gateway", session: "Session", request_id: int) -> None:
    """Raises Refusal 310 for a subscription that does not exist."""
    if session.subscriptions.depths.pop(request_id, None) is None:
        raise Refusal(code=310, text=f"Can't find the subscribed market depth with tickerId:{request_id}")


def request_depth_exchanges(_gateway: "Gateway", session: "Session", _request: Plain) -> None:
    session.send(stream_answers.depth_exchanges(DEPTH_EXCHANGES))


def request_smart_components(_gateway: "Gateway", session: "Session", request: ReqSmartComponents) -> None:
    """Raises Refusal 321 for a map that tickReqParams never named."""
    if request.exchange != stream_answers.BBO_EXCHANGE:
        text = f"Error validating request.-'co' : cause - Invalid BBO exchange '{request.exchange}'"
        raise Refusal(code=321, text=text)
    session.send(stream_answers.smart_components(request.request_id, COMPONENTS))


HANDLERS: dict[type[RequestMessage], Handler] = {
    ReqMktDepth: request_depth,
    ReqSmartComponents: request_smart_components,
}
PLAIN: dict[Request, Handler] = {Request.REQ_MKT_DEPTH_EXCHANGES: request_depth_exchanges}
CANCELLERS: dict[Request, Canceller] = {Request.CANCEL_MKT_DEPTH: cancel_depth}
