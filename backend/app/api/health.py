"""Whether the process lives, whether everything it needs is there, and JSON answers where no view is reached."""

from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, JsonResponse
from psycopg_pool import PoolTimeout

from app.accounts.selectors import broker_connection, is_alive
from app.alerts.selectors import somebody_watches, watchdog_seen_at
from app.api.exception_handler import body, internal_error
from app.brokers.base import ConnectionState
from app.core import clock

REDIS_TIMEOUT_SECONDS = 2
Check = dict[str, Any]


def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process can answer at all; asks nobody."""
    return JsonResponse({"status": "ok"})


def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when new entries can be executed now, else 503; each part by name with what is wrong."""
    checks = {"database": _database(), "redis": _redis()}
    if checks["database"]["ok"]:
        checks |= _broker() | {"watchdog": _watchdog()}
    ready = all(check["ok"] for check in checks.values())
    answer = {"status": "ready" if ready else "not_ready", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


def unknown_address(request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Answer 404 as JSON for every address under `/api/` that is none of ours."""
    return JsonResponse(body(code="not_found", message=f"There is nothing at {request.path}."), status=404)


def refused(_request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Answer 400 as JSON for what is refused before a view is reached (an unknown Host, say)."""
    return JsonResponse(body(code="request_refused", message="The request was refused."), status=400)


def failed(request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Answer 500 as JSON for what no view foresaw."""
    return JsonResponse(internal_error(None, where=request.path), status=500)


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        return _wrong(f"no answer: {type(error).__name__}")
    return _right()


def _redis() -> Check:
    try:
        client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
        )
        with client:
            client.ping()
    except redis.RedisError as error:
        return _wrong(f"no answer: {type(error).__name__}")
    return _right()


def _broker() -> dict[str, Check]:
    held = broker_connection()
    if held is None or not is_alive(held, now=clock.now()):
        return {
            "broker_worker": _wrong("no heartbeat lately" if held else "it never showed itself"),
            "gateway": _wrong("not known while the broker worker is away"),
        }
    gateway = _right() if held.state == ConnectionState.READY.value else _wrong(f"{held.state}: {held.reason}")
    return {"broker_worker": _right(), "gateway": gateway}


def _watchdog() -> Check:
    if somebody_watches(now=clock.now()):
        return _right()
    seen_at = watchdog_seen_at()
    since = f"it last looked at {seen_at:%Y-%m-%d %H:%M:%S} UTC" if seen_at else "it never looked"
    return _wrong(f"nobody watches: {since}; are beat and the worker of the queue `default` running?")


def _right() -> Check:
    return {"ok": True}


def _wrong(detail: str) -> Check:
    return {"ok": False, "detail": detail}
