"""Executions over REST: the object scripts are written against, lists of it, cancelling."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from app.core import clock
from app.domain.broker_events import MessageMeaning
from app.executions.models import Execution
from tests.api.desk import Filled, MakeUser, script
from tests.services.heard import fill, message

pytestmark = pytest.mark.django_db
URL = "/api/v1/executions/"


def test_it_is_answered_with_all_that_is_known(api: APIClient, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    execution = api.get(f"{URL}{book.execution_id}/").json()
    entry, stop = execution["brackets"][0]["orders"]
    assert {name: execution[name] for name in ("status", "symbol", "side", "quantity", "open_quantity")} == {
        "status": "OPEN",
        "symbol": "AAPL",
        "side": "LONG",
        "quantity": "10",
        "open_quantity": "10",
    }
    assert execution["reference"] == f"IB-{book.entry.order_id}:{book.stop.order_id}"
    assert execution["brackets"][0]["reference"] == execution["reference"]
    assert (execution["account"], execution["requested_by"], execution["attention"]) == ("DU1234567", "ada", "")
    assert execution["requested_at"].endswith("Z")
    expected = {
        "leg": "ENTRY",
        "order_ref": book.entry.order_ref,
        "order_id": book.entry.order_id,
        "perm_id": book.entry.perm_id,
        "status": "FILLED",
        "display_status": "FILLED",
        "action": "BUY",
        "order_type": "MARKET",
        "quantity": "10",
        "filled_quantity": "10",
        "average_price": "190.16",
        "limit_price": None,
        "stop_price": None,
        "last_error": None,
    }
    assert {name: entry[name] for name in expected} == expected
    assert (stop["status"], stop["display_status"], stop["why_held"]) == ("HELD", "ACCEPTED", "trigger")
    assert (stop["stop_price"], stop["time_in_force"]) == ("185.00", "GTC")
    assert [(deal["quantity"], deal["price"], deal["commission"]) for deal in execution["fills"]] == [
        ("4", "190.10", "0.35"),
        ("6", "190.20", "0.65"),
    ]
    first = execution["fills"][0]
    assert (first["leg"], first["order_ref"], first["currency"]) == ("ENTRY", entry["order_ref"], "USD")
    assert first["realized_pnl"] is None
    kinds = [event["kind"] for event in execution["events"]]
    assert kinds == ["order_told", "fill_told", "commission_told", "fill_told", "commission_told", "order_told"]
    assert [event["id"] for event in execution["events"]] == sorted(event["id"] for event in execution["events"])
    assert execution["events"][1]["order_ref"] == entry["order_ref"]
    assert execution["events"][1]["price"] == "190.10"


def test_the_last_message_of_the_broker_is_shown(api: APIClient, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    book.hear(message(book.stop, 399, "Outside of trading hours", MessageMeaning.WARNING))
    stop = api.get(f"{URL}{book.execution_id}/").json()["brackets"][0]["orders"][1]
    assert stop["last_error"] == {"code": 399, "text": "Outside of trading hours"}


def test_a_deal_that_was_corrected_is_shown_once(api: APIClient, analyst: User, filled: Filled) -> None:
    book = filled(analyst)
    book.hear(fill(book.stop, "10", "184.90", exec_id="0000e0d5.12345678.01.01"))
    book.hear(fill(book.stop, "10", "184.95", exec_id="0000e0d5.12345678.01.02"))
    execution = api.get(f"{URL}{book.execution_id}/").json()
    assert [deal["price"] for deal in execution["fills"] if deal["leg"] == "STOP_LOSS"] == ["184.95"]
    assert (execution["status"], execution["exit_reason"]) == ("CLOSED", "STOP_LOSS")


def test_lists_can_be_narrowed(api: APIClient, analyst: User, filled: Filled, requested: Any) -> None:
    is_open, waiting = filled(analyst).execution, requested(analyst)
    yesterday = clock.now() - timedelta(days=1)
    Execution.objects.filter(pk=is_open.pk).update(requested_at=yesterday, attention="look", symbol="MSFT")
    noon = (yesterday + timedelta(hours=12)).isoformat()

    def found(query: str = "") -> list[int]:
        answer = api.get(URL + query)
        assert answer.status_code == 200, answer.json()
        return [execution["id"] for execution in answer.json()["results"]]

    assert found() == [waiting.pk, is_open.pk]
    assert found("?status=OPEN") == [is_open.pk]
    assert found("?status=OPEN&status=REQUESTED") == [waiting.pk, is_open.pk]
    assert found("?symbol=msft") == [is_open.pk]
    assert found(f"?setup={waiting.setup_id}") == [waiting.pk]
    assert found("?account=DU0000000") == []
    assert found("?attention=true") == [is_open.pk]
    assert found("?attention=false") == [waiting.pk]
    assert found(f"?date_to={noon.replace('+', '%2B')}") == [is_open.pk]
    assert found(f"?date_from={clock.now():%Y-%m-%d}") == [waiting.pk]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state=OPEN", "unknown_field"),
        ("status=GONE", "choice_unknown"),
        ("setup=x", "field_invalid"),
        ("setup=99999999999999999999", "value_out_of_range"),
        ("date_from=today", "field_invalid"),
        ("attention=perhaps", "field_invalid"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(api: APIClient, query: str, code: str) -> None:
    answer = api.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.json()


def test_lists_and_items_take_a_fixed_number_of_queries(
    analyst: User, filled: Filled, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 3):
        while Execution.objects.count() < count:
            newest = filled(analyst, take_profits=[])
        api = script(User.objects.get(pk=analyst.pk))  # Has not looked up its permissions yet.
        # Permissions of the user and of its groups; executions, brackets, orders, deals.
        with django_assert_num_queries(6):
            results = api.get(URL).json()["results"]
        assert [len(execution["fills"]) for execution in results] == [2] * count
        with django_assert_num_queries(7):  # The permissions are known; three more for flags, commands and events.
            assert api.get(f"{URL}{newest.execution_id}/").status_code == 200


def test_only_those_who_may_see_it_do(analyst: User, reviewer: User, make_user: MakeUser, filled: Filled) -> None:
    url = f"{URL}{filled(analyst).execution_id}/"
    other = script(make_user("bob", "analyst"))
    assert other.get(url).json()["code"] == "not_found"
    assert other.post(url + "cancel/").json()["code"] == "not_found"
    assert other.get(URL).json()["results"] == []
    assert script(reviewer).get(url).status_code == 200
    answer = script(reviewer).post(url + "cancel/")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


def test_what_was_not_sent_is_cancelled_at_once(api: APIClient, analyst: User, requested: Any) -> None:
    url = f"{URL}{requested(analyst).pk}/"
    answer = api.post(url + "cancel/")
    assert (answer.status_code, answer.json()["status"]) == (202, "NOT_PLACED"), answer.json()
    assert answer.json()["reason_code"] == "cancelled_before_sending"
    answer = api.post(url + "cancel/")
    assert (answer.status_code, answer.json()["code"]) == (409, "execution_finished")


def test_what_is_filled_cannot_be_cancelled(api: APIClient, analyst: User, filled: Filled) -> None:
    answer = api.post(f"{URL}{filled(analyst).execution_id}/cancel/")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_cancel")
