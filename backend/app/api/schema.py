"""What the OpenAPI description says beyond the views: the one shape of errors, and one address per endpoint."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class Error(serializers.Serializer[Any]):
    """What every error looks like."""

    code = serializers.CharField(help_text="Stable; for programs.")
    message = serializers.CharField(help_text="For people.")
    details = serializers.DictField(help_text="Facts; `problems` lists every one where there are several.")


ERRORS: dict[str, OpenApiResponse] = {
    "4XX": OpenApiResponse(Error, description="Change the request."),
    "5XX": OpenApiResponse(Error, description="Wait and retry (503), or ask a person."),
}


def with_slash_only(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Describe each endpoint once: every address is also accepted without its trailing slash."""
    return [endpoint for endpoint in endpoints if endpoint[0].endswith("/")]
