"""Silence is loud: every few seconds, on a worker of its own, look whether everybody who should be there is, and tell.

It reads rows alone, so it needs neither the broker worker nor the Gateway. Alerts end by themselves when what they tell
is over, but for those about an execution: a person ends them. Who watches the watchdog is `/readyz`: it says so when
its sign of life grows old.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from app.accounts.kill_switch import kill_switches_engaged
from app.accounts.models import BrokerConnection
from app.accounts.selectors import (
    HEARTBEAT_AGE_SECONDS_MAX,
    WorkerSeen,
    data_worker_silent_since,
    is_alive,
    worker_seen,
)
from app.alerts.kinds import AlertKind
from app.alerts.selectors import alert_is_open
from app.alerts.services import alerts_follow, watchdog_sign
from app.brokers.base import ConnectionState
from app.domain.execution_status import FINISHED
from app.domain.maintenance import maintenance_at
from app.executions.models import Execution, ReconcileRun
from app.executions.services.attention_alerts import attention_alerts_follow
from app.executions.services.bare_shares import bare_shares_tell
from app.executions.services.flags_resolve import flags_resolve
from app.worker.account_check import ACCOUNT_CHANGED

GATEWAY_AGE_SECONDS_MAX = 10
EVENT_AGE_SECONDS_MAX = 10
EVENTS_WAITING_MAX = 1000
CONNECTED = (ConnectionState.READY.value, ConnectionState.SYNCHRONISING.value, ConnectionState.DEGRADED.value)
DATA_WORKER = "data worker"
WORKER = "broker worker"  # The subject while no account is known.


def watchdog_look(*, now: datetime) -> None:
    """Look once: raise what is wrong, resolve what is over, and leave the sign of life that `/readyz` asks for."""
    seen = worker_seen()
    connection = seen.connection if seen else None
    about = {
        AlertKind.WORKER_SILENT: _worker_silent(seen, now=now),
        AlertKind.MARKET_DATA_SILENT: _market_data_silent(now=now),
        AlertKind.GATEWAY_SILENT: _gateway_silent(seen, now=now) if seen else {},
    }
    if connection is not None:
        about |= {
            AlertKind.QUEUE_LAG: _queue_lag(connection, now=now),
            AlertKind.ACCOUNT_CHANGED: _account_changed(connection),
            AlertKind.LIVE_CONNECTED: _live_connected(connection, now=now),
            AlertKind.RECONCILE_FAILED: _reconcile_failed(connection),
        }
    accounts = {_subject(connection): connection.account_id} if connection else {}
    for kind, texts in about.items():
        alerts_follow(kind=kind, texts=texts, account_ids=accounts, now=now)
    alerts_follow(kind=AlertKind.KILL_SWITCH, texts=_kill_switches(), now=now)
    bare_shares_tell(now=now)
    attention_alerts_follow(now=now)
    flags_resolve(now=now)
    watchdog_sign(now=now)


def _subject(connection: BrokerConnection | None) -> str:
    return f"{connection.account}/{connection.client_id}" if connection else WORKER


def _age(since: datetime | None, *, now: datetime) -> str:
    return f"for {(now - since).total_seconds():.0f} s" if since else "always"


def _is_expected(seen: WorkerSeen | None, *, now: datetime) -> bool:
    """Say whether the worker should be there: it was not stopped on purpose, or there is work that waits for it."""
    if seen is not None and not seen.was_stopped:
        return True
    # A request that was made in this moment has had no time to be taken.
    old_enough = now - timedelta(seconds=HEARTBEAT_AGE_SECONDS_MAX)
    return _unfinished().filter(requested_at__lte=old_enough).exists()


def _unfinished() -> QuerySet[Execution]:
    return Execution.objects.exclude(status__in=[status.value for status in FINISHED])


def _worker_silent(seen: WorkerSeen | None, *, now: datetime) -> dict[str, str]:
    if seen is not None and seen.is_alive(now=now) and not seen.was_stopped:
        return {}
    if not _is_expected(seen, now=now):
        return {}
    silent = _age(seen.seen_at if seen else None, now=now)
    waiting = _unfinished().count()
    return {
        _subject(
            seen.connection if seen else None
        ): f"No sign of the broker worker {silent}; {waiting} executions are unfinished."
    }


def _market_data_silent(*, now: datetime) -> dict[str, str]:
    since = data_worker_silent_since(now=now)
    if since is None:
        return {}
    text = f"No sign of the data worker {_age(since, now=now)}: new symbols are refused, prices are not checked."
    return {DATA_WORKER: text}


def _gateway_silent(seen: WorkerSeen, *, now: datetime) -> dict[str, str]:
    """Tell that nothing was heard of the Gateway; while the worker itself is silent, nobody knows.

    In a maintenance window silence is expected: what begins there is told when it outlasts the window.
    """
    if not seen.is_alive(now=now) or seen.was_stopped:
        return {}
    heard_at = seen.gateway_heard_at
    if heard_at is not None and now - heard_at <= timedelta(seconds=GATEWAY_AGE_SECONDS_MAX):
        return {}
    subject = _subject(seen.connection)
    is_planned = maintenance_at(settings.GATEWAY_MAINTENANCE, now=now) is not None
    if is_planned and not alert_is_open(kind=AlertKind.GATEWAY_SILENT, subject=subject):
        return {}
    return {subject: f"No answer of the Gateway {_age(heard_at, now=now)} ({seen.standing})."}


def _queue_lag(connection: BrokerConnection, *, now: datetime) -> dict[str, str]:
    waiting, oldest = connection.events_waiting, connection.oldest_event_at
    late = oldest is not None and now - oldest > timedelta(seconds=EVENT_AGE_SECONDS_MAX)
    if not late and waiting <= EVENTS_WAITING_MAX:
        return {}
    return {_subject(connection): f"{waiting} of the broker's events wait to be recorded."}


def _live_connected(connection: BrokerConnection, *, now: datetime) -> dict[str, str]:
    live = not connection.account.is_paper and connection.state in CONNECTED and is_alive(connection, now=now)
    return {_subject(connection): f"Orders on {connection.account} move real money."} if live else {}


def _account_changed(connection: BrokerConnection) -> dict[str, str]:
    code, _, reason = connection.reason.partition(": ")
    return {_subject(connection): reason} if code == ACCOUNT_CHANGED else {}


def _reconcile_failed(connection: BrokerConnection) -> dict[str, str]:
    runs = ReconcileRun.objects.filter(account=connection.account, client_id=connection.client_id)
    last = runs.filter(finished_at__isnull=False).first()
    if last is None or last.is_complete:
        return {}
    return {_subject(connection): f"{last.error_code}: {last.error}"}


def _kill_switches() -> dict[str, str]:
    return {switch.subject: switch.reason for switch in kill_switches_engaged()}
