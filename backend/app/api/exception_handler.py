"""Every error as `{"code", "message", "details"}`, whoever raised it.

FixRequest   422, or what `STATUS_OF_CODE` says    NotFound 404    Forbidden 403    Conflict 409
RetryLater   503 with Retry-After                  AskPerson 500
REST framework's own errors keep their status and get a code; malformed input is 400 with its first problem's code
PostgreSQL or Redis away                           503
anything else                                      500 `internal_error`: logged with an id, told nothing more
"""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from app.accounts.pool import is_connection_error, pool_renew
from app.api.error_body import body, writable
from app.core.errors import AskPerson, Conflict, FixRequest, Forbidden, NotFound, RetryLater, TradingError
from app.core.logging import get_logger

logger = get_logger(__name__)

RETRY_AFTER_SECONDS = 5
BODY_TOO_LARGE = "body_too_large"
REQUEST_REFUSED = "request_refused"

STATUS_OF_CODE: Mapping[str, int] = {
    "idempotency_key_missing": 400,
    "idempotency_key_invalid": 400,
    "cursor_invalid": 400,
    "if_match_invalid": 400,
    "precondition_unknown": 400,
    "page_size_invalid": 400,
    "credentials_wrong": 401,
    "revision_changed": 412,
}
STATUS_OF_ERROR: tuple[tuple[type[TradingError], int], ...] = (
    (NotFound, 404),
    (Forbidden, 403),
    (Conflict, 409),
    (FixRequest, 422),
    (RetryLater, 503),
    (AskPerson, 500),
)
# What Django cannot read. Its check of the CSRF token reads a form, and fails where that is none.
REFUSED_UNREAD = (SuspiciousOperation, BadRequest, MultiPartParserError)
CODE_OF_EXCEPTION: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ParseError, "json_malformed"),
    (exceptions.AuthenticationFailed, "authentication_failed"),
    (exceptions.NotAuthenticated, "not_authenticated"),
    (exceptions.PermissionDenied, "forbidden"),
    (exceptions.NotFound, "not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "media_type_unsupported"),
    (exceptions.Throttled, "throttled"),
)
# What a malformed field is told; the left side is REST framework's own code.
CODE_OF_PROBLEM: Mapping[str, str] = {
    "required": "field_required",
    "null": "field_required",
    "blank": "field_required",
    "empty": "field_required",
    "invalid_choice": "choice_unknown",
    "does_not_exist": "choice_unknown",
    "max_length": "value_too_long",
    "max_string_length": "value_too_long",
    "max_digits": "value_too_long",
    "max_decimal_places": "value_too_long",
    "max_whole_digits": "value_too_long",
    "max_value": "value_out_of_range",
    "min_value": "value_out_of_range",
    "unknown_field": "unknown_field",
    "body_not_object": "body_not_object",
    "text_invalid": "text_invalid",
    "null_characters_not_allowed": "text_invalid",
    "surrogate_characters_not_allowed": "text_invalid",
    "json_key_repeated": "json_key_repeated",
    "parameter_repeated": "parameter_repeated",
}


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return the answer to an error raised in an API view."""
    set_rollback()
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, TradingError):
        return _answer(
            status_of(error), code=error.code, message=error.message, details=error.details, headers=_retry(error)
        )
    if isinstance(error, exceptions.ValidationError):
        return _malformed(error)
    if isinstance(error, exceptions.APIException):
        return _framework_error(error)
    if isinstance(error, RequestDataTooBig):
        return _answer(413, code=BODY_TOO_LARGE, message="The body is too large.")
    if isinstance(error, REFUSED_UNREAD):
        return _answer(400, code=REQUEST_REFUSED, message=f"The request cannot be read: {writable(str(error))}.")
    if isinstance(error, PoolTimeout) or is_connection_error(error):
        pool_renew(error)
        return _away("database_unavailable", "The database is away or busy.", error=error)
    if isinstance(error, RedisError):
        return _away("redis_unavailable", "Redis is away.", error=error)
    return Response(internal_error(error, where=type(context.get("view")).__name__), status=500)


def internal_error(error: BaseException | None, *, where: str) -> dict[str, Any]:
    """Log an error nobody foresaw; return what may be told of it: an id that is in the log."""
    error_id = secrets.token_hex(6)
    logger.error("internal_error", error_id=error_id, where=where, exc_info=error or True)
    return body(
        code="internal_error",
        message=f"Something went wrong here; it is in the log as {error_id}.",
        details={"error_id": error_id},
    )


def _answer(
    status: int,
    *,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(body(code=code, message=message, details=details), status=status, headers=dict(headers or {}))


def status_of(error: TradingError) -> int:
    """Return the HTTP status of one of our own errors."""
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    return next((status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), 500)


def _retry(error: TradingError) -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_SECONDS)} if isinstance(error, RetryLater) else {}


def _away(code: str, message: str, *, error: Exception) -> Response:
    logger.error(code, error=str(error))
    return _answer(503, code=code, message=message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _framework_error(error: exceptions.APIException) -> Response:
    message = writable(str(error.detail))
    code = next((code for kind, code in CODE_OF_EXCEPTION if isinstance(error, kind)), "error")
    if message.startswith("CSRF"):
        code = "csrf_failed"
    headers: dict[str, str] = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return _answer(error.status_code, code=code, message=message, headers=headers)


def _malformed(error: exceptions.ValidationError) -> Response:
    problems = list(_problems(error.detail, field=""))
    first = problems[0]
    message = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    return _answer(400, code=first["code"], message=message, details={"problems": problems})


def _problems(detail: Any, *, field: str) -> Iterator[dict[str, str]]:
    """Flatten REST framework's nested details: `take_profits.0.price` names the field of a list's item."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _problems(inner, field=".".join(part for part in (field, own) if part))
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list) and len(inner) > 0
            yield from _problems(inner, field=f"{field}.{index}" if nested else field)
    else:
        known = CODE_OF_PROBLEM.get(str(getattr(detail, "code", "")), "field_invalid")
        yield {"code": known, "field": writable(field), "message": writable(str(detail))}
