"""Decimals as people and programs read them: plain, without exponent and without the zeros a column adds."""

from decimal import Decimal


def plain(value: Decimal, *, places_min: int = 0) -> str:
    """Return `value` without exponent or trailing zeros, but with at least `places_min` decimal places.

    `plain(Decimal("185.00000000"), places_min=2)` is "185.00", `plain(Decimal("1E+2"))` is "100".
    """
    text = f"{value:f}"
    whole, _, places = text.partition(".")
    places = places.rstrip("0").ljust(places_min, "0")
    return f"{whole}.{places}" if places else whole
