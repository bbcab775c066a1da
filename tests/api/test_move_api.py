"""Moving a stop or a target, over REST."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.domain.broker_events import ToldStatus
from app.executions.models import OrderCommand
from tests.api.desk import Filled, MakeUser, script
from tests.services.book import Book
from tests.services.heard import told

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(filled: Filled, analyst: User) -> Book:
    """Ten shares held behind a stop at 185 with a target at 200; the market is at 190."""
    book = filled(analyst, take_profits=[{"price": Decimal(200)}])
    book.hear(told(book.target, ToldStatus.SUBMITTED))
    return book


def patch(api: APIClient, book: Book, what: str, body: Any, *, key: str = "k1") -> tuple[int, dict[str, Any]]:
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    answer = api.patch(f"/api/v1/executions/{book.execution_id}/{what}/", body, format="json", **headers)
    return answer.status_code, answer.json()


def test_a_stop_is_moved_and_the_execution_shows_what_comes_of_it(api: APIClient, running: Book, analyst: User) -> None:
    body = {"price": "187.00", "expected_price": "185.00"}
    status, answer = patch(api, running, "stop", body)
    (command,) = answer["commands"]
    assert (status, command["kind"], command["order_ref"]) == (202, "MODIFY", running.stop.order_ref)
    assert (command["user"], command["reason_code"], command["settled_at"]) == ("ada", "moved", None)
    assert patch(api, running, "stop", body) == (202, answer)
    assert patch(api, running, "stop", body | {"price": "188.00"})[1]["code"] == "idempotency_key_reused"
    read = api.get(f"/api/v1/executions/{running.execution_id}/").json()["commands"]
    assert [(one["kind"], one["settled_how"]) for one in read] == [("PLACE", "answered"), ("MODIFY", "")]


def test_a_target_is_moved_by_its_tranche(api: APIClient, running: Book) -> None:
    body = {"price": "195.00", "expected_price": "200.00"}
    status, answer = patch(api, running, "targets/1", body)
    assert (status, answer["commands"][0]["order_ref"]) == (202, running.target.order_ref)
    assert patch(api, running, "targets/7", body, key="k2") == (
        404,
        {"code": "tranche_not_found", "message": "The execution has no tranche 7.", "details": {}},
    )


@pytest.mark.parametrize(
    ("what", "body", "status", "code"),
    [
        ("stop", {"price": "187", "expected_price": "186"}, 409, "price_changed"),
        ("stop", {"price": "190", "expected_price": "185"}, 422, "would_trigger_at_once"),
        ("stop", {"price": "187.005", "expected_price": "185"}, 422, "price_off_tick"),
        ("stop", {"price": "187"}, 400, "field_required"),
        ("stop", {"price": "1e2", "expected_price": "185"}, 400, "field_invalid"),
        ("stop", {"price": "187", "expected_price": "185", "tranche": "1"}, 400, "field_invalid"),
        ("stop", {"price": "187", "expected_price": "185", "stop": "1"}, 400, "unknown_field"),
        ("targets/1", {"price": "195", "expected_price": "200", "tranche": 1}, 400, "unknown_field"),
        ("targets/1", {"price": "180", "expected_price": "200"}, 422, "target_wrong_side"),
    ],
)
def test_what_cannot_be_is_refused(
    api: APIClient, running: Book, what: str, body: dict[str, Any], status: int, code: str
) -> None:
    answered, refused = patch(api, running, what, body)
    assert (answered, refused["code"]) == (status, code)
    assert not OrderCommand.objects.filter(kind="MODIFY").exists()


def test_a_move_needs_its_key(api: APIClient, running: Book) -> None:
    body = {"price": "187", "expected_price": "185"}
    assert patch(api, running, "stop", body, key="")[1]["code"] == "idempotency_key_missing"


def test_owners_traders_and_admins_move(
    running: Book, make_user: MakeUser, reviewer: User, settings: Settings, account: Account
) -> None:
    body = {"price": "187", "expected_price": "185"}
    assert patch(script(make_user("bob", "analyst")), running, "stop", body)[0] == 404
    assert patch(script(reviewer), running, "stop", body)[1]["code"] == "role_missing"
    assert patch(script(make_user("ann", "analyst", "reviewer")), running, "stop", body)[1]["code"] == "not_owner"
    assert patch(script(make_user("tess", "trader", "reviewer")), running, "stop", body)[0] == 202
