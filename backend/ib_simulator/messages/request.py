"""What every decoded request is, and the shapes that several requests share."""

from collections.abc import Callable
from dataclasses import dataclass

from ib_simulator.fields import FieldReader
from ib_simulator.messages.ids import Request


@dataclass(frozen=True)
class RequestMessage:
    """Base of all decoded requests. One that carries an id of its own has it as `request_id`."""


Decoder = Callable[[FieldReader, int], RequestMessage]


@dataclass(frozen=True)
class Plain(RequestMessage):
    """A request without anything to say but its number."""

    kind: Request


@dataclass(frozen=True)
class CancelRequest(RequestMessage):
    """Ends a subscription or takes a question back."""

    kind: Request
    request_id: int


def read_plain(kind: Request) -> Decoder:
    """Return the decoder of a request that says nothing but its number."""
    return lambda _reader, _version: Plain(kind)


def read_cancel(kind: Request, *, has_version: bool = True) -> Decoder:
    """Return the decoder of a request that names the id to end, most often after a message version."""

    def read(reader: FieldReader, _version: int) -> RequestMessage:
        if has_version:
            reader.skip(1)
        return CancelRequest(kind=kind, request_id=reader.integer())

    return read
