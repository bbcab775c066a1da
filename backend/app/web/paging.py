"""Lists page by page from a row: the same figures however many rows there are, and no row twice when one is added.

    ?before=<row>   the rows that follow it in the list's order      ?after=<row>   those that precede it

A row is named by what the list is sorted by, its id last: `117`, or `AAPL~117` where it is sorted by symbol. In a list
of the newest first, what follows is older.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import QueryDict

PAGE_SIZE = 50
ID_DIGITS_MAX = 18
# What a page's stream is asked beside the page's own filters, and what only the page after an archive shows.
NO_FILTERS = ("view", "standing", "put_away")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sort:
    """An order of rows: by `column` ascending where there is one, then by id; and what its links are called."""

    label: str
    column: str = ""
    newest_first: bool = True
    back: str = "Newer"
    further: str = "Older"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The rows of one page; `older` and `newer` are what the next and the previous page begin at, or None.

    `asked` are the filters in the page's address, for the links to its neighbours.
    """

    rows: list[Any]
    older: str | None
    newer: str | None
    sort: Sort
    asked: QueryDict


NEWEST = Sort(label="Newest first")
OLDEST = Sort(label="Oldest first", newest_first=False, back="Older", further="Newer")
BY_SYMBOL = Sort(label="By symbol", column="symbol", back="Previous", further="Next")


def page_of(rows: QuerySet[Any], *, asked: QueryDict, sort: Sort = NEWEST) -> Page:
    """Return the page that follows the row `before`, or precedes `after`; the first where neither names a row."""
    following, preceding = _row_named(asked.get("before", ""), sort), _row_named(asked.get("after", ""), sort)
    is_backward = following is None and preceding is not None
    row = preceding if is_backward else following
    if row is not None:
        rows = rows.filter(_beyond(row, sort=sort, is_backward=is_backward))
    found = list(rows.order_by(*_order(sort, is_backward=is_backward))[: PAGE_SIZE + 1])
    has_more = len(found) > PAGE_SIZE
    found = found[:PAGE_SIZE]
    if is_backward:
        found.reverse()
    first, last = (_name(found[0], sort), _name(found[-1], sort)) if found else (None, None)
    has_older, has_newer = (True, has_more) if is_backward else (has_more, following is not None)
    filters = asked.copy()
    for name in NO_FILTERS:
        filters.pop(name, None)
    older, newer = last if has_older else None, first if has_newer else None
    return Page(rows=found, older=older, newer=newer, sort=sort, asked=filters)


def is_id(text: str) -> bool:
    """Say whether the text can be the id of a row."""
    return text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX


def _row_named(text: str, sort: Sort) -> tuple[str, int] | None:
    value, _, pk = text.rpartition("~")
    if not is_id(pk) or bool(value) != bool(sort.column) or not value.isprintable():
        return None
    return value, int(pk)


def _name(row: Any, sort: Sort) -> str:
    return f"{getattr(row, sort.column)}~{row.pk}" if sort.column else str(row.pk)


def _beyond(row: tuple[str, int], *, sort: Sort, is_backward: bool) -> Q:
    value, pk = row
    by_id = Q(pk__lt=pk) if sort.newest_first != is_backward else Q(pk__gt=pk)
    if not sort.column:
        return by_id
    return Q(**{f"{sort.column}__{'lt' if is_backward else 'gt'}": value}) | (Q(**{sort.column: value}) & by_id)


def _order(sort: Sort, *, is_backward: bool) -> list[str]:
    by_id = "-pk" if sort.newest_first != is_backward else "pk"
    return [("-" if is_backward else "") + sort.column, by_id] if sort.column else [by_id]
