"""Lists page by page, newest first, from an id: the same figures however many rows there are."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

PAGE_SIZE = 50
ID_DIGITS_MAX = 18
# What a page's stream is asked beside the page's own filters.
STREAM_ONLY = ("view", "standing")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The rows of one page; `older` is what the next page begins after, or None on the last one.

    `asked` are the filters in the page's address, for the link to the older ones.
    """

    rows: list[Any]
    older: int | None
    asked: QueryDict


def page_of(rows: QuerySet[Any], *, asked: QueryDict) -> Page:
    """Return the page of rows older than the id `before` that is asked for; the newest where that is no id."""
    before = asked.get("before", "")
    if before.isascii() and before.isdigit() and len(before) <= ID_DIGITS_MAX:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    filters = asked.copy()
    for name in STREAM_ONLY:
        filters.pop(name, None)
    older = found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None
    return Page(rows=found[:PAGE_SIZE], older=older, asked=filters)


def symbol_asked_for(asked: QueryDict) -> str:
    """Return the symbol that a list is narrowed to, or ""."""
    symbol = asked.get("symbol", "").strip().upper()
    return symbol if symbol.isprintable() else ""
