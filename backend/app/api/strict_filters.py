"""Query parameters say exactly what they mean: one we do not know is refused, not ignored.

A misspelt filter that is silently dropped answers with everything, and a script acts on it.
"""

from typing import Any

import django_filters
from django.utils.datastructures import MultiValueDict
from rest_framework import serializers

from app.api.pagination import NewestFirstCursor

_PAGING = {NewestFirstCursor.cursor_query_param, NewestFirstCursor.page_size_query_param}


class StrictFilters(django_filters.FilterSet):
    """Filters that refuse unknown query parameters."""

    def __init__(self, data: MultiValueDict[str, str] | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        unknown = sorted(set(data or {}) - set(self.filters) - _PAGING)
        if unknown:
            raise serializers.ValidationError(
                {name: [serializers.ErrorDetail("There is no such filter.", code="unknown_field")] for name in unknown}
            )
