"""`manage.py demo_user`: one line of JSON that scripts/up reads."""

import json
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.test import APIClient

from app.accounts.models import Account
from tests.api.desk import PAPER

pytestmark = pytest.mark.django_db


def demo_user() -> dict[str, str]:
    out = StringIO()
    call_command("demo_user", stdout=out)
    (line,) = out.getvalue().splitlines()
    answer: dict[str, str] = json.loads(line)
    assert set(answer) == {"username", "password", "token"}
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
    first, second = demo_user(), demo_user()
    assert first["password"] != second["password"]
    assert User.objects.get(username="demo").check_password(second["password"])
