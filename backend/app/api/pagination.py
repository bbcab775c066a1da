"""Lists are read newest first, page by page, from a cursor: rows added meanwhile neither repeat nor hide others."""

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from app.core.errors import FixRequest

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
PAGE_SIZE_DIGITS_MAX = 3
# What a cursor of ours says: after (or, reversed, before) which id.
_POSITION = re.compile(r"[0-9]{1,19}")


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

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where the page begins, None for the first one. Raises ValueError.

        REST framework skips what it cannot read and answers with the first page: who follows a damaged cursor would
        read the same rows for ever.
        """
        given = request.query_params.get(self.cursor_query_param)
        if given is None:
            return None
        pairs = parse_qsl(b64decode(given, validate=True).decode("ascii"), keep_blank_values=True, strict_parsing=True)
        said = dict(pairs)
        is_ours = len(said) == len(pairs) and set(said) in ({"p"}, {"r", "p"}) and said.get("r", "1") == "1"
        if not is_ours or not _POSITION.fullmatch(said["p"]):
            raise ValueError("not a cursor of ours")
        position: Any = said["p"]  # REST framework compares it as text, whatever its stubs say.
        return Cursor(offset=0, reverse="r" in said, position=position)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe the parameters, the bounds of `page_size` with them."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE}
        return parameters
