"""Requests say exactly what they mean: a field or filter we do not know is refused, not ignored.

A misspelt `stop_prize` that is silently dropped would trade something else than the script's author believes, and a
misspelt filter would answer with everything.
"""

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

from app.api.pagination import NewestFirstCursor
from app.api.preconditions import Preconditions, require_no_preconditions

PAGING = {NewestFirstCursor.cursor_query_param, NewestFirstCursor.page_size_query_param}


class StrictInput(serializers.Serializer[Any]):
    """A serializer for input that refuses unknown fields and bodies that are no JSON object."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the validated values. Raises ValidationError `body_not_object` where the whole body is `null`."""
        if data is None and self.root is self:
            return self.to_internal_value(data)
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values. Raises ValidationError `body_not_object`, `unknown_field` and field errors."""
        if not isinstance(data, Mapping):
            raise serializers.ValidationError(
                {"non_field_errors": [serializers.ErrorDetail("Send a JSON object.", code="body_not_object")]}
            )
        unknown = sorted(set(map(str, data)) - set(self.fields))
        if unknown:
            raise serializers.ValidationError(
                {name: [serializers.ErrorDetail("There is no such field.", code="unknown_field")] for name in unknown}
            )
        return super().to_internal_value(data)


class EmptyInput(StrictInput):
    """A body without fields: `{}` or none at all."""


def body_read(serializer: StrictInput) -> dict[str, Any]:
    """Return the validated values of a request's body. Raises ValidationError."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class StrictQuery(APIView):
    """A view that refuses every query parameter it does not know: `filters` and, on lists, the paging are known."""

    filters: type[StrictInput] | None = None
    is_list = False
    # What reads the body of each method that takes one; OPTIONS describes it. Every other method takes an empty one.
    inputs: Mapping[str, type[StrictInput]] = {}
    preconditions = Preconditions.REFUSED

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, then what for.

        Raises ValidationError `unknown_field`, `parameter_repeated`, and what is wrong with a body where none is taken;
        FixRequest `precondition_unknown`.
        """
        super().initial(request, *args, **kwargs)
        reads = request.method in SAFE_METHODS
        fields = self.filters().fields if self.filters and reads else {}
        known = {*fields, *(PAGING if self.is_list and reads else ())}
        problems: dict[str, list[serializers.ErrorDetail]] = {}
        for name, values in request.query_params.lists():
            if name not in known:
                problems[name] = [serializers.ErrorDetail("There is no such parameter.", code="unknown_field")]
            elif len(values) > 1 and not isinstance(fields.get(name), serializers.ListField):
                problems[name] = [serializers.ErrorDetail("Give it once.", code="parameter_repeated")]
        if problems:
            raise serializers.ValidationError(problems)
        method = str(request.method)
        if not reads and self.preconditions is Preconditions.REFUSED and hasattr(self, method.lower()):
            require_no_preconditions(request)
        if not reads and method not in self.inputs and hasattr(self, method.lower()):
            body_read(EmptyInput(data=request.data))


def filters_read(filters: type[StrictInput], query: QueryDict) -> dict[str, Any]:
    """Return the filters a list was asked for; those that are lists may be repeated. Raises ValidationError."""
    fields = filters().fields
    given = {
        name: values if isinstance(fields.get(name), serializers.ListField) else values[-1]
        for name, values in query.lists()
        if name not in PAGING
    }
    return body_read(filters(data=given))
