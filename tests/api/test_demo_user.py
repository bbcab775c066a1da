"""`manage.py demo_user`: one line of JSON that scripts/up reads."""

import json
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from app.accounts.models import Account
from tests.api.desk import PAPER

pytestmark = pytest.mark.django_db


def demo_user(*arguments: str) -> dict[str, str]:
    out = StringIO()
    call_command("demo_user", *arguments, stdout=out)
    (line,) = out.getvalue().splitlines()
    answer: dict[str, str] = json.loads(line)
    assert set(answer) in ({"username", "password", "token"}, {"username", "left_alone"})
    return answer


def test_the_demo_user_trades_on_paper_and_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "a password to show")
    first, second = demo_user(), demo_user()
    assert first == second, "safe to repeat"
    assert first["password"] == "a password to show"
    user = User.objects.get(username="demo")
    assert user.check_password("a password to show")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert user.has_perm("setups.add_setup")
    assert user.has_perm("setups.view_all_setups")
    assert not user.has_perm("accounts.trade_live")
    assert Account.objects.get().account_id == PAPER
    script = APIClient()
    assert script.get("/api/v1/setups/", headers={"Authorization": f"Token {first['token']}"}).status_code == 200


def test_without_a_password_the_demo_user_gets_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    first, second = demo_user(), demo_user("--reset")
    assert first["password"] != second["password"]
    assert User.objects.get(username="demo").check_password(second["password"])


@pytest.mark.case("S11")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("deactivated", "it was deactivated"),
        ("password", "it has another password"),
        ("roles", "it may no longer plan a setup"),
    ],
)
def test_a_demo_user_that_an_admin_changed_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, change: str, reason: str
) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "a password to show")
    demo_user()
    user = User.objects.get(username="demo")
    user.is_staff = False
    if change == "deactivated":
        user.is_active = False
    elif change == "password":
        user.set_password("another one")
    else:
        user.groups.clear()
    user.save()
    Token.objects.all().delete()
    before = User.objects.values().get(), set(user.groups.all())

    answer = demo_user()

    assert answer == {"username": "demo", "left_alone": reason}
    user = User.objects.get(username="demo")
    assert (User.objects.values().get(), set(user.groups.all())) == before
    assert not Token.objects.exists()


@pytest.mark.case("S11")
def test_reset_opens_it_again_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "a password to show")
    first = demo_user()
    User.objects.update(is_active=False)

    assert demo_user("--reset") == first
    assert User.objects.get().is_active


@pytest.mark.case("S35")
def test_roles_are_given_and_taken_from_the_command_line() -> None:
    demo_user()
    said = StringIO()

    call_command("user_roles", "demo", "--add", "trader", stdout=said)
    call_command("user_roles", "demo", "--remove", "trader", "reviewer", stdout=said)

    assert said.getvalue().splitlines() == ["demo: analyst, reviewer, trader", "demo: analyst"]
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("user_roles", "nobody")
