"""What lists of executions can be narrowed by."""

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from app.api.strict_fields import QueryBoolean, QueryInteger, QueryTime
from app.api.strict_input import StrictInput, filters_read
from app.domain.execution_status import ExecutionStatus
from app.executions.models import Execution

ID_MAX = 2**63 - 1


class ExecutionFilters(StrictInput):
    """`status` may be repeated; times are ISO 8601, `date_to` is not included."""

    symbol = serializers.CharField(required=False)
    status = serializers.ListField(
        child=serializers.ChoiceField(choices=[status.value for status in ExecutionStatus]), required=False
    )
    account = serializers.CharField(required=False)
    setup = QueryInteger(min_value=1, max_value=ID_MAX, required=False)
    date_from = QueryTime(required=False)
    date_to = QueryTime(required=False)
    attention = QueryBoolean(required=False, help_text="true: those a person must look at; false: the others.")


def executions_asked_for(executions: QuerySet[Execution], request: Request) -> QuerySet[Execution]:
    """Return the executions that the request's filters leave. Raises ValidationError."""
    given = filters_read(ExecutionFilters, request.query_params)
    columns = {
        "status": "status__in",
        "account": "account__account_id",
        "setup": "setup_id",
        "date_from": "requested_at__gte",
        "date_to": "requested_at__lt",
    }
    executions = executions.filter(**{column: given[name] for name, column in columns.items() if name in given})
    if "symbol" in given:
        executions = executions.filter(symbol=given["symbol"].upper())
    if "attention" in given:
        executions = executions.exclude(attention="") if given["attention"] else executions.filter(attention="")
    return executions
