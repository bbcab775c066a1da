"""What a person decides about an execution, over REST."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from app.core import clock
from app.domain.broker_events import MessageMeaning
from app.executions.services.apply import broker_event_record
from tests.api.desk import Filled, MakeUser, script
from tests.services.book import Book
from tests.services.heard import message

pytestmark = pytest.mark.django_db


@pytest.fixture
def flagged(filled: Filled, analyst: User) -> Book:
    """Ten shares held, and a flag."""
    book = filled(analyst)
    broker_event_record(message(book.stop, 99999, "Something new", MessageMeaning.UNKNOWN), now=clock.now())
    return book


def resolve(api: APIClient, book: Book, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = api.post(f"/api/v1/executions/{book.execution_id}/resolve/", body, format="json")
    return answer.status_code, answer.json()


@pytest.mark.case("T21")
def test_an_act_is_previewed_and_then_carried_out_on_the_same_picture(api: APIClient, flagged: Book) -> None:
    deal = {"act": "enter_fill", "order_ref": flagged.stop.order_ref, "quantity": "10", "price": "184.90"}
    deal |= {"executed_at": clock.now().isoformat(), "note": "as the statement says"}
    status, seen = resolve(api, flagged, **deal, dry_run=True)
    assert (status, seen["open_before"], seen["open_after"], seen["sends"]) == (200, "10", "0", [])
    assert seen["text"].endswith("SELL 10 at 184.90; the broker tells that deal no more. as the statement says")
    assert flagged.execution.status == "OPEN"
    status, refused = resolve(api, flagged, **deal, facts="0000000000000000")
    assert (status, refused["code"], refused["details"]["facts"]) == (409, "facts_changed", seen["facts"])
    status, done = resolve(api, flagged, **deal, facts=seen["facts"])
    assert (status, done["open_after"], flagged.execution.status) == (202, "0", "CLOSED")
    read = api.get(f"/api/v1/executions/{flagged.execution_id}/").json()
    assert [deal["price"] for deal in read["fills"] if deal["order_ref"] == flagged.stop.order_ref] == ["184.90"]
    assert read["events"][-1]["kind"] == "fill_entered"


def test_flags_are_dismissed(api: APIClient, flagged: Book) -> None:
    assert resolve(api, flagged, act="dismiss")[1]["code"] == "note_missing"
    assert resolve(api, flagged, act="dismiss", note="it is known")[0] == 202
    assert flagged.execution.attention == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"act": "enter_fill"}, "field_missing"),
        ({"act": "enter_fill", "executed_at": "yesterday"}, "field_invalid"),
        ({"act": "enter_fill", "price": "1e3"}, "field_invalid"),
        ({"act": "burn"}, "choice_unknown"),
        ({"act": "not_ours"}, "position_agrees"),
    ],
)
def test_what_is_not_said_properly_is_refused(api: APIClient, flagged: Book, body: dict[str, Any], code: str) -> None:
    status, refused = resolve(api, flagged, **body)
    assert status in (400, 409, 422)
    assert refused["code"] == code


def test_owners_traders_and_admins_decide(flagged: Book, make_user: MakeUser, reviewer: User) -> None:
    body = {"act": "dismiss", "note": "seen by me", "dry_run": True}
    assert resolve(script(make_user("bob", "analyst")), flagged, **body)[0] == 404
    assert resolve(script(reviewer), flagged, **body)[1]["code"] == "role_missing"
    assert resolve(script(make_user("ann", "analyst", "reviewer")), flagged, **body)[1]["code"] == "not_owner"
    for decides in (make_user("tess", "trader", "reviewer"), make_user("root", is_superuser=True)):
        assert resolve(script(decides), flagged, **body)[0] == 200
