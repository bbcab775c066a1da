"""What the OpenAPI description says beyond the views: the one shape of errors, and one address per endpoint."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers


class Error(serializers.Serializer[Any]):
    """What every error looks like."""

    code = serializers.CharField(help_text="Stable; for programs.")
    message = serializers.CharField(help_text="For people.")
    details = serializers.DictField(help_text="Facts; `problems` lists every one where there are several.")


# A view says that it may refuse and fail; `errors_by_status` says with which statuses, from what the operation takes.
ERRORS: dict[str, OpenApiResponse] = {
    "4XX": OpenApiResponse(Error, description="Change the request."),
    "5XX": OpenApiResponse(Error, description="Wait and retry (503), or ask a person."),
}
MEANINGS = {
    400: "Malformed: `code` and `details.problems` say what.",
    401: "No token, or none of ours.",
    403: "You may not do this.",
    404: "It is not there, or not yours to see.",
    406: "Only JSON is answered.",
    409: "The state of the thing does not allow it: read it again.",
    412: "It was changed since you read it.",
    413: "A body has at most 1 MiB.",
    415: "Only JSON in UTF-8 is read.",
    422: "A plan that cannot be carried out: change it.",
    429: "Too many attempts: wait `Retry-After` seconds.",
    500: "Nobody foresaw it: ask a person, with `details.error_id`.",
    503: "Something needed is away or busy: wait `Retry-After` seconds.",
}
LOGIN = "token_create"


def with_slash_only(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Describe each endpoint once: every address is also accepted without its trailing slash."""
    return [endpoint for endpoint in endpoints if endpoint[0].endswith("/")]


def errors_by_status(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Name each status that an operation may refuse with, in place of `4XX` and `5XX`."""
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            refusal = responses.pop("4XX", None)
            responses.pop("5XX", None)
            for status in sorted(_statuses(path, method, operation)) if refusal else ():
                responses.setdefault(str(status), {**refusal, "description": MEANINGS[status]})
    return result


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    headers = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"}
    statuses = {400, 401, 406, 413, 500, 503}
    if "{" in path:
        statuses.add(404)
    if method != "get":
        statuses |= {403, 409, 422}
    if "requestBody" in operation or method != "get":
        statuses.add(415)
    if "If-Match" in headers:
        statuses.add(412)
    if operation["operationId"] == LOGIN:
        statuses = (statuses - {403, 409, 422}) | {429}
    return statuses
