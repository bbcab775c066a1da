"""The text fields of a message: NUL-ended strings that stand for numbers, flags, and "not set".

IB writes "not set" as an empty field, as the largest double, or as the largest 32-bit integer; all three are read as
None.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from ib_simulator.errors import MalformedMessage

Value = str | int | Decimal | bool | None

UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INTEGER = 2147483647
_UNSET_DOUBLE_DECIMAL = Decimal("1.7976931348623157E+308")


def to_text(value: Value) -> str:
    """Write a value as IB does: flags as 1 and 0, decimals without an exponent, None as an empty field."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def encode_fields(values: Iterable[Value]) -> bytes:
    """Write the payload of a frame. A NUL inside a text would split the field, so it is dropped."""
    texts = [value if type(value) is str else to_text(value) for value in values]
    joined = "\0".join([*texts, ""])
    # Looked for once in the whole: this is where a busy simulator spends its time.
    if joined.count("\0") != len(texts):
        joined = "\0".join([*(text.replace("\0", "") for text in texts), ""])
    return joined.encode("utf-8", "replace")


def decode_fields(payload: bytes) -> list[str]:
    """Split a payload into its fields; bytes that are not UTF-8 are kept readable as escapes."""
    parts = payload.decode("utf-8", "backslashreplace").split("\0")
    return parts[:-1] if parts[-1] == "" else parts


def parse_integer(text: str, *, default: int | None = None) -> int | None:
    """Read an integer field. Raises MalformedMessage for anything else than an integer or "not set"."""
    if text == "":
        return default
    try:
        number = int(text)
    except ValueError:
        decimal = parse_decimal(text)
        if decimal is None:
            return default
        if decimal != decimal.to_integral_value():
            raise MalformedMessage(f"{text!r} is not an integer") from None
        number = int(decimal)
    if abs(number) >= 1 << 63:
        raise MalformedMessage(f"{text!r} does not fit an integer field")
    return default if number == UNSET_INTEGER else number


def parse_decimal(text: str) -> Decimal | None:
    """Read a price or a size; None when not set. Raises MalformedMessage for anything that is not a finite number."""
    if text == "":
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise MalformedMessage(f"{text!r} is not a number") from None
    if not number.is_finite():
        raise MalformedMessage(f"{text!r} is not a finite number")
    if number >= _UNSET_DOUBLE_DECIMAL:
        return None
    # Twelve digits on either side are more than any price or size has; beyond that arithmetic would not be exact.
    if number and not -12 <= number.adjusted() <= 12:
        raise MalformedMessage(f"{text!r} is out of range")
    return number.normalize() if number else Decimal(0)


class FieldReader:
    """Reads the fields of one message in order."""

    def __init__(self, fields: list[str]) -> None:
        self._fields = fields
        self._next = 0

    @property
    def remaining(self) -> int:
        return len(self._fields) - self._next

    def text(self) -> str:
        """Return the next field. Raises MalformedMessage at the end of the message."""
        if self._next >= len(self._fields):
            raise MalformedMessage(f"the message ends after {len(self._fields)} fields")
        value = self._fields[self._next]
        self._next += 1
        return value

    def integer(self, *, default: int = 0) -> int:
        number = parse_integer(self.text(), default=default)
        return default if number is None else number

    def decimal(self) -> Decimal | None:
        return parse_decimal(self.text())

    def flag(self) -> bool:
        text = self.text()
        if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        return bool(parse_integer(text, default=0))

    def count(self, *, most: int) -> int:
        """Read how many groups follow. Raises MalformedMessage for a negative number or one above `most`."""
        number = self.integer()
        if not 0 <= number <= most:
            raise MalformedMessage(f"{number} groups are announced, at most {most} are allowed")
        return number

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.text()

    def named(self, names: Iterable[str]) -> dict[str, str]:
        """Read one field per name."""
        return {name: self.text() for name in names}

    def group(self, size: int) -> tuple[str, ...]:
        return tuple(self.text() for _ in range(size))


def pick(fields: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Write fields in the order of `names`; a name that is not there is an empty field."""
    return [fields.get(name, "") for name in names]


def names(text: str) -> tuple[str, ...]:
    """Split a list of field names, for layouts that read like the documentation."""
    return tuple(text.split())
