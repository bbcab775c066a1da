"""Which handler answers which request. A refusal becomes an error on the request's id."""

from typing import TYPE_CHECKING

from ib_simulator.errors import NO_REQUEST_ID, Refusal
from ib_simulator.faults import admission
from ib_simulator.handlers import (
    accounts,
    bars,
    connection,
    contracts,
    depth,
    lookback,
    options,
    orders,
    others,
    pnl,
    positions,
    quotes,
    real_time_bars,
    ticks,
)
from ib_simulator.handlers.handler import Canceller, Handler
from ib_simulator.messages.ids import Request
from ib_simulator.messages.request import CancelRequest, Plain, RequestMessage

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway
    from ib_simulator.session import Session

HANDLERS: dict[type[RequestMessage], Handler] = {
    **connection.HANDLERS,
    **orders.HANDLERS,
    **accounts.HANDLERS,
    **positions.HANDLERS,
    **pnl.HANDLERS,
    **contracts.HANDLERS,
    **options.HANDLERS,
    **quotes.HANDLERS,
    **bars.HANDLERS,
    **real_time_bars.HANDLERS,
    **ticks.HANDLERS,
    **depth.HANDLERS,
    **lookback.HANDLERS,
    **others.HANDLERS,
}
PLAIN: dict[Request, Handler] = {**connection.PLAIN, **orders.PLAIN, **positions.PLAIN, **depth.PLAIN}
CANCELLERS: dict[Request, Canceller] = {
    **accounts.CANCELLERS,
    **positions.CANCELLERS,
    **pnl.CANCELLERS,
    **options.CANCELLERS,
    **quotes.CANCELLERS,
    **bars.CANCELLERS,
    **real_time_bars.CANCELLERS,
    **ticks.CANCELLERS,
    **depth.CANCELLERS,
    **lookback.CANCELLERS,
}


def dispatch(gateway: "Gateway", session: "Session", request: RequestMessage) -> None:
    """Answer one request of a session that has completed startApi."""
    try:
        if admission.is_admitted(gateway, session, request):
            _answer(gateway, session, request)
    except Refusal as refusal:
        request_id = getattr(request, "request_id", NO_REQUEST_ID)
        session.send_error(request_id=request_id, code=refusal.code, text=refusal.text)


def _answer(gateway: "Gateway", session: "Session", request: RequestMessage) -> None:
    if isinstance(request, Plain):
        PLAIN[request.kind](gateway, session, request)
    elif isinstance(request, CancelRequest):
        CANCELLERS[request.kind](gateway, session, request.request_id)
    else:
        HANDLERS[type(request)](gateway, session, request)
