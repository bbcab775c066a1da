"""The state of the system as figures, in Prometheus' text format: `/metrics`.

No secrets and no account ids: it needs no login. What is not known has no sample; it is never told as 0.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError, InterfaceError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from psycopg_pool import PoolTimeout

from app.accounts.kill_switch import kill_switches_engaged
from app.accounts.selectors import worker_seen
from app.alerts.kinds import Severity
from app.alerts.models import Alert
from app.alerts.selectors import watchdog_seen_at
from app.api.health import read_only
from app.brokers.base import ConnectionState
from app.core import clock
from app.domain.execution_status import FINISHED, ExecutionStatus
from app.executions.models import Execution

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[str, float]  # its labels as written, and its value


@read_only
def metrics(_request: HttpRequest) -> HttpResponse:
    """Answer every gauge, or 503 where the database does not answer."""
    try:
        lines = [line for gauge in _gauges(clock.now()) for line in _written(*gauge)]
    except (DatabaseError, InterfaceError, PoolTimeout):
        return HttpResponse("# the database does not answer\n", status=503, content_type=CONTENT_TYPE)
    return HttpResponse("\n".join([*lines, ""]), content_type=CONTENT_TYPE)


def _written(name: str, explained: str, samples: list[Sample]) -> Iterator[str]:
    yield f"# HELP trading_{name} {explained}"
    yield f"# TYPE trading_{name} gauge"
    for labels, value in samples:
        yield f"trading_{name}{labels} {value:g}"


def _gauges(now: datetime) -> Iterator[tuple[str, str, list[Sample]]]:
    yield from _connection_gauges(now)
    unfinished = {status.value: 0 for status in ExecutionStatus if status not in FINISHED}
    rows = Execution.objects.filter(status__in=unfinished).order_by().values("status").annotate(rows=Count("pk"))
    unfinished |= {row["status"]: row["rows"] for row in rows}
    yield "executions_unfinished", "Executions that are not over, by status.", _labelled("status", unfinished)
    alerts = {severity.value: 0 for severity in Severity}
    open_alerts = Alert.objects.filter(resolved_at=None).order_by().values("severity").annotate(rows=Count("pk"))
    alerts |= {row["severity"]: row["rows"] for row in open_alerts}
    yield "alerts_open", "Alerts that last, by severity.", _labelled("severity", alerts)
    yield "kill_switches_engaged", "Kill switches in force.", [("", kill_switches_engaged().count())]
    yield "watchdog_age_seconds", "Since the watchdog last looked.", _age(watchdog_seen_at(), now=now)


def _connection_gauges(now: datetime) -> Iterator[tuple[str, str, list[Sample]]]:
    seen = worker_seen()
    held = seen.connection if seen else None
    states = {state.value: int(seen is not None and seen.state == state.value) for state in ConnectionState}
    yield "connection_state", "1 for the state the broker connection was last known in.", _labelled("state", states)
    heartbeat = _age(seen.seen_at if seen else None, now=now)
    yield "broker_worker_heartbeat_age_seconds", "Since the broker worker's last sign.", heartbeat
    heard = _age(held.gateway_heard_at if held else None, now=now)
    yield "gateway_heard_age_seconds", "Since the Gateway's last answer.", heard
    waiting: list[Sample] = [("", held.events_waiting)] if held else []
    yield "events_waiting", "The broker's events that wait to be recorded.", waiting
    yield (
        "oldest_event_age_seconds",
        "Age of the oldest of them.",
        _age(held.oldest_event_at if held else None, now=now),
    )
    live: list[Sample] = [("", int(not held.account.is_paper))] if held else []
    yield "live_account", "1 where orders move real money.", live


def _age(since: datetime | None, *, now: datetime) -> list[Sample]:
    return [("", max(0.0, (now - since).total_seconds()))] if since else []


def _labelled(label: str, values: dict[str, int]) -> list[Sample]:
    return [(f'{{{label}="{value}"}}', count) for value, count in values.items()]
