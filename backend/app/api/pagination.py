"""Lists are read newest first, page by page, from a cursor: rows added meanwhile neither repeat nor hide others."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from app.core.errors import FixRequest

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200


class NewestFirstCursor(CursorPagination):
    """`{"next", "previous", "results"}`; `page_size` is at most 200."""

    ordering = "-id"
    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = PAGE_SIZE_MAX

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return one page. Raises FixRequest `cursor_invalid`."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError) as error:  # ValueError: a position that is no id.
            raise FixRequest("The cursor is not one that a page's link carries.", code="cursor_invalid") from error
