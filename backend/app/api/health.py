"""Whether the process lives, whether everything it needs is there, and JSON answers where no view is reached."""

from collections.abc import Callable
from datetime import UTC
from functools import wraps
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from psycopg_pool import PoolTimeout

from app.accounts.access import may_see_accounts
from app.accounts.entry_gate import entry_refusal
from app.accounts.selectors import broker_connection, data_worker_seen_at, data_worker_silent_since, worker_seen
from app.alerts.selectors import somebody_watches, watchdog_seen_at
from app.api.error_body import body
from app.api.exception_handler import REQUEST_REFUSED, internal_error
from app.brokers.base import ConnectionState
from app.core import clock
from app.logins.origin import is_from_this_machine

REDIS_TIMEOUT_SECONDS = 2
Check = dict[str, Any]
View = Callable[[HttpRequest], HttpResponse]


def read_only(view: View) -> View:
    """Let the address be read only, and answer every other method with 405 as JSON, whoever asks and from wherever."""

    @csrf_exempt
    @wraps(view)
    def answered(request: HttpRequest) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            return view(request)
        refusal = body(code="method_not_allowed", message=f"{request.method} is not taken here: read it with GET.")
        return JsonResponse(refusal, status=405, headers={"Allow": "GET, HEAD"})

    return answered


@read_only
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer 200 while the process can answer at all; asks nobody."""
    return JsonResponse({"status": "ok"})


@read_only
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when new entries can be executed now, else 503; each part by name.

    What is wrong with it, which names addresses and accounts, is told to this machine and to who has a role.
    """
    checks = {"database": _database(), "redis": _redis()}
    if checks["database"]["ok"]:
        checks |= _broker() | {"entries": _entries(), "market_data": _market_data(), "watchdog": _watchdog()}
    # Without market data an entry in a known instrument is sent all the same: it is said, and decides nothing.
    ready = all(check["ok"] for name, check in checks.items() if name != "market_data")
    if not is_from_this_machine(request) and not (checks["database"]["ok"] and may_see_accounts(request.user)):
        checks = {name: {"ok": check["ok"]} for name, check in checks.items()}
    answer = {"status": "ready" if ready else "not_ready", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


@csrf_exempt
def unknown_address(request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Answer 404 as JSON for every address under `/api/` that is none of ours."""
    return JsonResponse(body(code="not_found", message=f"There is nothing at {request.path}."), status=404)


def refused(_request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Answer 400 as JSON for what is refused before a view is reached (an unknown Host, say)."""
    return JsonResponse(body(code=REQUEST_REFUSED, message="The request was refused."), status=400)


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
    seen = worker_seen()
    away = ""
    if seen is None:
        away = "it never showed itself"
    elif not seen.is_alive(now=clock.now()):
        away = f"no sign of life since {seen.seen_at:%Y-%m-%d %H:%M:%S} UTC" if seen.seen_at else "no sign of life yet"
    elif seen.was_stopped:
        away = seen.reason
    if seen is None or away:
        return {
            "broker_worker": _wrong(away),
            "gateway": _wrong("not known while the broker worker is away"),
        }
    gateway = _right() if seen.state == ConnectionState.READY.value else _wrong(seen.standing)
    return {"broker_worker": _right(), "gateway": gateway}


def _entries() -> Check:
    """Ask what `execute` asks, so that nobody is told "ready" whose next request is refused."""
    now, connection = clock.now(), broker_connection()
    refusal = entry_refusal(connection.account if connection else None, now=now)
    if refusal is None:
        return _right()
    until = f"; until {refusal.until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if refusal.until else ""
    return _wrong(f"{refusal.code}: {refusal.reason.rstrip('.')}{until}")


def _market_data() -> Check:
    if data_worker_seen_at() is None:
        return _wrong("the data worker never showed itself, or was stopped")
    since = data_worker_silent_since(now=clock.now())
    return _wrong(f"no sign of life of the data worker since {since:%Y-%m-%d %H:%M:%S} UTC") if since else _right()


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
