"""What lists of setups can be narrowed by."""

from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from app.api.strict_fields import QueryTime
from app.api.strict_input import StrictInput, filters_read
from app.domain.terms import Side
from app.setups.models import Setup

STATES = {
    "DRAFT": Q(archived_at__isnull=True, executed_at__isnull=True),
    "EXECUTED": Q(archived_at__isnull=True, executed_at__isnull=False),
    "ARCHIVED": Q(archived_at__isnull=False),
}


class SetupFilters(StrictInput):
    """Times are ISO 8601; `created_to` is not included."""

    symbol = serializers.CharField(required=False)
    side = serializers.ChoiceField(choices=[side.value for side in Side], required=False)
    state = serializers.ChoiceField(
        choices=list(STATES), required=False, help_text="Archived setups are listed only when asked for."
    )
    account = serializers.CharField(required=False)
    tag = serializers.CharField(required=False)
    created_from = QueryTime(required=False)
    created_to = QueryTime(required=False)


def setups_asked_for(setups: QuerySet[Setup], request: Request) -> QuerySet[Setup]:
    """Return the setups that the request's filters leave. Raises ValidationError."""
    given = filters_read(SetupFilters, request.query_params)
    wanted = STATES[given["state"]] if "state" in given else ~STATES["ARCHIVED"]
    columns = {
        "side": "side",
        "account": "account__account_id",
        "created_from": "created_at__gte",
        "created_to": "created_at__lt",
    }
    setups = setups.filter(wanted, **{column: given[name] for name, column in columns.items() if name in given})
    if "symbol" in given:
        setups = setups.filter(symbol=given["symbol"].upper())
    if "tag" in given:
        setups = setups.filter(tags__contains=[given["tag"]])
    return setups
