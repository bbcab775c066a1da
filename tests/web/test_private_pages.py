"""What an account's data is shown in stays in nobody's cache, and runs nobody else's script."""

import pytest
from django.contrib.auth.models import User
from django.templatetags.static import static
from django.test import Client

from tests.api.desk import MakeUser
from tests.web.conftest import visit_of

pytestmark = [pytest.mark.django_db, pytest.mark.case("S22")]

PRIVATE = [
    "/setups/",
    "/kill-switch/",
    "/logins/",
    "/alerts/",
    "/api/v1/accounts/",
    "/api/v1/setups/",
    "/admin/",
    "/404/",
]


@pytest.fixture
def chief(make_user: MakeUser, account: object) -> User:
    return make_user("chief", "trader", "reviewer", is_staff=True)


@pytest.mark.parametrize("path", [*PRIVATE, "/login/", "/readyz"])
def test_an_answer_is_for_who_asked_alone(chief: User, path: str) -> None:
    answer = visit_of(chief).get(path)
    assert "no-store" in answer["Cache-Control"]
    vary = {name.strip() for name in answer["Vary"].split(",")}
    assert vary >= ({"Cookie", "Authorization"} if path.startswith("/api/") else {"Cookie"})


@pytest.mark.parametrize("path", [*PRIVATE, "/login/", "/api/docs/"])
def test_only_our_own_files_run(chief: User, path: str) -> None:
    answer = visit_of(chief).get(path)
    policy = dict(rule.strip().partition(" ")[::2] for rule in answer["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert {"script-src", "style-src"}.isdisjoint(policy), "nothing is allowed beside our own files"
    assert (policy["object-src"], policy["frame-ancestors"], policy["form-action"]) == ("'none'", "'none'", "'self'")
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Referrer-Policy"] == "same-origin"


def test_a_public_file_may_be_kept(db: None) -> None:
    assert "no-store" not in Client().get(static("web/desk.css"))["Cache-Control"]
