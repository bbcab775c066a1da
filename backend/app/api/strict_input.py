"""Request bodies say exactly what they mean: a field we do not know is refused, not ignored.

A misspelt `stop_prize` that is silently dropped would trade something else than the script's author believes.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class StrictInput(serializers.Serializer):
    """A serializer for input that refuses unknown fields and bodies that are no JSON object."""

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
