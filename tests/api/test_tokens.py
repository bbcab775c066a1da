"""A token in exchange for a name and a password."""

import pytest
from rest_framework.test import APIClient

from app.accounts.models import Account
from tests.api.desk import PASSWORD, MakeUser

pytestmark = pytest.mark.django_db


def test_a_password_buys_a_token_that_works(make_user: MakeUser, account: Account) -> None:
    make_user("ada", "analyst")
    script = APIClient()
    answer = script.post("/api/v1/token/", {"username": "ada", "password": PASSWORD})
    assert answer.status_code == 200, answer.json()
    token = answer.json()["token"]
    assert script.post("/api/v1/token/", {"username": "ada", "password": PASSWORD}).json()["token"] == token
    assert script.get("/api/v1/accounts/", headers={"Authorization": f"Token {token}"}).status_code == 200


@pytest.mark.parametrize("body", [{}, {"username": "ada"}, {"username": "ada", "password": ""}])
def test_a_token_needs_both_name_and_password(body: dict[str, str]) -> None:
    assert APIClient().post("/api/v1/token/", body).json()["code"] == "field_required"
