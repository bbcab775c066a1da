"""One execution, kept up to date; and the banner above every page."""

import re
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from app.accounts.models import Account, BrokerConnection
from app.accounts.services import connection_state_record
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_acknowledge, alert_raise
from app.brokers.base import ConnectionState
from app.core import clock
from app.domain.broker_events import MessageMeaning
from app.executions.models import Execution
from app.executions.services.kill_switch import kill_switch_engage, kill_switch_release
from tests.api.desk import Filled, MakeUser
from tests.services.heard import message
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
T = TypeVar("T")


def html_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return str(answer.content.decode())


def test_it_shows_orders_fills_costs_and_what_was_told(visit: Client, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    book.hear(message(book.stop, 399, "Outside <hours>", MessageMeaning.WARNING))
    page = html_of(visit, f"/executions/{book.execution_id}/")
    for shown in (
        f"IB-{book.entry.order_id}:{book.stop.order_id}",
        "190.16",
        "0.65 USD",
        "185.00",
        "ACCEPTED",
        "399: Outside &lt;hours&gt;",
        "fill_told ENTRY <bdi>BUY 4 at 190.10",
        "commission_told ENTRY <bdi>0.65 USD",
        "order_told STOP_LOSS <bdi>PreSubmitted",
        str(book.stop.perm_id),
    ):
        assert shown in page, shown
    assert re.search(r'<form id="execution-cancel"[^>]* hidden>', page), "the entry is filled"


def test_what_needs_a_person_stands_out(visit: Client, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    book.hear(message(book.stop, 99999, "Something new", MessageMeaning.UNKNOWN))
    assert "Needs attention" in html_of(visit, f"/executions/{book.execution_id}/")
    assert 'class="look"' in html_of(visit, "/executions/?attention=1")
    assert "No executions here" in html_of(visit, "/executions/?attention=1&symbol=MSFT")


def test_the_analyst_cancels_what_is_not_filled(visit: Client, analyst: User, requested: Any) -> None:
    path = f"/executions/{requested(analyst).pk}/"
    assert f'<form id="execution-cancel" method="post" action="{path}cancel/">' in html_of(visit, path)
    assert visit.get(path + "cancel/").status_code == 405
    page = visit.post(path + "cancel/", follow=True).content.decode()
    assert "NOT PLACED" in page
    assert "cancelled_before_sending" in page
    assert "execution-cancel" not in page, "what is finished has no such form"
    answer = visit.post(path + "cancel/")
    assert (answer.status_code, "execution_finished" in answer.content.decode()) == (409, True)


def test_others_see_nothing_and_reviewers_cancel_nothing(
    analyst: User, reviewer: User, make_user: MakeUser, requested: Any
) -> None:
    path = f"/executions/{requested(analyst).pk}/"
    html_of(visit_of(make_user("bob", "analyst")), path, 404)
    visit = visit_of(reviewer)
    assert "Cancel what is not filled" not in html_of(visit, path)
    answer = visit.post(path + "cancel/")
    assert (answer.status_code, "role_missing" in answer.content.decode()) == (403, True)
    assert Execution.objects.get().cancel_requested_at is None


def test_a_list_takes_as_many_queries_for_one_row_as_for_many(
    analyst: User, filled: Filled, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 3):
        while Execution.objects.count() < count:
            filled(analyst)
        visit = visit_of(analyst)
        # Session, user, permissions twice, three of executions; connection, kill switches, alerts, account, login.
        with django_assert_num_queries(12):
            assert html_of(visit, "/executions/").count('<span class="status open">') == count


class TestBanner:
    """The same above every page."""

    def test_it_says_paper_and_that_all_is_well(self, visit: Client, connection: BrokerConnection) -> None:
        connection_state_record(connection_id=connection.pk, state=ConnectionState.READY, reason="", now=clock.now())
        page = html_of(visit, "/setups/")
        assert '<body class="paper"' in page
        assert 'class="connection good"' in page
        assert "DU1234567" in page

    @pytest.mark.parametrize(
        ("state", "age_seconds", "shown"),
        [
            (ConnectionState.DEGRADED, 0, "Broker: DEGRADED"),
            (ConnectionState.READY, 11, "Broker: AWAY"),
        ],
    )
    def test_it_is_red_when_nothing_can_be_executed(
        self, visit: Client, connection: BrokerConnection, state: ConnectionState, age_seconds: int, shown: str
    ) -> None:
        connection_state_record(connection_id=connection.pk, state=state, reason="lost IB", now=clock.now())
        BrokerConnection.objects.update(heartbeat_at=clock.now() - timedelta(seconds=age_seconds))
        page = html_of(visit, "/setups/")
        assert 'class="connection bad"' in page
        assert shown in page

    def test_it_is_red_when_no_worker_ever_was_there(self, visit: Client, account: Account) -> None:
        BrokerConnection.objects.all().delete()
        assert "Broker: AWAY" in html_of(visit, "/setups/")

    @pytest.mark.case("A10")
    def test_addresses_and_error_numbers_are_for_staff_and_traders(
        self, analyst: User, reviewer: User, make_user: MakeUser, connection: BrokerConnection
    ) -> None:
        reason = "connection_refused: 127.0.0.1:4002 [Errno 111]"
        connection_state_record(
            connection_id=connection.pk, state=ConnectionState.DISCONNECTED, reason=reason, now=clock.now()
        )
        trader = make_user("tess", "trader")
        told = {user.username: reason in html_of(visit_of(user), "/setups/") for user in (analyst, reviewer, trader)}
        assert told == {"ada": False, "rex": True, "tess": True}

    def test_real_money_looks_different(self, visit: Client, settings: Settings) -> None:
        settings.IB_ACCOUNT = "U1234567"  # Also while the mode is still paper: the account decides.
        page = html_of(visit, "/setups/")
        assert '<body class="live"' in page
        assert 'LIVE<span class="more"> – real money</span>' in page

    def test_it_says_that_trading_is_stopped_and_why(self, visit: Client, account: Account) -> None:
        kill_switch_engage(account=account, user=None, reason="odd <prices>", now=clock.now())
        page = html_of(visit, "/setups/")
        assert f'Trading is stopped<span class="more"> ({account}): <bdi>odd &lt;prices&gt;</bdi>' in page
        kill_switch_release(account=account, user=None, reason="over", now=clock.now())
        assert "Trading is stopped" not in html_of(visit, "/setups/")

    def test_it_counts_the_critical_alerts_that_nobody_has_seen(self, visit: Client, analyst: User) -> None:
        now = clock.now()
        alert_raise(kind=AlertKind.QUEUE_LAG, subject="x", text="x", now=now)
        assert "critical alert" not in html_of(visit, "/setups/"), "a warning is no critical one"
        alert = alert_raise(kind=AlertKind.WORKER_SILENT, subject="x", text="x", now=now)
        assert '1 critical<span class="more"> alert</span></a>' in html_of(visit, "/setups/")
        alert_acknowledge(alert_id=alert.pk, user=analyst, now=now)
        assert "critical alert" not in html_of(visit, "/setups/")
