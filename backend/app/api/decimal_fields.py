"""Decimals travel as strings, written plainly: no exponent, no zeros that only the column added.

No number is longer than its column; whether its value makes sense is for the domain to say.
"""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from app.core.decimal_text import plain


class PlainDecimal(serializers.DecimalField):
    """A decimal column; `places_min` decimal places are kept."""

    places_min = 0

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
