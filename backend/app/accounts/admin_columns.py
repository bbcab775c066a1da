"""What the admin's lists and tables are made of: a heading together with what stands under it.

A heading and its value are one `Column`, so that no list of headings can fall out of step with a list of cells. The
same columns make a table on a page (`table`) and a CSV file (`admin_export`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from app.core.decimal_text import plain

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A heading, and the function that reads from a row what stands under it."""

    heading: str
    read: Callable[[Any], Any]
    is_number: bool = False


def moment(value: datetime | None) -> str:
    """Return a time as the whole admin writes it: `2026-11-26 22:18:05Z`."""
    return NOTHING if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def price(value: Decimal | None) -> str:
    """Return a price or an amount of money, with two places at least."""
    return NOTHING if value is None else plain(value, places_min=2)


def number(value: Decimal | None) -> str:
    """Return a number of shares, or another number, without the zeros that its column adds."""
    return NOTHING if value is None else plain(value)


def decimal_shown(name: str, description: str, *, places_min: int = 0) -> Callable[[Any, Any], str]:
    """Return a method of a ModelAdmin that shows the decimal field `name` plainly (Django would write 3.0000)."""

    @admin.display(description=description, ordering=name)
    def shown(_admin: Any, row: Any) -> str:
        value = getattr(row, name)
        return NOTHING if value is None else plain(value, places_min=places_min)

    return shown


def table(columns: Sequence[Column], rows: Iterable[Any], *, caption: str) -> SafeString:
    """Return the rows as a table; a dash where there are none. The caption is read to those who cannot see it."""
    body = format_html_join("", "<tr>{}</tr>", ((_cells(columns, row),) for row in rows))
    if not body:
        return format_html("{}", NOTHING)
    head = format_html_join("", '<th scope="col"{}>{}</th>', ((_class(column), column.heading) for column in columns))
    return format_html(
        '<div class="record" role="region" aria-label="{}" tabindex="0"><table><caption class="visually-hidden">{}'
        "</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        caption,
        caption,
        head,
        body,
    )


def _cells(columns: Sequence[Column], row: Any) -> SafeString:
    return format_html_join("", "<td{}>{}</td>", ((_class(column), column.read(row)) for column in columns))


def _class(column: Column) -> SafeString:
    return format_html(' class="{}"', "n") if column.is_number else format_html("{}", "")
