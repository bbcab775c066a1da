"""Lists page by page, newest first, from an id: the same figures however many rows there are."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

PAGE_SIZE = 50
ID_DIGITS_MAX = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The rows of one page; `older` is what the next page begins after, or None on the last one."""

    rows: list[Any]
    older: int | None


def page_of(rows: QuerySet[Any], *, before: str) -> Page:
    """Return the page of rows older than the id `before`; the newest where that is no id."""
    if before.isascii() and before.isdigit() and len(before) <= ID_DIGITS_MAX:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.order_by("-pk")[: PAGE_SIZE + 1])
    return Page(rows=found[:PAGE_SIZE], older=found[PAGE_SIZE - 1].pk if len(found) > PAGE_SIZE else None)


def symbol_asked_for(request: HttpRequest) -> str:
    """Return the symbol that a list is narrowed to, or ""."""
    symbol = request.GET.get("symbol", "").strip().upper()
    return symbol if symbol.isprintable() else ""
