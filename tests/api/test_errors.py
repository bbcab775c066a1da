"""Every error is `{code, message, details}`, whoever raised it."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import RequestFactory
from django.urls import clear_url_caches, path
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisAway
from rest_framework.request import Request
from rest_framework.test import APIClient
from rest_framework.views import APIView

from app.accounts.models import Account
from app.brokers.errors import IncompleteAnswer, NotConnected, OrderRefused
from app.config import urls
from tests.api.desk import MakeUser, script

pytestmark = pytest.mark.django_db
URL = "/api/v1/setups/"


def assert_error(answer: Any, status: int, code: str) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()
    assert (answer.status_code, error["code"]) == (status, code), error
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    return error


def test_without_a_token(account: Account) -> None:
    answer = APIClient().get(URL)
    assert_error(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("header", ["Token nonsense", "Token", "Token a b", "Token \u00e9"])
def test_with_a_token_that_is_none(header: str) -> None:
    assert_error(APIClient().get(URL, headers={"Authorization": header}), 401, "authentication_failed")


def test_with_a_session_but_without_its_csrf_token(analyst: User) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(analyst)
    assert browser.get(URL).status_code == 200
    assert_error(browser.post(URL, {}), 403, "csrf_failed")


def test_a_method_that_is_not_there(api: APIClient) -> None:
    assert_error(api.put(URL, {}), 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nothing", "/api/v1/setups/x/", "/api/v2/setups/"])
def test_an_address_that_is_not_there(api: APIClient, path: str) -> None:
    assert_error(api.get(path), 404, "not_found")


@pytest.mark.parametrize("number", ["999999", "9" * 30])
def test_a_thing_that_is_not_there(api: APIClient, number: str) -> None:
    assert_error(api.get(f"{URL}{number}/"), 404, "not_found")


@pytest.mark.parametrize("body", ["{", "{'symbol': 'AAPL'}", "\x00", "[1,"])
def test_a_body_that_is_no_json(api: APIClient, body: str) -> None:
    assert_error(api.post(URL, body, content_type="application/json"), 400, "json_malformed")


def test_a_body_that_is_no_text(api: APIClient) -> None:
    assert_error(api.post(URL, b"\xff\xfe", content_type="application/json"), 400, "json_malformed")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/xml"])
def test_a_body_of_another_kind(api: APIClient, kind: str) -> None:
    assert_error(api.post(URL, "symbol=AAPL", content_type=kind), 415, "media_type_unsupported")


def test_an_answer_of_another_kind(api: APIClient) -> None:
    assert_error(api.get(URL, headers={"Accept": "text/html"}), 406, "not_acceptable")


def test_a_host_that_is_not_ours(api: APIClient, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["trading.example"]
    assert_error(api.get(URL, headers={"Host": "evil.example"}), 400, "request_refused")


@pytest.mark.case("S14")
@pytest.mark.parametrize("address", [URL, "/healthz", "/setups/", "/nothing"])
def test_a_host_that_is_not_ours_is_one_line(caplog: pytest.LogCaptureFixture, address: str) -> None:
    with caplog.at_level(logging.WARNING):
        assert APIClient().get(address, headers={"Host": "evil.example"}).status_code == 400
    assert [line.name for line in caplog.records] == ["django.security.DisallowedHost"]


class Failing(APIView):
    """Raises what the test says."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    error: Exception = RuntimeError()

    def get(self, request: Request) -> None:
        raise self.error


@pytest.fixture
def failing() -> Iterator[type[Failing]]:
    urls.urlpatterns.insert(0, path("api/v1/failing/", Failing.as_view()))
    clear_url_caches()
    yield Failing
    urls.urlpatterns.pop(0)
    clear_url_caches()


@pytest.mark.parametrize("debug", [True, False])
def test_what_nobody_foresaw_tells_nothing_but_an_id(
    failing: type[Failing], settings: Settings, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = debug
    failing.error = RuntimeError("password=hunter2")
    with caplog.at_level(logging.ERROR):
        answer = APIClient().get("/api/v1/failing/")
    error = assert_error(answer, 500, "internal_error")
    assert "hunter2" not in answer.content.decode()
    assert error["details"]["error_id"] in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OperationalError("server closed the connection"), 503, "database_unavailable"),
        (RedisAway("Connection refused"), 503, "redis_unavailable"),
        (NotConnected("away"), 503, "broker_not_connected"),
        (OrderRefused("no"), 422, "order_refused"),
        (IncompleteAnswer("odd"), 500, "incomplete_answer"),
    ],
)
def test_what_is_away_says_so(failing: type[Failing], error: Exception, status: int, code: str) -> None:
    failing.error = error
    answer = APIClient().get("/api/v1/failing/")
    assert_error(answer, status, code)
    assert ("Retry-After" in answer) == (status == 503)


def test_what_fails_before_any_view_tells_nothing_either(rf: RequestFactory, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        told = json.loads(urls.handler500(rf.get("/api/v1/setups/")).content)
    assert told["code"] == "internal_error"
    assert told["details"]["error_id"] in caplog.text
    page = urls.handler500(rf.get("/setups/"))
    assert (page.status_code, "Something went wrong" in page.content.decode()) == (500, True)


def test_passwords_are_not_guessed_here(make_user: MakeUser, account: Account) -> None:
    make_user("ada", "analyst")
    client, wrong = APIClient(), {"username": "ada", "password": "wrong"}
    for _ in range(10):
        assert_error(client.post("/api/v1/token/", wrong), 401, "credentials_wrong")
    answer = client.post("/api/v1/token/", wrong)
    assert_error(answer, 429, "throttled")
    assert 0 < int(answer["Retry-After"]) <= 60
    assert re.findall(r"\d+", answer.json()["message"]) in ([], [answer["Retry-After"]]), "how long, once"


def test_nor_with_many_names_from_one_address(account: Account) -> None:
    client, statuses = APIClient(), []
    for number in range(11):  # An address in a header of the client's own making is no other address.
        wrong = {"username": f"user{number}", "password": "wrong"}
        statuses.append(
            client.post("/api/v1/token/", wrong, headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
        )
    assert statuses == [401] * 10 + [429]


def test_an_inactive_user_is_nobody(make_user: MakeUser, account: Account) -> None:
    client = APIClient()
    make_user("gone", "analyst", is_active=False)
    answer = client.post("/api/v1/token/", {"username": "gone", "password": "correct horse battery"})
    assert_error(answer, 401, "credentials_wrong")


def test_reading_needs_no_role_but_shows_nothing(make_user: MakeUser, account: Account) -> None:
    nobody = script(make_user("new"))
    assert nobody.get(URL).json()["results"] == []
    assert_error(nobody.post(URL, {}), 403, "role_missing")
