"""What lists of setups can be narrowed by."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from app.api.strict_filters import StrictFilters
from app.domain.terms import Side
from app.setups.models import Setup

STATES = {
    "DRAFT": Q(archived_at__isnull=True, executed_at__isnull=True),
    "EXECUTED": Q(archived_at__isnull=True, executed_at__isnull=False),
    "ARCHIVED": Q(archived_at__isnull=False),
}


class SetupFilters(StrictFilters):
    """Archived setups are listed only when `state=ARCHIVED` asks for them."""

    symbol = django_filters.CharFilter(lookup_expr="iexact")
    side = django_filters.ChoiceFilter(choices=[(side.value, side.value) for side in Side])
    state = django_filters.ChoiceFilter(choices=[(state, state) for state in STATES], method="in_state")
    account = django_filters.CharFilter(field_name="account__account_id")
    tag = django_filters.CharFilter(method="tagged")
    created_from = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_to = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Setup
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the setups asked for."""
        narrowed = super().filter_queryset(queryset)
        return narrowed if self.form.cleaned_data["state"] else narrowed.exclude(STATES["ARCHIVED"])

    def in_state(self, queryset: QuerySet[Any], _name: str, state: str) -> QuerySet[Any]:
        """Keep setups in this state."""
        return queryset.filter(STATES[state])

    def tagged(self, queryset: QuerySet[Any], _name: str, tag: str) -> QuerySet[Any]:
        """Keep setups that carry the tag."""
        return queryset.filter(tags__contains=[tag])
