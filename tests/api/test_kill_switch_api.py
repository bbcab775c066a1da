"""The kill switch over REST and from the command line."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from app.accounts.models import Account, KillSwitch
from app.executions.models import Execution
from tests.api.desk import PAPER, MakeUser, script

pytestmark = pytest.mark.django_db
ALL, OWN = "/api/v1/kill-switch/", f"/api/v1/accounts/{PAPER}/kill-switch/"


@pytest.fixture
def trader(make_user: MakeUser, account: Account) -> APIClient:
    return script(make_user("tess", "trader"))


@pytest.fixture
def admin(make_user: MakeUser) -> APIClient:
    return script(make_user("root", is_superuser=True))


@pytest.mark.parametrize(("address", "stopped"), [(ALL, None), (OWN, PAPER)])
def test_a_trader_stops_and_an_admin_lets_it_go_on(
    trader: APIClient, admin: APIClient, address: str, stopped: str | None
) -> None:
    assert trader.get(address).json() == {"engaged": False, "switches": []}
    answer = trader.post(address, {"reason": "wrong prices"})
    assert answer.status_code == 200
    (switch,) = answer.json()["switches"]
    assert (switch["account"], switch["reason"], switch["flatten"]) == (stopped, "wrong prices", False)
    assert (switch["engaged_by"], switch["released_at"]) == ("tess", None)
    assert trader.get(OWN).json()["engaged"] is True, "either stops this account"
    # Releasing is not the trader's
    refused = trader.post(f"{address}release/", {"reason": "fine again"})
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    assert admin.post(f"{address}release/", {"reason": "fine again"}).json() == {"engaged": False, "switches": []}
    again = admin.post(f"{address}release/", {"reason": "fine again"})
    assert (again.status_code, again.json()["code"]) == (409, "kill_switch_not_engaged")
    assert KillSwitch.objects.get().release_reason == "fine again"


@pytest.mark.parametrize("address", [ALL, OWN])
def test_an_analyst_sees_it_and_may_not_touch_it(api: APIClient, address: str) -> None:
    assert api.get(address).status_code == 200
    for path in (address, f"{address}release/"):
        assert api.post(path, {"reason": "x"}).json()["code"] == "role_missing"
    assert not KillSwitch.objects.exists()


def test_without_a_reason_or_account_it_is_refused(trader: APIClient) -> None:
    assert trader.post(ALL, {}).json()["code"] == "field_required"
    assert trader.post(ALL, {"reason": "x", "flaten": True}).json()["code"] == "unknown_field"
    assert trader.post("/api/v1/accounts/DU0/kill-switch/", {"reason": "x"}).status_code == 404
    assert not KillSwitch.objects.exists()


def test_executing_is_refused_with_the_reason(
    trader: APIClient, api: APIClient, analyst: User, make_setup: Callable[..., Any]
) -> None:
    setup = make_setup(analyst)
    trader.post(ALL, {"reason": "wrong prices"})
    answer = api.post(f"/api/v1/setups/{setup.pk}/execute/", {}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (409, "kill_switch_engaged")
    assert answer.json()["details"]["reason"] == "wrong prices"
    assert not Execution.objects.exists()


def command(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("kill_switch", *arguments, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def test_the_command_engages_tells_and_releases(account: Account) -> None:
    assert command("status") == {"engaged": False, "switches": []}
    (switch,) = command("engage", "--reason", "fire", "--account", PAPER, "--flatten")["switches"]
    assert (switch["account"], switch["reason"], switch["flatten"], switch["engaged_by"]) == (PAPER, "fire", True, None)
    assert command("status", "--account", PAPER)["engaged"] is True
    assert command("release", "--reason", "out", "--account", PAPER) == {"engaged": False, "switches": []}


@pytest.mark.case("S45")
def test_the_command_tells_who_engaged_what_was_engaged(
    trader: APIClient, account: Account, make_user: MakeUser
) -> None:
    command("engage", "--reason", "the first")
    trader.post(ALL, {"reason": "the second"})
    command("engage", "--reason", "the third")
    [switch] = command("status")["switches"]
    assert (switch["reason"], switch["engaged_by"]) == ("the first", None)
    said = [(one["reason"], one["engaged_by"]) for one in switch["said_again"]]
    assert said == [("the second", "tess"), ("the third", None)]
    assert [set(one) for one in switch["said_again"]] == [{"reason", "engaged_at", "engaged_by"}] * 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["engage"], "--reason"),
        (["release", "--reason", "x"], "kill_switch_not_engaged"),
        (["engage", "--reason", "x", "--account", "DU0"], f"known: {PAPER}"),
        (["release", "--reason", "x", "--flatten"], "--flatten goes with engage"),
    ],
)
def test_the_command_says_what_is_wrong(account: Account, arguments: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        command(*arguments)
    assert not KillSwitch.objects.exists()
