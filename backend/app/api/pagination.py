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
PAGE_SIZE_DIGITS_MAX = 3


class NewestFirstCursor(CursorPagination):
    """`{"next", "previous", "results"}`; `page_size` is 1 to 200."""

    ordering = "-id"
    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = PAGE_SIZE_MAX

    def get_page_size(self, request: Request) -> int:
        """Return how many rows a page has. Raises FixRequest `page_size_invalid`."""
        asked = request.query_params.get(self.page_size_query_param)
        if asked is None:
            return self.page_size
        size = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= PAGE_SIZE_DIGITS_MAX else 0
        if not 1 <= size <= PAGE_SIZE_MAX:
            raise FixRequest(f"A page has 1 to {PAGE_SIZE_MAX} rows.", code="page_size_invalid")
        return size

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return one page. Raises FixRequest `cursor_invalid`."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError) as error:  # ValueError: a position that is no id.
            raise FixRequest("The cursor is not one that a page's link carries.", code="cursor_invalid") from error

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe the parameters, the bounds of `page_size` with them."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE}
        return parameters
