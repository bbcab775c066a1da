"""What a person at the desk sees and does when something is wrong: the banner, the red button, the alerts."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from app.accounts.models import BrokerConnection, KillSwitch
from app.accounts.services import connection_state_record
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.brokers.base import ConnectionState
from app.core import clock
from app.executions.services.kill_switch import kill_switch_engage
from tests.api.desk import PASSWORD, MakeUser
from tests.browser.test_desk import be_ready, log_in, look

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]


def log_in_as(page: Page, username: str) -> None:
    page.goto("/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Setups")).to_be_visible()


def test_a_trader_presses_the_red_button(page: Page, make_user: MakeUser, connection: BrokerConnection) -> None:
    be_ready(connection)
    make_user("tess", "trader")
    log_in_as(page, "tess")
    page.get_by_role("link", name="Stop trading").click()
    look(page, "kill_switch")
    page.get_by_label("Why").fill("wrong prices")
    page.get_by_role("button", name="Stop trading").click()
    # Without the confirmation the browser does not even send it
    assert not KillSwitch.objects.exists()
    page.get_by_label("Yes, stop trading").check()
    page.get_by_role("button", name="Stop trading").click()
    expect(page.locator("main .alert")).to_contain_text("Trading is stopped: all accounts")
    expect(page.locator(".banner")).to_contain_text("Trading is stopped (all accounts): wrong prices")
    look(page, "kill_switch_engaged")
    assert KillSwitch.objects.get().is_engaged


def test_the_banner_says_everything_that_is_wrong(page: Page, analyst: User, connection: BrokerConnection) -> None:
    now = clock.now()
    connection_state_record(connection_id=connection.pk, state=ConnectionState.DEGRADED, reason="lost IB", now=now)
    log_in(page)
    expect(page.locator(".banner")).to_contain_text("Broker: DEGRADED")
    # When more goes wrong while the page is open
    kill_switch_engage(account=None, user=None, reason="wrong prices", now=now)
    alert_raise(kind=AlertKind.GATEWAY_SILENT, subject="DU1/1", text="No answer of the Gateway for 12 s.", now=now)
    # Then it says so by itself
    expect(page.locator(".banner")).to_contain_text("Trading is stopped (all accounts): wrong prices")
    expect(page.locator(".banner")).to_contain_text("1 critical alert")
    look(page, "banner_all")
    page.get_by_role("link", name="1 critical alert").click()
    expect(page.locator("main .alert")).to_contain_text("No answer of the Gateway for 12 s.")
    look(page, "alerts")
