"""What a list says of why: each reason by itself, and no time of day without the zone that it is of."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.accounts.models import BrokerConnection
from app.alerts.models import Alert
from app.core import clock
from app.executions.models import Execution, ExecutionFlag
from app.executions.services.kill_switch import kill_switch_engage
from tests.services.book import Book
from tests.web.page_parts import page_read

pytestmark = [pytest.mark.django_db, pytest.mark.case("A26")]

REASONS = ["tranche 1: 10 shares had no stop", "tranche 2: 5 shares had no stop"]
BARE_TIME = re.compile(r"\d\d:\d\d:\d\d(?!(?:\.\d+)? (?:UTC|E[SD]T)\b)")


def test_two_reasons_in_the_list_of_executions_stand_apart(visit: Client, rich_desk: Book) -> None:
    Execution.objects.filter(pk=rich_desk.execution_id).update(attention="\n".join(REASONS))
    page = page_read(visit.get("/executions/").content)
    row = page.only("tr", id=f"execution-{rich_desk.execution_id}")
    assert [reason.text for reason in row.all("bdi", **{"class": "reason"})] == REASONS


def test_every_time_on_a_page_is_of_a_zone(
    visit: Client, analyst: User, connection: BrokerConnection, rich_desk: Book
) -> None:
    now = clock.now()
    flags = ExecutionFlag.objects
    flags.create(execution=rich_desk.execution, sentence="look", raised_at=now)
    flags.create(execution=rich_desk.execution, sentence="seen", raised_at=now, seen_at=now, seen_by=analyst)
    Execution.objects.filter(pk=rich_desk.execution_id).update(attention="look")
    Alert.objects.filter(resolved_at=None).update(acknowledged_at=now, acknowledged_by=analyst)
    kill_switch_engage(account=None, user=analyst, reason="x", now=now)
    kill_switch_engage(account=None, user=analyst, reason="y", now=now)
    paths = (
        "/setups/",
        f"/setups/{rich_desk.execution.setup_id}/",
        "/executions/",
        f"/executions/{rich_desk.execution_id}/",
        "/alerts/",
        "/kill-switch/",
        "/logins/",
    )
    for path in paths:
        text = page_read(visit.get(path).content).text
        assert re.search(r"\d\d:\d\d:\d\d UTC", text), path
        assert [text[max(0, found.start() - 40) : found.end() + 20] for found in BARE_TIME.finditer(text)] == [], path
