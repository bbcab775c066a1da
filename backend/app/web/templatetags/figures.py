"""Figures as the API writes them: `{{ order.quantity|shares }}`, `{{ order.average_price|price }}`."""

from decimal import Decimal

from django import template

from app.core.decimal_text import plain

register = template.Library()
NOTHING = "–"


@register.filter
def shares(value: Decimal | None) -> str:
    """Return a number of shares, or a dash."""
    return NOTHING if value is None or value == "" else plain(value)


@register.filter
def price(value: Decimal | None) -> str:
    """Return a price or an amount with two places at least, or a dash."""
    return NOTHING if value is None or value == "" else plain(value, places_min=2)
