"""The kill switch's page and the admin's actions."""

import re

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


@pytest.mark.case("A16")
def test_once_all_is_stopped_the_form_is_gone_and_who_releases_is_said(make_user: MakeUser, account: Account) -> None:
    make_user("root", is_superuser=True)
    trader = visit_of(make_user("tess", "trader"))
    # Given a page that says calmly that nothing is stopped
    before = html_of(trader)
    assert '<p class="calm" id="stops-none">Not engaged: setups can be executed.</p>' in before
    assert 'class="notice"' not in before
    assert f'action="{PAGE}engage/"' in before
    # When all accounts are stopped
    trader.post(f"{PAGE}engage/", {"reason": "news", "confirmed": "on"})
    # Then there is nothing left to stop, but positions can still be closed, with a confirmation of its own
    page = html_of(trader)
    assert "Only an admin can release: <bdi>root</bdi>." in page
    assert '<div class="card" id="stop-more" hidden>' in page
    assert '<p class="calm" id="stops-none" hidden>' in page
    assert trader.post(f"{PAGE}engage/", {"reason": "news", "flatten": "on"}).status_code == 422
    trader.post(f"{PAGE}engage/", {"reason": "news", "flatten": "on", "confirmed": "on"})
    assert [switch.flatten for switch in KillSwitch.objects.all()] == [True]
    assert html_of(trader).count(f'action="{PAGE}engage/"') == 1, "the one that waits unseen for a release"


@pytest.mark.case("A16")
def test_a_stop_of_one_account_leaves_the_form_for_the_others(make_user: MakeUser, account: Account) -> None:
    trader = visit_of(make_user("tess", "trader"))
    other = Account.objects.create(account_id="DU7654321")
    trader.post(f"{PAGE}engage/", {"reason": "news", "confirmed": "on", "account": account.pk})
    page = html_of(trader)
    assert re.findall(r'<option value="(\d*)"', page) == ["", str(other.pk)]
    trader.post(f"{PAGE}engage/", {"reason": "news", "confirmed": "on", "account": other.pk})
    assert '<div class="card" id="stop-more" hidden>' in html_of(trader)


@pytest.mark.case("A16")
def test_labels_have_no_colons_and_the_ticks_stand_apart(make_user: MakeUser, account: Account) -> None:
    page = html_of(visit_of(make_user("tess", "trader"))).partition("<main")[2]
    assert [text for text in re.findall(r"<label[^>]*>([^<]*)</label>", page) if text.endswith(":")] == []
    # "Yes, stop" comes before the button, and "also close" after it, folded away.
    places = [page.index(part) for part in ('name="confirmed"', "Stop trading</button>", "<details", 'name="flatten"')]
    assert places == sorted(places)


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
