"""Decimals as text: what is read is what is stored, without the zeros a column adds."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.decimal_text import plain


@pytest.mark.parametrize(
    ("value", "places_min", "text"),
    [
        ("185.00000000", 2, "185.00"),
        ("185.12500000", 2, "185.125"),
        ("185", 2, "185.00"),
        ("0.5", 2, "0.50"),
        ("10.0000", 0, "10"),
        ("100", 0, "100"),
        ("1E+2", 0, "100"),
        ("1E-7", 0, "0.0000001"),
        ("-3.50", 0, "-3.5"),
    ],
)
def test_a_decimal_as_it_is_read(value: str, places_min: int, text: str) -> None:
    assert plain(Decimal(value), places_min=places_min) == text


@settings(deadline=None)
@given(st.decimals("-1E12", "1E12", places=8), st.integers(min_value=0, max_value=8))
def test_no_digit_is_lost(value: Decimal, places_min: int) -> None:
    text = plain(value, places_min=places_min)
    places = text.partition(".")[2]
    assert Decimal(text) == value
    assert "E" not in text
    assert len(places) >= places_min
    assert len(places) == places_min or not places.endswith("0")
