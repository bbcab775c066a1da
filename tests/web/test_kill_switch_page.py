"""The kill switch's page and the admin's actions."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.accounts.models import Account, KillSwitch
from tests.api.desk import MakeUser
from tests.web.conftest import visit_of

pytestmark = pytest.mark.django_db
PAGE = "/kill-switch/"


def html_of(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_trader_stops_trading_with_a_confirmation(make_user: MakeUser, account: Account) -> None:
    trader = visit_of(make_user("tess", "trader"))
    assert '<button class="stop">Stop trading</button>' in html_of(trader)
    # Without the confirmation nothing happens
    unconfirmed = trader.post(f"{PAGE}engage/", {"reason": "news"})
    assert unconfirmed.status_code == 422
    assert not KillSwitch.objects.exists()
    # With it trading is stopped, and releasing is not offered
    form = {"reason": "news & <b>", "account": account.pk, "flatten": "on", "confirmed": "on"}
    assert trader.post(f"{PAGE}engage/", form).status_code == 302
    switch = KillSwitch.objects.get()
    assert (switch.account, switch.flatten, switch.engaged_by and switch.engaged_by.username) == (account, True, "tess")
    page = html_of(trader)
    assert f"Trading is stopped: {account}" in page
    assert "news &amp; &lt;b&gt;" in page
    assert "Let trading go on" not in page
    assert trader.post(f"{PAGE}release/", {"reason": "x", "account": account.pk}).status_code == 403


def test_an_admin_lets_it_go_on(make_user: MakeUser, account: Account) -> None:
    admin = visit_of(make_user("root", is_superuser=True))
    admin.post(f"{PAGE}engage/", {"reason": "news", "confirmed": "on"})
    assert "Let trading go on: all accounts" in html_of(admin)
    assert admin.post(f"{PAGE}release/", {"reason": "over", "account": ""}).status_code == 302
    assert not KillSwitch.objects.get().is_engaged
    assert admin.post(f"{PAGE}release/", {"reason": "over"}).status_code == 409


def test_an_analyst_sees_and_may_not(visit: Client, analyst: User) -> None:
    page = html_of(visit)
    assert 'class="stop"' not in page
    assert visit.post(f"{PAGE}engage/", {"reason": "x", "confirmed": "on"}).status_code == 403
    assert not KillSwitch.objects.exists()
    assert Client().get(PAGE).status_code == 302


def test_the_admin_has_it_as_actions(make_user: MakeUser, reviewer: User, account: Account) -> None:
    path = "/admin/accounts/account/"
    chosen = {"_selected_action": [account.pk]}
    root = visit_of(make_user("root", is_superuser=True, is_staff=True))
    root.post(path, chosen | {"action": "stop_trading"})
    switch = KillSwitch.objects.get()
    assert (switch.account, switch.is_engaged) == (account, True)
    root.post(path, chosen | {"action": "let_trading_go_on"})
    assert not KillSwitch.objects.get().is_engaged
    # A reviewer sees accounts, and has no such actions
    visit_of(reviewer).post(path, chosen | {"action": "stop_trading"})
    assert KillSwitch.objects.count() == 1
