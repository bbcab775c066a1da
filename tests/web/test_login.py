"""Nobody sees a page without logging in, and passwords are not guessed."""

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from pytest_django import Settings

from app.accounts.models import Account
from app.web.login import client_address
from tests.api.desk import PASSWORD, MakeUser

pytestmark = pytest.mark.django_db


def log_in(client: Client, password: str = PASSWORD, *, username: str = "ada", path: str = "/login/") -> str:
    answer = client.post(path, {"username": username, "password": password, "next": "/executions/"}, follow=True)
    return str(answer.content.decode())


@pytest.mark.parametrize(
    "path",
    ["/setups/", "/setups/new/", "/setups/1/", "/executions/", "/executions/1/", "/alerts/", "/kill-switch/"],
)
def test_every_page_asks_who_you_are(path: str) -> None:
    answer = Client().get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next={path}")


def test_the_root_leads_to_the_setups(analyst: User) -> None:
    client = Client()
    client.force_login(analyst)
    assert client.get("/")["Location"] == "/setups/"


def test_a_login_leads_where_one_wanted_to_go_and_a_logout_ends_it(analyst: User, account: Account) -> None:
    client = Client()
    assert "<h1>Executions</h1>" in log_in(client)
    assert client.get("/logout/").status_code == 405, "a link cannot log anybody out"
    client.post("/logout/")
    assert client.get("/setups/").status_code == 302


def test_a_login_leads_to_no_foreign_site(analyst: User) -> None:
    answer = Client().post("/login/", {"username": "ada", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/setups/"


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_after_ten_wrong_passwords_the_right_one_has_to_wait(make_user: MakeUser, path: str) -> None:
    make_user("ada", "reviewer", is_staff=True)
    client = Client()
    for _ in range(10):
        assert "Please enter" in log_in(client, "wrong", path=path)
    assert "Too many attempts" in log_in(client, path=path)


def test_a_form_of_another_site_is_refused(analyst: User) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "ada", "password": PASSWORD})
    assert answer.status_code == 403
    assert "csrf_failed" in answer.content.decode()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "", "10.9.9.9"),
        (0, "1.1.1.1", "10.9.9.9"),
        (1, "", "10.9.9.9"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        (3, "1.1.1.1", "10.9.9.9"),
    ],
)
def test_the_address_is_what_our_own_proxies_saw(
    rf: RequestFactory, settings: Settings, proxies: int, forwarded: str, address: str
) -> None:
    settings.PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client_address(rf.get("/login/", headers=headers, REMOTE_ADDR="10.9.9.9")) == address


def test_without_redis_one_can_log_in_still(analyst: User, account: Account, settings: Settings) -> None:
    away = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9/0"}
    settings.CACHES = {"default": away}
    client = Client()
    assert "Please enter" in log_in(client, "wrong")
    assert "<h1>Executions</h1>" in log_in(client)
    settings.CACHES = {"default": {**away, "LOCATION": settings.REDIS_URL}}
