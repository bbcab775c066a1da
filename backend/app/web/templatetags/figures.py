"""Figures as the API writes them (`{{ order.quantity|shares }}`, `{{ fill.price|price }}`), and what was told."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from app.core.decimal_text import plain
from app.executions.event_text import event_line

register = template.Library()
NOTHING = "–"
EXCHANGE = ZoneInfo("America/New_York")


@register.filter
def shares(value: Decimal | None) -> str:
    """Return a number of shares, or a dash."""
    return NOTHING if value is None or value == "" else plain(value)


@register.filter
def price(value: Decimal | None) -> str:
    """Return a price or an amount with two places at least, or a dash."""
    return NOTHING if value is None or value == "" else plain(value, places_min=2)


@register.filter
def money(value: Decimal | None) -> str:
    """Return an amount of money, grouped and with two places, or a dash: `1,000,123.50`."""
    return NOTHING if value is None or value == "" else f"{value:,.2f}"


@register.filter
def moment(value: datetime | None) -> SafeString:
    """Return a time in UTC, as records are kept, with the time at the exchange beside it; or a dash."""
    if value is None or value == "":
        return format_html("{}", NOTHING)
    utc, there = value.astimezone(UTC), value.astimezone(EXCHANGE)
    day = "" if there.date() == utc.date() else f"{there:%b %d} "
    return format_html(
        '<time datetime="{}">{} UTC <small class="there">{}{} {} New York</small></time>',
        utc.isoformat(timespec="seconds"),
        f"{utc:%Y-%m-%d %H:%M:%S}",
        day,
        f"{there:%H:%M:%S}",
        f"{there:%Z}",  # In autumn one hour comes twice, once as EDT and once as EST.
    )


@register.filter
def told(payload: Mapping[str, Any]) -> str:
    """Return what a stored event says, in a line."""
    return event_line(payload)
