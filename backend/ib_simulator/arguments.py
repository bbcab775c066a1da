"""The arguments of a control command, read with their types."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_simulator.errors import CommandError, MalformedMessage
from ib_simulator.fields import parse_decimal


class Arguments:
    """Every reader raises CommandError `bad_value` for a wrong type, and `missing_argument` where it must be given."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self._given(name, default)
        if not isinstance(value, str):
            raise CommandError(code="bad_value", message=f"{name} must be a text, not {value!r}")
        return value

    def integer(self, name: str, *, default: int | None = None) -> int:
        value = self._given(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 53:
            raise CommandError(code="bad_value", message=f"{name} must be an integer, not {value!r}")
        return value

    def optional_integer(self, name: str) -> int | None:
        return self.integer(name) if self.has(name) else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self._given(name, default)
        if not isinstance(value, bool):
            raise CommandError(code="bad_value", message=f"{name} must be true or false, not {value!r}")
        return value

    def decimal(self, name: str) -> Decimal:
        """Read a number given as text or as a JSON number."""
        value = self._given(name, None)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise CommandError(code="bad_value", message=f"{name} must be a number, not {value!r}")
        try:
            number = parse_decimal(str(value))
        except MalformedMessage as error:
            raise CommandError(code="bad_value", message=f"{name}: {error.reason}") from error
        if number is None:
            raise CommandError(code="bad_value", message=f"{name} must be a number, not {value!r}")
        return number

    def optional_decimal(self, name: str) -> Decimal | None:
        return self.decimal(name) if self.has(name) else None

    def moment(self, name: str) -> datetime:
        """Read a moment as ISO 8601 writes it, with its offset or as UTC with `Z`."""
        value = self.text(name)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise CommandError(code="bad_value", message=f"{name}: {error}") from error
        if moment.tzinfo is None:
            raise CommandError(code="bad_value", message=f"{name} needs its offset from UTC: {value}")
        return moment

    def positive(self, name: str) -> Decimal:
        number = self.decimal(name)
        if number <= 0:
            raise CommandError(code="bad_value", message=f"{name} must be above zero, not {number}")
        return number

    def texts(self, name: str, *, default: list[str] | None = None) -> list[str]:
        value = self._given(name, default)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise CommandError(code="bad_value", message=f"{name} must be a list of texts, not {value!r}")
        return value

    def _given(self, name: str, default: Any) -> Any:
        value = self._values.get(name)
        if value is not None:
            return value
        if default is None:
            raise CommandError(code="missing_argument", message=f"{name} is missing")
        return default
