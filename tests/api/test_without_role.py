"""Who has no role sees nothing of the accounts: no figures, no connections, no reason why trading stopped."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from app.accounts.models import Account, KillSwitch
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise
from app.core import clock
from tests.api.desk import MakeUser, script

pytestmark = [pytest.mark.django_db, pytest.mark.case("S34")]

REASON = "the desk lost its mind"
ADDRESSES = [
    "/api/v1/accounts/",
    "/api/v1/accounts/DU1234567/",
    "/api/v1/accounts/DU0000000/",
    "/api/v1/kill-switch/",
    "/api/v1/accounts/DU1234567/kill-switch/",
]


@pytest.fixture
def nobody(make_user: MakeUser, account: Account) -> User:
    KillSwitch.objects.create(account=None, reason=REASON, engaged_at=clock.now())
    alert_raise(kind=AlertKind.POSITION_DRIFT, subject="x", text=REASON, now=clock.now())
    return make_user("nobody")


@pytest.mark.parametrize("path", ADDRESSES)
def test_the_api_refuses_with_a_code(nobody: User, path: str) -> None:
    answer = script(nobody).get(path)
    assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


@pytest.mark.parametrize("role", ["analyst", "trader", "reviewer"])
def test_every_role_may(make_user: MakeUser, account: Account, role: str) -> None:
    assert (
        script(make_user("ada", role)).get("/api/v1/accounts/").json()["results"][0]["net_liquidation"] == "100000.00"
    )


def test_no_page_tells_either(nobody: User) -> None:
    client = Client()
    client.force_login(nobody)
    assert client.get("/kill-switch/").status_code == 403
    for path in ("/setups/", "/executions/", "/alerts/", "/banner/", "/figures/", "/kill-switch/", "/logins/"):
        page = client.get(path).content.decode()
        assert REASON not in page
        assert "DU1234567" not in page
        assert "100,000" not in page
    assert script(nobody).get("/api/v1/alerts/").json()["results"] == []


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({}, True),
        ({"REMOTE_ADDR": "::1"}, True),
        ({"REMOTE_ADDR": "10.0.0.5"}, False),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
    ],
)
def test_readyz_names_the_parts_to_all_and_what_is_wrong_to_this_machine(
    account: Account, where: dict[str, str], told: bool
) -> None:
    checks = APIClient().get("/readyz", **where).json()["checks"]
    assert checks["gateway"]["ok"] is False
    assert ("detail" in checks["gateway"]) is told


def test_readyz_says_what_is_wrong_to_who_has_a_role(nobody: User, make_user: MakeUser) -> None:
    for user, told in ((nobody, False), (make_user("ada", "analyst"), True)):
        client = Client(REMOTE_ADDR="10.0.0.5")
        client.force_login(user)
        assert ("detail" in client.get("/readyz").json()["checks"]["gateway"]) is told
