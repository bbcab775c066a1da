"""Decode any request: the frame's number chooses the decoder, each kind of request has a module of its own."""

from dataclasses import dataclass

from ib_simulator.errors import NO_REQUEST_ID, MalformedMessage, UnsupportedMessage
from ib_simulator.fields import FieldReader, parse_integer
from ib_simulator.messages import (
    account_requests,
    contract_requests,
    market_requests,
    option_requests,
    order_requests,
    other_requests,
    stream_requests,
)
from ib_simulator.messages.ids import REQUEST_ID_POSITION, UNSERVED, Request
from ib_simulator.messages.request import Decoder, RequestMessage, read_plain


@dataclass(frozen=True)
class StartApi(RequestMessage):
    client_id: int


def _start_api(reader: FieldReader, _version: int) -> RequestMessage:
    reader.skip(1)
    return StartApi(client_id=reader.integer())


_PLAIN = (
    Request.REQ_OPEN_ORDERS,
    Request.REQ_IDS,
    Request.SET_SERVER_LOG_LEVEL,
    Request.REQ_ALL_OPEN_ORDERS,
    Request.REQ_MANAGED_ACCOUNTS,
    Request.REQ_CURRENT_TIME,
    Request.REQ_GLOBAL_CANCEL,
    Request.REQ_POSITIONS,
    Request.CANCEL_POSITIONS,
)
DECODERS: dict[Request, Decoder] = {
    Request.START_API: _start_api,
    **{kind: read_plain(kind) for kind in _PLAIN},
    **order_requests.DECODERS,
    **account_requests.DECODERS,
    **contract_requests.DECODERS,
    **market_requests.DECODERS,
    **option_requests.DECODERS,
    **stream_requests.DECODERS,
    **other_requests.DECODERS,
}


def decode(fields: list[str], version: int) -> RequestMessage:
    """Decode one frame's fields.

    Raises UnsupportedMessage for a message that is not served and MalformedMessage for one that cannot be read; both
    carry the request id when the frame still shows it.
    """
    number = _message_number(fields)
    reader = FieldReader(fields[1:])
    if number in DECODERS:
        return _decode_named(fields, number, version, reader)
    if number in UNSERVED:
        name, position = UNSERVED[number]
        raise UnsupportedMessage(
            code=321,
            text=f"Error validating request.-'{name}' : cause - This request is not supported by the simulator.",
            request_id=_request_id(fields, position),
        )
    raise UnsupportedMessage(code=505, text=f"Fatal Error: Unknown message id.{number}")


def request_id_of(fields: list[str]) -> int:
    """Return the id a served request carries; -1 when it carries none or cannot be read."""
    try:
        return _request_id(fields, REQUEST_ID_POSITION.get(_message_number(fields)))
    except MalformedMessage:
        return NO_REQUEST_ID


def _decode_named(fields: list[str], number: int, version: int, reader: FieldReader) -> RequestMessage:
    try:
        return DECODERS[Request(number)](reader, version)
    except MalformedMessage as error:
        error.request_id = _request_id(fields, REQUEST_ID_POSITION.get(number))
        raise


def _message_number(fields: list[str]) -> int:
    try:
        number = parse_integer(fields[0]) if fields else None
    except MalformedMessage:
        number = None
    if number is None:
        raise MalformedMessage("the message has no number")
    return number


def _request_id(fields: list[str], position: int | None) -> int:
    if position is None or position >= len(fields):
        return NO_REQUEST_ID
    try:
        number = parse_integer(fields[position])
    except MalformedMessage:
        return NO_REQUEST_ID
    return NO_REQUEST_ID if number is None else number
