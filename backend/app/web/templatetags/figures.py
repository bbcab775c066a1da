"""Figures as the API writes them (`{{ order.quantity|shares }}`, `{{ fill.price|price }}`), and what was told."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import template

from app.core.decimal_text import plain
from app.executions.event_text import event_line

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


@register.filter
def told(payload: Mapping[str, Any]) -> str:
    """Return what a stored event says, in a line."""
    return event_line(payload)
