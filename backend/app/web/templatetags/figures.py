"""Figures as the API writes them (`{{ order.quantity|shares }}`, `{{ fill.price|price }}`), and what was told."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

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


@register.filter
def told(payload: Mapping[str, Any]) -> str:
    """Return what a stored event says, in a line."""
    if "exec_id" in payload and "price" in payload:
        return f"{payload['action']} {payload['quantity']} at {payload['price']}"
    if "exec_id" in payload:
        return f"{payload['amount']} {payload['currency']}"
    if "text" in payload:
        return f"{payload['code']}: {payload['text']}"
    return str(payload.get("evidence") or payload.get("raw_status", ""))
