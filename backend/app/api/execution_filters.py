"""What lists of executions can be narrowed by."""

from typing import Any

import django_filters
from django.db.models import QuerySet

from app.api.strict_filters import StrictFilters
from app.domain.execution_status import ExecutionStatus
from app.executions.models import Execution


class ExecutionFilters(StrictFilters):
    """`status` may be given several times; times are ISO 8601, `date_to` not included."""

    symbol = django_filters.CharFilter(lookup_expr="iexact")
    status = django_filters.MultipleChoiceFilter(choices=[(status.value, status.value) for status in ExecutionStatus])
    account = django_filters.CharFilter(field_name="account__account_id")
    setup = django_filters.NumberFilter(field_name="setup_id")
    date_from = django_filters.IsoDateTimeFilter(field_name="requested_at", lookup_expr="gte")
    date_to = django_filters.IsoDateTimeFilter(field_name="requested_at", lookup_expr="lt")
    attention = django_filters.BooleanFilter(method="needing_attention")

    class Meta:
        model = Execution
        fields: list[str] = []

    def needing_attention(self, queryset: QuerySet[Any], _name: str, wanted: bool) -> QuerySet[Any]:  # noqa: FBT001
        """Keep executions a person must look at, or the others."""
        return queryset.exclude(attention="") if wanted else queryset.filter(attention="")
