"""The admin's lists as CSV files: what the list shows now (searched, narrowed), whole, newest first.

    GET .../export/?q=AAPL ─> may view? ─> rows counted, too many refused ─> 500 rows read, written, sent ─> next 500 …

The file is sent while it is read, a batch at a time, so its length costs no memory and no database connection waits for
a slow reader. Spreadsheets run what begins with `=`, `+`, `-` or `@` as a formula, and some text in here is written by
others (a note, a broker's message): such a cell begins with an apostrophe, which spreadsheets take for "this is text".
Numbers are ours and stay numbers, so that -17.31 can be summed.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.cache import patch_cache_control

from app.accounts.admin_columns import Column, moment
from app.accounts.read_only_admin import ReadOnlyAdmin
from app.core import clock
from app.core.decimal_text import plain

ROWS_MAX = 500_000
ROWS_OF_A_BATCH = 500
# The last four are the same signs as East Asian keyboards write them; spreadsheets take them for the others.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class ExportingAdmin(ReadOnlyAdmin):
    """A list that can be taken away as a CSV file by everybody who may view it."""

    change_list_template = "admin/exported_change_list.html"
    export_columns: tuple[Column, ...] = ()

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's addresses and `export/`."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(self.export), name=name), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list with the link to the file of the same rows."""
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_export")
        query = request.GET.copy()
        for own in ("p", "all", "o"):
            query.pop(own, None)
        shown = {"export_address": f"{address}?{query.urlencode()}" if query else address}
        return super().changelist_view(request, extra_context=shown | (extra_context or {}))

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Send what the list shows as a CSV file. The query is the list's own."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = self.get_changelist_instance(request).get_queryset(request)
        if rows.order_by()[: ROWS_MAX + 1].count() > ROWS_MAX:
            text = f"More than {ROWS_MAX:,} rows are not exported at once: narrow the list, by time for example."
            self.message_user(request, text, messages.ERROR)
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        name = f"{str(self.opts.verbose_name_plural).replace(' ', '-')}-{clock.now():%Y%m%dT%H%M%SZ}.csv"
        answer = StreamingHttpResponse(
            _lines(rows, self.export_columns),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        patch_cache_control(answer, no_store=True, private=True)
        return answer


async def _lines(rows: QuerySet[Any], columns: Sequence[Column]) -> AsyncIterator[bytes]:
    yield _csv([[column.heading for column in columns]])
    last: int | None = None
    while True:
        batch, last = await sync_to_async(_batch)(rows, columns, last)
        if last is None:
            return
        yield batch


def _batch(rows: QuerySet[Any], columns: Sequence[Column], last: int | None) -> tuple[bytes, int | None]:
    """Return the lines of the rows below `last`, and the id of the last one; None where nothing is left."""
    try:
        below = rows if last is None else rows.filter(pk__lt=last)
        batch = list(below.order_by("-pk")[:ROWS_OF_A_BATCH])
        lines = _csv([cell(column.read(row)) for column in columns] for row in batch)
        return lines, batch[-1].pk if batch else None
    finally:
        # Whoever reads slowly must not keep a connection of the pool meanwhile.
        if not connection.in_atomic_block:
            connection.close()


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def cell(value: Any) -> str:
    """Return a value as it stands in the file. Text that a spreadsheet would run becomes text by an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA_SIGNS) or text.lstrip().startswith(FORMULA_SIGNS) else text
