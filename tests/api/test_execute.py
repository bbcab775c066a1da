"""Executing a setup over REST: once for each key, and waiting as far as is preferred."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from pytest_django import Settings
from rest_framework.test import APIClient

from app.accounts.models import Account
from app.api.prefer_wait import preferred_wait_seconds
from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.models import Execution
from app.executions.services.submit import execution_submit
from app.executions.services.wait import execution_wait_for_answer
from app.market.models import Instrument
from tests.api.desk import MakeSetup, MakeUser, script
from tests.eventually import eventually
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import fill, message, told

pytestmark = pytest.mark.django_db


def execute(api: APIClient, setup_id: int, body: Any = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in {"Idempotency_Key": "k", **headers}.items() if value}
    return api.post(f"/api/v1/setups/{setup_id}/execute/", body or {}, headers=named)


def test_it_is_taken_and_written_down(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    answer = execute(api, setup.pk)
    assert answer.status_code == 202, answer.json()
    execution = answer.json()
    assert answer["Location"] == f"/api/v1/executions/{execution['id']}/"
    assert (execution["setup"], execution["status"], execution["reference"]) == (setup.pk, "REQUESTED", "")
    assert [order["leg"] for order in execution["brackets"][0]["orders"]] == ["ENTRY", "STOP_LOSS"]
    assert {check["outcome"] for check in execution["preflight"]} == {"passed"}
    assert api.get(answer["Location"]).json() == execution
    assert api.get(f"/api/v1/setups/{setup.pk}/").json()["state"] == "EXECUTED"


@pytest.mark.parametrize("path", ["execute", "execute/"])
def test_no_body_and_no_slash_are_needed(api: APIClient, analyst: User, make_setup: MakeSetup, path: str) -> None:
    answer = api.post(f"/api/v1/setups/{make_setup(analyst).pk}/{path}", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202, answer.json()


def test_the_same_key_answers_the_same_execution(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    first, second = execute(api, setup.pk), execute(api, setup.pk)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert Execution.objects.count() == 1


def test_the_same_key_for_something_else_is_refused(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    setup, other = make_setup(analyst), make_setup(analyst)
    execute(api, setup.pk)
    for answer in (execute(api, other.pk), execute(api, setup.pk, {"quantity": "20"})):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused"), answer.json()
    assert Execution.objects.count() == 1


def test_keys_belong_to_their_user(analyst: User, make_user: MakeUser, make_setup: MakeSetup) -> None:
    other = make_user("bob", "analyst")
    answers = [execute(script(user), make_setup(user).pk) for user in (analyst, other)]
    assert {answer.status_code for answer in answers} == {202}
    assert Execution.objects.count() == 2


def test_another_key_does_not_execute_it_twice_at_once(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    setup = make_setup(analyst)
    running = execute(api, setup.pk).json()["id"]
    answer = execute(api, setup.pk, Idempotency_Key="other")
    assert (answer.status_code, answer.json()["code"]) == (409, "execution_in_progress")
    assert answer.json()["details"] == {"execution": running}


@pytest.mark.parametrize(
    ("key", "code"),
    [("", "idempotency_key_missing"), ("  ", "idempotency_key_missing"), ("x" * 201, "idempotency_key_invalid")],
)
def test_without_a_usable_key_nothing_is_executed(
    api: APIClient, analyst: User, make_setup: MakeSetup, key: str, code: str
) -> None:
    answer = execute(api, make_setup(analyst).pk, Idempotency_Key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Execution.objects.exists()


def test_a_body_with_fields_is_refused(api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
    answer = execute(api, make_setup(analyst).pk, {"quantity": "20"})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    assert not Execution.objects.exists()


def test_a_live_account_is_refused_in_paper_mode(
    api: APIClient, analyst: User, make_setup: MakeSetup, settings: Settings
) -> None:
    setup = make_setup(analyst)
    settings.IB_ACCOUNT = "U1234567"
    Account.objects.update(account_id="U1234567")
    answer = execute(api, setup.pk)
    assert (answer.status_code, answer.json()["code"]) == (403, "live_not_allowed")
    settings.IB_TRADING_MODE = "live"
    answer = execute(api, setup.pk)
    assert (answer.status_code, answer.json()["code"]) == (403, "live_not_allowed"), "an analyst is no trader"
    assert not Execution.objects.exists()


def test_the_stop_is_judged_by_the_price_of_now(
    api: APIClient, analyst: User, make_setup: MakeSetup, apple: Instrument
) -> None:
    setup = make_setup(analyst)
    Instrument.objects.update(last_price=184)
    answer = execute(api, setup.pk)
    assert (answer.status_code, answer.json()["code"]) == (422, "stop_wrong_side")


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", 0),
        ("wait=10", 10),
        ("respond-async, wait=5", 5),
        ('wait="7"', 7),
        ("Wait = 3; foo", 3),
        ("wait=600", 60),
        ("wait=99999999999999999999", 60),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=soon", 0),
        ("await=5", 0),
        ("return=minimal", 0),
    ],
)
def test_the_preferred_wait_is_read_from_the_header(prefer: str, seconds: int) -> None:
    assert preferred_wait_seconds(prefer) == seconds


@pytest.mark.django_db(transaction=True)
class TestWaiting:
    """`Prefer: wait=N` while the broker answers."""

    @pytest.fixture
    def broker_answers(self, broker: FakeBroker) -> Any:
        """Run what the broker does once the execution is there, in a thread of its own."""
        threads: list[threading.Thread] = []

        def begin(doing: Callable[[Book], None]) -> None:
            def run() -> None:
                try:
                    execution_id = eventually(lambda: Execution.objects.values_list("pk", flat=True).first())
                    execution_submit(execution_id=execution_id, broker=broker, now=clock.now())
                    doing(Book(execution_id))
                finally:
                    connections.close_all()

            threads.append(threading.Thread(target=run))
            threads[-1].start()

        yield begin
        for thread in threads:
            thread.join(timeout=20)

    def test_it_is_answered_as_soon_as_entry_and_stop_are_confirmed(
        self, api: APIClient, analyst: User, make_setup: MakeSetup, broker_answers: Any
    ) -> None:
        def fill_it(book: Book) -> None:
            book.hear(fill(book.entry, "10"), told(book.stop, ToldStatus.PRE_SUBMITTED))

        broker_answers(fill_it)
        answer = execute(api, make_setup(analyst).pk, Prefer="wait=20")
        assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=20"), answer.json()
        execution = answer.json()
        entry, stop = execution["brackets"][0]["orders"]
        assert (execution["status"], entry["status"], stop["display_status"]) == ("OPEN", "FILLED", "ACCEPTED")
        assert execution["reference"] == f"IB-{entry['order_id']}:{stop['order_id']}"

    def test_a_refusal_is_an_answer_too(
        self, api: APIClient, analyst: User, make_setup: MakeSetup, broker_answers: Any
    ) -> None:
        def refuse(book: Book) -> None:
            book.hear(message(book.entry, 201, "Order rejected - reason: no cash", MessageMeaning.REFUSAL))
            book.hear(told(book.stop, ToldStatus.CANCELLED))

        broker_answers(refuse)
        answer = execute(api, make_setup(analyst).pk, Prefer="wait=20")
        assert answer.status_code == 200
        execution = answer.json()
        assert (execution["status"], execution["reason_code"]) == ("REJECTED", "order_refused")
        entry = execution["brackets"][0]["orders"][0]
        assert entry["last_error"] == {"code": 201, "text": "Order rejected - reason: no cash"}

    def test_those_who_wait_hold_no_database_connection(self, analyst: User, requested: Any) -> None:
        execution = requested(analyst)

        def wait() -> None:
            try:
                execution_wait_for_answer(execution_id=execution.pk, seconds_max=3)
            finally:
                connections.close_all()  # As the end of a request does.

        waiting = threading.Thread(target=wait)
        pool = cast("Any", connection).pool

        def in_use() -> int:
            stats = pool.get_stats()
            return int(stats["pool_size"] - stats["pool_available"])

        before, asked = in_use(), pool.get_stats()["requests_num"]
        waiting.start()
        eventually(lambda: pool.get_stats()["requests_num"] > asked)
        eventually(lambda: in_use() == before and waiting.is_alive(), seconds_max=2)
        waiting.join()

    def test_after_the_wait_the_answer_is_202(self, api: APIClient, analyst: User, make_setup: MakeSetup) -> None:
        answer = execute(api, make_setup(analyst).pk, Prefer="wait=1")
        assert (answer.status_code, answer["Preference-Applied"]) == (202, "wait=1")
        assert answer.json()["status"] == "REQUESTED"
