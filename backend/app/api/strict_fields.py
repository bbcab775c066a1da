"""Fields that take one type. REST framework's own read "off" as false and 0 as "0", and drop what they do not like.

In a body a boolean is `true` or `false` and a number has no quotes. In a query everything is text, so there they are
spelled in one way only.
"""

import re
from datetime import datetime
from typing import Any

from rest_framework import serializers

_ISO_TIME = re.compile(r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII)
_WHOLE = re.compile(r"^-?\d{1,20}\Z", re.ASCII)


class StrictText(serializers.CharField):
    """A JSON text; a number or a boolean is none."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class StrictPattern(serializers.RegexField):
    """A JSON text of a given form."""

    def to_internal_value(self, data: Any) -> str:
        """Return the text. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class StrictChoice(serializers.ChoiceField):
    """One of the words, spelled exactly."""

    def to_internal_value(self, data: Any) -> str:
        """Return the word. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return str(super().to_internal_value(data))


class StrictBoolean(serializers.BooleanField):
    """`true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean. Raises ValidationError."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictInteger(serializers.IntegerField):
    """A JSON number without a fraction."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number. Raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(data)


class QueryBoolean(serializers.BooleanField):
    """`true` or `false`, as a query spells it."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean. Raises ValidationError."""
        if data not in ("true", "false"):
            self.fail("invalid", input=data)
        return bool(data == "true")


class QueryInteger(serializers.IntegerField):
    """A whole number in ASCII digits, as a query spells it."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number. Raises ValidationError."""
        if not isinstance(data, str) or not _WHOLE.match(data):
            self.fail("invalid")
        return int(data)


class QueryTime(serializers.DateTimeField):
    """An ISO 8601 time; a day alone is its first moment."""

    def to_internal_value(self, value: Any) -> datetime:
        """Return the moment; UTC where no zone is named. Raises ValidationError."""
        if not isinstance(value, str) or not _ISO_TIME.match(value):
            self.fail("invalid", format="ISO 8601: 2026-11-20T14:30:00Z")
        given = super().to_internal_value(value if len(value) > len("2026-11-20") else f"{value}T00:00")
        if not isinstance(given, datetime):
            self.fail("invalid", format="ISO 8601: 2026-11-20T14:30:00Z")
        return given
