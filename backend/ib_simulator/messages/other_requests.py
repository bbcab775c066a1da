"""Decode what is answered without looking further: news, scanners, fundamentals, advisor and calendar data."""

from dataclasses import dataclass

from ib_simulator.errors import NO_REQUEST_ID
from ib_simulator.fields import FieldReader
from ib_simulator.messages.ids import REQUEST_ID_POSITION, Request
from ib_simulator.messages.request import Decoder, RequestMessage


@dataclass(frozen=True)
class OtherRequest(RequestMessage):
    """A request of which only the kind and the id matter; -1 where it has none."""

    kind: Request
    request_id: int


KINDS = (
    Request.REQ_NEWS_BULLETINS,
    Request.CANCEL_NEWS_BULLETINS,
    Request.REQUEST_FA,
    Request.REPLACE_FA,
    Request.EXERCISE_OPTIONS,
    Request.REQ_SCANNER_SUBSCRIPTION,
    Request.CANCEL_SCANNER_SUBSCRIPTION,
    Request.REQ_SCANNER_PARAMETERS,
    Request.REQ_FUNDAMENTAL_DATA,
    Request.CANCEL_FUNDAMENTAL_DATA,
    Request.QUERY_DISPLAY_GROUPS,
    Request.SUBSCRIBE_TO_GROUP_EVENTS,
    Request.UPDATE_DISPLAY_GROUP,
    Request.UNSUBSCRIBE_FROM_GROUP_EVENTS,
    Request.REQ_SOFT_DOLLAR_TIERS,
    Request.REQ_FAMILY_CODES,
    Request.REQ_NEWS_ARTICLE,
    Request.REQ_NEWS_PROVIDERS,
    Request.REQ_HISTORICAL_NEWS,
    Request.REQ_WSH_META_DATA,
    Request.CANCEL_WSH_META_DATA,
    Request.REQ_WSH_EVENT_DATA,
    Request.CANCEL_WSH_EVENT_DATA,
    Request.REQ_USER_INFO,
)
# Those without an id that say the version of the message.
VERSIONED = frozenset(
    {
        Request.REQ_NEWS_BULLETINS,
        Request.CANCEL_NEWS_BULLETINS,
        Request.REQUEST_FA,
        Request.REQ_SCANNER_PARAMETERS,
    }
)


def _read(kind: Request) -> Decoder:
    position = REQUEST_ID_POSITION.get(kind)

    def read(reader: FieldReader, _version: int) -> RequestMessage:
        if position is None:
            reader.skip(1 if kind in VERSIONED else 0)
            return OtherRequest(kind, NO_REQUEST_ID)
        reader.skip(position - 1)
        return OtherRequest(kind, reader.integer(default=NO_REQUEST_ID))

    return read


DECODERS: dict[Request, Decoder] = {kind: _read(kind) for kind in KINDS}
