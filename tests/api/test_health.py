"""Whether the process lives, and whether everything it needs is there."""

from datetime import datetime, timedelta

import pytest
from django.conf import settings as django_settings
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from app.accounts.entry_gate import entry_refusal, failure_note
from app.accounts.models import BrokerConnection
from app.accounts.services import connection_state_record, worker_sign
from app.alerts.models import WatchdogSign
from app.alerts.services import watchdog_sign
from app.brokers.base import ConnectionState
from app.core import clock
from app.core.errors import RetryLater
from app.domain.circuit import COOL_DOWN, FAILURES_MAX
from app.domain.maintenance import maintenance_read
from app.executions.services.request import require_entries_allowed

pytestmark = pytest.mark.django_db


def test_alive_is_answered_without_asking_anybody(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        answer = APIClient().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def readiness() -> tuple[int, dict[str, bool]]:
    answer = APIClient().get("/readyz")
    return answer.status_code, {name: check["ok"] for name, check in answer.json()["checks"].items()}


ALL_WELL = {
    "database": True,
    "redis": True,
    "broker_worker": True,
    "gateway": True,
    "entries": True,
    "market_data": True,
    "watchdog": True,
}


@pytest.fixture(autouse=True)
def _watched(db: None) -> None:
    watchdog_sign(now=clock.now())
    data_worker_shown(seconds_ago=0)


def data_worker_shown(*, seconds_ago: int) -> None:
    at = clock.now() - timedelta(seconds=seconds_ago)
    client_id = django_settings.IB_DATA_CLIENT_ID
    worker_sign(client_id=client_id, state=ConnectionState.READY, reason="", started_at=at, now=at)


@pytest.mark.case("S76")
def test_a_silent_data_worker_is_said_and_entries_go_on(connection: BrokerConnection) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    data_worker_shown(seconds_ago=16)
    assert readiness() == (200, ALL_WELL | {"market_data": False})
    told = APIClient().get("/readyz").json()["checks"]["market_data"]["detail"]
    assert told.startswith("no sign of life of the data worker since ")


def test_ready_says_when_nobody_watches(connection: BrokerConnection) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    watchdog_sign(now=now - timedelta(seconds=16))
    assert readiness() == (503, ALL_WELL | {"watchdog": False})
    WatchdogSign.objects.all().delete()
    told = APIClient().get("/readyz").json()["checks"]["watchdog"]["detail"]
    assert told.startswith("nobody watches: it never looked")


def test_ready_is_when_everything_answers(connection: BrokerConnection) -> None:
    assert readiness() == (503, ALL_WELL | {"broker_worker": False, "gateway": False})
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.DEGRADED, reason="1100", now=now)
    assert readiness() == (503, ALL_WELL | {"gateway": False})
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    assert readiness() == (200, ALL_WELL)
    BrokerConnection.objects.update(heartbeat_at=now - timedelta(seconds=11))
    assert readiness() == (503, ALL_WELL | {"broker_worker": False, "gateway": False})


def test_ready_names_redis_when_it_is_away(connection: BrokerConnection, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    assert readiness() == (503, ALL_WELL | {"redis": False})


def test_ready_asks_for_the_connection_that_executes_here(settings: Settings, connection: BrokerConnection) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    settings.IB_ACCOUNT = "DU7654321"
    assert readiness()[0] == 503


@pytest.mark.case("S72")
@pytest.mark.parametrize("code", ["circuit_open", "gateway_maintenance"])
def test_ready_asks_the_gate_that_execute_asks(code: str, connection: BrokerConnection, settings: Settings) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    if code == "circuit_open":
        for _ in range(FAILURES_MAX):
            failure_note(connection_id=connection.pk, code="connection_refused", now=now)
        until: datetime | None = now + COOL_DOWN
    else:
        settings.GATEWAY_MAINTENANCE = maintenance_read("Mon-Sun 00:00-12:00 UTC; Mon-Sun 12:00-00:00 UTC")
        until = entry_refusal(None, now=now).until

    with pytest.raises(RetryLater) as refused:
        require_entries_allowed(connection.account, now=clock.now())
    assert (readiness(), refused.value.code) == ((503, ALL_WELL | {"entries": False}), code)
    told = APIClient().get("/readyz").json()["checks"]["entries"]["detail"]
    assert told.startswith(f"{code}: ")
    assert told.endswith(f"; until {until:%Y-%m-%d %H:%M:%S} UTC")
    assert refused.value.details == {"until": until.isoformat().replace("+00:00", "Z")}


@pytest.mark.case("S72")
def test_ready_is_again_when_the_gate_lets_one_try(connection: BrokerConnection) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    for _ in range(FAILURES_MAX):
        failure_note(connection_id=connection.pk, code="connection_refused", now=now - COOL_DOWN)
    require_entries_allowed(connection.account, now=clock.now())
    assert readiness() == (200, ALL_WELL)
