"""Setups over REST: what comes in, what goes out, and who may."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.core import clock
from app.market import dispatch
from app.market.models import Instrument
from app.setups.models import Setup
from tests.api.desk import MakeSetup, MakeUser, script
from tests.services.data_worker import DataWorker

pytestmark = pytest.mark.django_db
MARKET = {"symbol": "AAPL", "side": "LONG", "entry_type": "MARKET", "stop_price": "185.00", "quantity": "10"}
STOP_LIMIT = MARKET | {"entry_type": "STOP_LIMIT", "entry_price": "190.00", "entry_limit_price": "190.50"}
URL = "/api/v1/setups/"


@pytest.fixture
def data_worker(settings: Settings) -> Any:
    worker = DataWorker(settings.REDIS_URL)
    yield worker
    worker.stop()


@pytest.fixture
def no_data_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LOOK_UP_SECONDS_MAX", 0.1)


def test_a_plan_is_stored_and_answered_as_it_was_meant(api: APIClient, apple: Instrument, account: Account) -> None:
    plan = STOP_LIMIT | {
        "symbol": " aapl ",
        "take_profits": [{"price": "200", "fraction": "0.50"}, {"price": "210.5", "fraction": "0.25"}],
        "time_in_force": "GTC",
        "outside_rth": True,
        "entry_timeout_seconds": 120,
        "on_timeout": "KEEP",
        "notes": "Breakout",
        "tags": ["gap", "earnings"],
    }
    answer = api.post(URL, plan)
    assert answer.status_code == 201, answer.json()
    setup = answer.json()
    assert answer["Location"] == f"{URL}{setup['id']}/"
    expected = plan | {
        "symbol": "AAPL",
        "account": account.account_id,
        "owner": "ada",
        "state": "DRAFT",
        "take_profits": [{"price": "200.00", "fraction": "0.5"}, {"price": "210.50", "fraction": "0.25"}],
        "risk_amount": None,
        "risk_percent": None,
        "executed_at": None,
    }
    assert {name: setup[name] for name in expected} == expected
    assert api.get(f"{URL}{setup['id']}/").json() == setup
    assert api.get(f"{URL}{setup['id']}").json() == setup, "the trailing slash is not needed"


@pytest.mark.parametrize(
    ("given", "answered"),
    [("100", "100"), ("7", "7"), ("12.0000", "12"), (15, "15")],
)
def test_numbers_are_answered_plainly(api: APIClient, apple: Instrument, given: Any, answered: str) -> None:
    answer = api.post(URL, MARKET | {"quantity": given})
    assert answer.json()["quantity"] == answered


@pytest.mark.parametrize("size", [{"risk_amount": "250.00"}, {"risk_percent": "1.5"}])
def test_the_size_can_be_a_risk(api: APIClient, apple: Instrument, size: dict[str, str]) -> None:
    answer = api.post(URL, {name: value for name, value in MARKET.items() if name != "quantity"} | size)
    assert answer.status_code == 201, answer.json()
    assert answer.json() | size == answer.json()
    assert answer.json()["quantity"] is None


WRONG: list[tuple[dict[str, Any], int, str, str]] = [
    ({"symbol": None}, 400, "field_required", "symbol"),
    ({"symbol": ""}, 400, "field_required", "symbol"),
    ({"symbol": "A/B"}, 400, "field_invalid", "symbol"),
    ({"symbol": "A" * 33}, 400, "field_invalid", "symbol"),
    ({"symbol": ["AAPL"]}, 400, "field_invalid", "symbol"),
    ({"side": "long"}, 400, "choice_unknown", "side"),
    ({"entry_type": "TRAIL"}, 400, "choice_unknown", "entry_type"),
    ({"stop_price": None}, 400, "field_required", "stop_price"),
    ({"stop_price": "abc"}, 400, "field_invalid", "stop_price"),
    ({"stop_price": "NaN"}, 400, "field_invalid", "stop_price"),
    ({"stop_price": "Infinity"}, 400, "field_invalid", "stop_price"),
    ({"stop_price": "185.123456789"}, 400, "value_too_long", "stop_price"),
    ({"stop_price": "9" * 30}, 400, "value_too_long", "stop_price"),
    ({"stop_price": "0"}, 422, "price_not_positive", "stop_price"),
    ({"stop_price": "-1"}, 422, "price_not_positive", "stop_price"),
    ({"stop_price": "190"}, 422, "stop_wrong_side", "stop_price"),
    ({"stop_price": "185.001"}, 422, "price_off_tick", "stop_price"),
    ({"entry_price": "190"}, 422, "price_not_used", "entry_price"),
    ({"entry_limit_price": "190"}, 422, "price_not_used", "entry_limit_price"),
    ({"entry_price": "abc"}, 400, "field_invalid", "entry_price"),
    ({"entry_limit_price": "abc"}, 400, "field_invalid", "entry_limit_price"),
    ({"take_profits": "200"}, 400, "field_invalid", "take_profits"),
    ({"take_profits": [{"fraction": "1"}]}, 400, "field_required", "take_profits.0.price"),
    ({"take_profits": [{"price": "200", "x": 1}]}, 400, "unknown_field", "take_profits.0.x"),
    (
        {"take_profits": [{"price": "200"}, {"price": "1", "fraction": "x"}]},
        400,
        "field_invalid",
        "take_profits.1.fraction",
    ),
    ({"take_profits": [{"price": "200"}] * 11}, 400, "value_too_long", "take_profits"),
    ({"take_profits": [{"price": "180"}]}, 422, "target_wrong_side", "take_profits"),
    ({"take_profits": [{"price": "200", "fraction": "0.6"}] * 2}, 422, "target_fractions", "take_profits"),
    ({"quantity": "x"}, 400, "field_invalid", "quantity"),
    ({"quantity": True}, 400, "field_invalid", "quantity"),
    ({"risk_amount": "x"}, 400, "field_invalid", "risk_amount"),
    ({"risk_percent": "x"}, 400, "field_invalid", "risk_percent"),
    ({"time_in_force": "IOC"}, 400, "choice_unknown", "time_in_force"),
    ({"outside_rth": "perhaps"}, 400, "field_invalid", "outside_rth"),
    ({"entry_timeout_seconds": 0}, 400, "value_out_of_range", "entry_timeout_seconds"),
    ({"entry_timeout_seconds": 10**9}, 400, "value_out_of_range", "entry_timeout_seconds"),
    ({"entry_timeout_seconds": "soon"}, 400, "field_invalid", "entry_timeout_seconds"),
    ({"on_timeout": "WAIT"}, 400, "choice_unknown", "on_timeout"),
    ({"notes": "x" * 10_001}, 400, "value_too_long", "notes"),
    ({"notes": "a\0b"}, 400, "text_invalid", "notes"),
    ({"tags": "gap"}, 400, "field_invalid", "tags"),
    ({"tags": ["x" * 41]}, 400, "value_too_long", "tags.0"),
    ({"tags": ["x"] * 21}, 400, "value_too_long", "tags"),
    ({"tags": ["a,b"]}, 400, "field_invalid", "tags.0"),
    ({"account": "x" * 33}, 400, "value_too_long", "account"),
    ({"stop_prize": "185"}, 400, "unknown_field", "stop_prize"),
    ({"id": 7}, 400, "unknown_field", "id"),
]


@pytest.mark.parametrize(("changed", "status", "code", "field"), WRONG, ids=lambda value: str(value)[:40])
def test_each_wrong_field_has_its_own_answer(
    api: APIClient, apple: Instrument, changed: dict[str, Any], status: int, code: str, field: str
) -> None:
    answer = api.post(URL, MARKET | changed)
    error = answer.json()
    assert (answer.status_code, error["code"]) == (status, code), error
    assert set(error) == {"code", "message", "details"}
    assert field in [problem["field"] for problem in error["details"]["problems"]], error
    assert not Setup.objects.exists()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quantity": None}, "size_ambiguous"),
        ({"risk_amount": "100"}, "size_ambiguous"),
        ({"quantity": "0"}, "size_not_positive"),
        ({"quantity": "-5"}, "size_not_positive"),
        ({"quantity": "1.5"}, "size_not_whole"),
        ({"quantity": None, "risk_percent": "101"}, "risk_percent_too_large"),
        ({"account": "DU9999999"}, "account_unknown"),
        (STOP_LIMIT | {"entry_limit_price": None}, "price_missing"),
        (STOP_LIMIT | {"entry_limit_price": "189"}, "entry_limit_wrong_side"),
        (STOP_LIMIT | {"stop_price": "190"}, "stop_wrong_side"),
    ],
)
def test_a_plan_that_cannot_be_executed_is_refused(
    api: APIClient, apple: Instrument, changed: dict[str, Any], code: str
) -> None:
    answer = api.post(URL, MARKET | changed)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.json()


@pytest.mark.parametrize("body", [[], "AAPL", 7, [MARKET]])
def test_a_body_that_is_no_object_is_refused(api: APIClient, body: Any) -> None:
    answer = api.post(URL, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "body_not_object"), answer.json()


def test_all_problems_are_told_at_once(api: APIClient, apple: Instrument) -> None:
    answer = api.post(URL, {"side": "UP", "stop_price": "x"})
    told = {problem["field"]: problem["code"] for problem in answer.json()["details"]["problems"]}
    assert told == {
        "symbol": "field_required",
        "side": "choice_unknown",
        "entry_type": "field_required",
        "stop_price": "field_invalid",
    }


@pytest.mark.django_db(transaction=True)
def test_a_symbol_the_broker_does_not_know_is_refused(api: APIClient, data_worker: DataWorker) -> None:
    data_worker.answers({"error": {"code": "unknown_symbol", "message": "No security definition for NOSUCH."}})
    answer = api.post(URL, MARKET | {"symbol": "NOSUCH"})
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_symbol")
    assert data_worker.asked == ["NOSUCH"]


@pytest.mark.django_db(transaction=True)
def test_a_plan_is_stored_unchecked_while_the_broker_cannot_be_asked(api: APIClient, no_data_worker: None) -> None:
    answer = api.post(URL, MARKET | {"symbol": "MSFT", "stop_price": "185.001"})
    assert answer.status_code == 201, answer.json()
    answer = api.post(f"{URL}{answer.json()['id']}/execute/", {}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (503, "market_data_unavailable")
    assert int(answer["Retry-After"]) > 0


def test_a_draft_can_be_changed_field_by_field(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    url = f"{URL}{make_setup(analyst, notes='keep me').pk}/"
    answer = api.patch(url, {"entry_type": "LIMIT", "entry_price": "189.00", "take_profits": [{"price": "200.00"}]})
    assert answer.status_code == 200, answer.json()
    changed = answer.json()
    assert (changed["entry_type"], changed["entry_price"], changed["notes"]) == ("LIMIT", "189.00", "keep me")
    assert changed["take_profits"] == [{"price": "200.00", "fraction": "1"}]
    assert api.get(url).json() == changed


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"stop_price": "191"}, 422, "stop_wrong_side"),
        ({"stop_price": "184.999"}, 422, "price_off_tick"),
        ({"owner": "rex"}, 400, "unknown_field"),
        ({"account": "U7654321"}, 422, "account_unknown"),
        ({"symbol": ""}, 400, "field_required"),
    ],
)
def test_a_wrong_change_changes_nothing(
    api: APIClient, analyst: User, make_setup: MakeSetup, changes: dict[str, str], status: int, code: str
) -> None:
    url = f"{URL}{make_setup(analyst).pk}/"
    before = api.get(url).json()
    answer = api.patch(url, changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert api.get(url).json() == before


def test_an_executed_plan_is_fixed(api: APIClient, analyst: User, requested: Any) -> None:
    url = f"{URL}{requested(analyst).setup_id}/"
    answer = api.patch(url, {"notes": "too late"})
    assert (answer.status_code, answer.json()["code"]) == (409, "setup_executed")


@pytest.mark.parametrize("delete", [True, False])
def test_an_archived_setup_is_out_of_sight_but_not_gone(
    api: APIClient, analyst: User, make_setup: MakeSetup, delete: bool
) -> None:
    url = f"{URL}{make_setup(analyst).pk}/"
    for _ in range(2):  # Safe to repeat.
        answer = api.delete(url) if delete else api.post(url + "archive/")
        assert answer.status_code == (204 if delete else 200)
    assert api.get(url).json()["state"] == "ARCHIVED"
    assert api.get(URL).json()["results"] == []
    assert [setup["id"] for setup in api.get(URL, {"state": "ARCHIVED"}).json()["results"]] == [Setup.objects.get().pk]
    assert api.patch(url, {"notes": "x"}).json()["code"] == "setup_archived"
    assert api.post(url + "execute/", headers={"Idempotency-Key": "k"}).json()["code"] == "setup_archived"


@pytest.mark.case("S79")
def test_line_ends_of_notes_are_stored_as_the_page_stores_them(
    api: APIClient, apple: Instrument, account: Account
) -> None:
    answer = api.post(URL, STOP_LIMIT | {"notes": "one\r\ntwo\rthree\n"})
    assert answer.json()["notes"] == "one\ntwo\nthree"


def test_lists_can_be_narrowed(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    long = make_setup(analyst, tags=["gap"])
    short = make_setup(analyst, symbol="MSFT", side="SHORT", stop_price=195)
    yesterday = clock.now() - timedelta(days=1)
    Setup.objects.filter(pk=long.pk).update(created_at=yesterday, executed_at=yesterday)

    def found(**filters: str) -> list[int]:
        answer = api.get(URL, filters)
        assert answer.status_code == 200, answer.json()
        return [setup["id"] for setup in answer.json()["results"]]

    noon = (yesterday + timedelta(hours=12)).isoformat()
    assert found() == [short.pk, long.pk]
    assert found(symbol="msft") == [short.pk]
    assert found(side="LONG") == [long.pk]
    assert found(state="DRAFT") == [short.pk]
    assert found(state="EXECUTED") == [long.pk]
    assert found(tag="gap") == [long.pk]
    assert found(account="DU1234567", created_to=noon) == [long.pk]
    assert found(created_from=noon) == [short.pk]
    assert found(account="DU0000000") == []


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"symbl": "AAPL"}, "unknown_field"),
        ({"side": "UP"}, "choice_unknown"),
        ({"state": "GONE"}, "choice_unknown"),
        ({"created_from": "yesterday"}, "field_invalid"),
        ({"cursor": "nonsense"}, "cursor_invalid"),
        ({"cursor": "cD1hYmM="}, "cursor_invalid"),
        *(({"cursor": text}, "cursor_invalid") for text in ("", "!!!!", "=", "eD0x", "cD0x!", "cD0", "cD0xJnA9Mg==")),
        *(({"cursor": text}, "cursor_invalid") for text in ("cj0x", "cj0yJnA9MQ==", "cD0", "cD0=", "cD0tMQ==", "é")),
    ],
)
def test_a_filter_that_means_nothing_is_refused(api: APIClient, filters: dict[str, str], code: str) -> None:
    answer = api.get(URL, filters)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.json()


def test_a_long_list_is_read_page_by_page(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    newest_first = [make_setup(analyst).pk for _ in range(5)][::-1]
    answer = api.get(URL, {"page_size": 2}).json()
    read = [setup["id"] for setup in answer["results"]]
    make_setup(analyst)  # What is added meanwhile moves nothing.
    while answer["next"]:
        answer = api.get(answer["next"]).json()
        read += [setup["id"] for setup in answer["results"]]
    assert read == newest_first
    assert [setup["id"] for setup in api.get(answer["previous"]).json()["results"]] == newest_first[2:4]


def test_a_list_takes_as_many_queries_for_one_row_as_for_many(
    api: APIClient, analyst: User, make_setup: MakeSetup, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 4):
        while Setup.objects.count() < count:
            make_setup(analyst, take_profits=[{"price": Decimal(200)}])
        with django_assert_num_queries(4):  # Permissions of user and groups, setups, targets.
            assert len(api.get(URL).json()["results"]) == count
        analyst = User.objects.get(pk=analyst.pk)  # Forgets the permissions it has looked up.
        api = script(analyst)


def test_the_analyst_sees_only_their_own(api: APIClient, make_user: MakeUser, make_setup: MakeSetup) -> None:
    foreign = make_setup(make_user("bob", "analyst"))
    assert api.get(URL).json()["results"] == []
    for method, path in [("get", ""), ("patch", ""), ("delete", ""), ("post", "archive/"), ("post", "execute/")]:
        answer = getattr(api, method)(f"{URL}{foreign.pk}/{path}", headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_reviewer_reads_all_and_writes_nothing(analyst: User, reviewer: User, make_setup: MakeSetup) -> None:
    url, api = f"{URL}{make_setup(analyst).pk}/", script(reviewer)
    assert api.get(url).status_code == 200
    for method, path in [("patch", ""), ("delete", ""), ("post", "archive/"), ("post", "execute/")]:
        answer = getattr(api, method)(url + path, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")
    assert api.post(URL, MARKET).json()["code"] == "role_missing"


def test_one_who_reviews_and_trades_still_does_not_trade_for_others(
    analyst: User, make_user: MakeUser, make_setup: MakeSetup
) -> None:
    both = script(make_user("eve", "analyst", "reviewer"))
    answer = both.post(f"{URL}{make_setup(analyst).pk}/execute/", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_owner")
    admin = script(make_user("root", is_superuser=True))
    assert admin.post(f"{URL}{make_setup(analyst).pk}/execute/", headers={"Idempotency-Key": "k"}).status_code == 202
