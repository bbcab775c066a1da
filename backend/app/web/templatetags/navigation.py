"""The header of every page: the links, which say where the visitor is, the account's figures, and the time."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from app.core import clock
from app.web.account_figures import AccountFigures, figures_for

register = template.Library()


@register.simple_tag(takes_context=True)
def nav_link(context: dict[str, Any], view: str, text: str, kind: str = "") -> SafeString:
    """Return a link to a list of ours. It is `page` on that list itself, and `true` on the pages that belong to it."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    here = match.view_name if match else ""
    section = view.rpartition("-")[0] or view
    current = "page" if here == view else "true" if here.startswith(f"{section}-") else ""
    return format_html(
        '<a href="{}"{}{}>{}</a>',
        reverse(view),
        format_html(' class="{}"', kind) if kind else "",
        format_html(' aria-current="{}"', current) if current else "",
        text,
    )


@register.simple_tag(takes_context=True)
def figures_shown(context: dict[str, Any]) -> AccountFigures | None:
    """Return the account's figures for this visitor, or None where none are to be shown."""
    request = context.get("request")
    return figures_for(request, account_id=context["trading"].account) if request is not None else None


@register.simple_tag
def now_at_the_desk() -> datetime:
    """Return the time by the server's clock, in UTC."""
    return clock.now()


@register.filter
def in_utc(moment: datetime) -> str:
    """Return a time for programs: `2026-11-26T22:18:05Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@register.filter
def time_in(moment: datetime, zone: str) -> str:
    """Return the time of day in a zone, with its seconds. A template's `date` would turn it back into UTC."""
    return f"{moment.astimezone(ZoneInfo(zone)):%H:%M:%S}"


@register.filter
def zone_name(moment: datetime, zone: str) -> str:
    """Return what a zone's time is called at that moment: `EDT` in summer, `EST` in winter."""
    return f"{moment.astimezone(ZoneInfo(zone)):%Z}"
