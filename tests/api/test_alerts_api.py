"""Alerts over REST, and the figures."""

import re

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from app.accounts.models import BrokerConnection
from app.accounts.services import connection_heartbeat, connection_state_record
from app.alerts.delivery import alerts_deliver
from app.alerts.kinds import AlertKind
from app.alerts.notify import Channel, NotDelivered
from app.alerts.services import alert_raise, watchdog_sign
from app.brokers.base import ConnectionState
from app.core import clock
from app.executions.services.kill_switch import kill_switch_engage
from tests.api.desk import Filled, MakeUser, script

pytestmark = pytest.mark.django_db
ALERTS = "/api/v1/alerts/"


def refuse(_channel: Channel, **_message: object) -> None:
    raise NotDelivered("nobody there")


def test_an_alert_is_listed_with_what_became_of_it_and_acknowledged(make_user: MakeUser, api: APIClient) -> None:
    now = clock.now()
    alert = alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU1/1", text="No answer.", now=now)
    channel = Channel("json://hooks.example/secret")
    alerts_deliver(now=now, channels=[channel], send=refuse)
    (listed,) = api.get(ALERTS).json()["results"]
    assert (listed["kind"], listed["severity"], listed["text"]) == ("gateway_silent", "CRITICAL", "No answer.")
    assert listed["deliveries"] == [
        {"channel": channel.name, "state": "PENDING", "attempts": 1, "sent_at": None, "error": "nobody there"}
    ]
    refused = api.post(f"{ALERTS}{alert.pk}/acknowledge/")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    trader = script(make_user("tess", "trader"))
    answer = trader.post(f"{ALERTS}{alert.pk}/acknowledge/").json()
    assert (answer["acknowledged_by"], answer["resolved_at"]) == ("tess", None)
    assert [len(api.get(ALERTS, {"open": value}).json()["results"]) for value in ("true", "false")] == [1, 0]
    assert api.get(ALERTS, {"opn": "true"}).json()["code"] == "unknown_field"


def test_an_alert_about_an_execution_is_its_owners(
    api: APIClient, analyst: User, reviewer: User, make_user: MakeUser, filled: Filled
) -> None:
    book = filled(analyst)
    alert = alert_raise(
        kind=AlertKind.ATTENTION, subject="x", text="Odd.", execution_id=book.execution_id, now=clock.now()
    )
    stranger = script(make_user("eve", "analyst"))
    seen = [len(who.get(ALERTS).json()["results"]) for who in (api, script(reviewer), stranger)]
    assert seen == [1, 1, 0]
    assert stranger.post(f"{ALERTS}{alert.pk}/acknowledge/").status_code == 404
    assert script(reviewer).post(f"{ALERTS}{alert.pk}/acknowledge/").status_code == 403
    assert api.post(f"{ALERTS}{alert.pk}/acknowledge/").json()["resolved_at"] is not None, "a person ended it"


def figures() -> dict[str, float]:
    answer = APIClient().get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    text = answer.content.decode()
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) trading_\w+ .+|trading_\w+(\{\w+="\w+"\})? -?[0-9.e+-]+', line), line
    samples = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("trading_"): float(value) for name, _, value in samples}


def test_what_is_not_known_has_no_sample() -> None:
    known = figures()
    assert known['executions_unfinished{status="OPEN"}'] == 0
    for name in ("broker_worker_heartbeat_age_seconds", "gateway_heard_age_seconds", "watchdog_age_seconds"):
        assert name not in known
    assert not any(value for name, value in known.items() if name.startswith("connection_state"))


def test_the_figures_are_those_of_the_rows(connection: BrokerConnection, analyst: User, filled: Filled) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=now)
    connection_heartbeat(connection_id=connection.pk, now=now, events_waiting=3, oldest_event_at=now)
    filled(analyst)
    watchdog_sign(now=now)
    kill_switch_engage(account=None, user=None, reason="news", now=now)
    told = figures()
    for name in ("broker_worker_heartbeat", "gateway_heard", "oldest_event", "watchdog"):
        assert 0 <= told.pop(f"{name}_age_seconds") < 30
    assert {name: value for name, value in told.items() if value} == {
        'connection_state{state="READY"}': 1,
        'executions_unfinished{status="OPEN"}': 1,
        'alerts_open{severity="WARNING"}': 1,
        "kill_switches_engaged": 1,
        "events_waiting": 3,
    }
    assert told["live_account"] == 0
    assert "DU1234567" not in APIClient().get("/metrics").content.decode()
