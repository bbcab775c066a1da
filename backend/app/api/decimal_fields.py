"""Decimals travel as strings, written plainly: no exponent, no zeros that only the column added.

No number is longer than its column; whether its value makes sense is for the domain to say.
"""

import re
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from app.core.decimal_text import plain

# As people write an amount: ASCII digits and one point; no plus, no exponent, no separators, no blanks.
_PLAIN = re.compile(r"^-?\d{1,40}(?:\.\d{1,40})?\Z", re.ASCII)


class PlainDecimal(serializers.DecimalField):
    """A decimal column; `places_min` decimal places are kept. It comes in as plain text, or as a JSON number."""

    places_min = 0
    default_error_messages = {"not_plain": 'Write the number plainly, as in "185.00".'}

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        """Say whether the value is absent; REST framework's own takes an empty text for null."""
        return serializers.Field.validate_empty_values(self, data)

    def to_internal_value(self, data: Any) -> Decimal:
        """Return the number exactly as it was written. Raises ValidationError."""
        written = str(data) if isinstance(data, Decimal | int) and not isinstance(data, bool) else data
        if not isinstance(written, str):
            self.fail("invalid")
        if not _PLAIN.match(written):
            self.fail("not_plain")
        return Decimal(super().to_internal_value(written))

    def to_representation(self, value: Any) -> str:
        """Return the plain text of a Decimal."""
        return plain(Decimal(value), places_min=self.places_min)


class Price(PlainDecimal):
    """A price per share, "185.00": as many places as it has, but two at least."""

    places_min = 2

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=20, decimal_places=8, **kwargs)


class Money(PlainDecimal):
    """An amount of money, "1000.00"."""

    places_min = 2

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=20, decimal_places=4, **kwargs)


class Quantity(PlainDecimal):
    """A number of shares, "10"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=20, decimal_places=4, **kwargs)


class Percent(PlainDecimal):
    """A percentage: "2" is 2 %."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=7, decimal_places=4, **kwargs)


class Fraction(PlainDecimal):
    """A part of the whole: "0.5" is half."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=7, decimal_places=6, **kwargs)
