"""One message to a client: its name and its fields, which may differ between server versions.

An answer is encoded for each receiver, because clients of different versions may be connected at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ib_simulator.fields import Value, encode_fields
from ib_simulator.framing import frame
from ib_simulator.market.instruments import Instrument
from ib_simulator.messages.ids import Version

PRICE_PLACES = Decimal("0.00000001")


@dataclass(frozen=True)
class Answer:
    """A message to a client; `fields` gives its fields for a server version, the message number first.

    `written` is its frame where that is known already.
    """

    name: str
    fields: Callable[[int], Sequence[Value]]
    written: bytes | None = None

    def encode(self, version: int) -> bytes:
        return frame(encode_fields(self.fields(version))) if self.written is None else self.written


class Tick:
    """What many clients are told alike, each under its own request id: written once for all of them."""

    __slots__ = ("_begin", "_end", "_head", "_name", "_tail")

    def __init__(self, name: str, head: tuple[int, int], *tail: Value) -> None:
        """Take the number and version of the message, and what follows the request id."""
        self._name, self._head, self._tail = name, head, tail
        self._begin, self._end = encode_fields(head), encode_fields(tail)

    def to(self, request_id: int) -> Answer:
        return Answer(
            self._name, lambda _version: (*self._head, request_id, *self._tail), self.frame(b"%d\0" % request_id)
        )

    def frame(self, request_id: bytes) -> bytes:
        """Return the frame for an id that is already written as a field."""
        return frame(b"%b%b%b" % (self._begin, request_id, self._end))


def plain(name: str, *values: Value) -> Answer:
    """An answer that is the same in every version."""
    return Answer(name, lambda _version: values)


def rounded(value: Decimal) -> Decimal:
    """Return a price as it is written: eight places, no trailing zeros."""
    return value.quantize(PRICE_PLACES).normalize() if value else Decimal(0)


def error(request_id: int, code: int, text: str) -> Answer:
    def fields(version: int) -> Sequence[Value]:
        values: list[Value] = [4, 2, request_id, code, text]
        return [*values, ""] if version >= Version.ADVANCED_ORDER_REJECT else values

    return Answer("error", fields)


def listed_contract(listed: Instrument) -> list[Value]:
    """Return how an answer names a contract: id, symbol, type, expiry, strike, right, multiplier."""
    strike = listed.strike or "0.0"
    return [listed.con_id, listed.symbol, listed.sec_type, listed.expiry, strike, listed.right, listed.multiplier]
