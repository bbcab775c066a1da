"""A request to execute: answered once per key, refused with a code, and written down as the orders to be sent."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
import redis
from celery import Celery, current_app
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction
from pytest_django import Settings

from app.accounts.models import Account
from app.accounts.services import account_ensure
from app.config.celery import app as celery_app
from app.core.errors import Conflict, FixRequest, Forbidden, RetryLater, TradingError
from app.domain.execution_status import ExecutionStatus
from app.executions import dispatch
from app.executions.models import Execution
from app.executions.services.request import execution_request
from app.executions.services.sweep import execution_sweep
from app.market.models import Instrument
from app.setups.models import Setup
from app.setups.services import setup_archive, setup_update
from tests.services.book import Book
from tests.services.heard import at

pytestmark = pytest.mark.django_db

MakeSetup = Callable[..., Setup]


def request(setup: Setup, user: User, *, key: str = "k1", body: dict[str, Any] | None = None) -> tuple[Execution, bool]:
    return execution_request(setup=setup, user=user, idempotency_key=key, body=body or {}, now=at(0))


def refusal(setup: Setup, user: User, *, key: str = "k1", body: dict[str, Any] | None = None) -> TradingError:
    with pytest.raises(TradingError) as refused:
        request(setup, user, key=key, body=body)
    return refused.value


# One key, one execution


def test_the_same_key_and_body_answer_the_first_execution(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    first, is_new = request(setup, analyst, body={"a": "1", "b": "2"})
    again, is_new_again = request(setup, analyst, body={"b": "2", "a": "1"})
    assert (is_new, is_new_again, again.pk) == (True, False, first.pk)
    assert Execution.objects.count() == 1


def test_the_first_answer_stands_even_where_a_new_request_would_be_refused(
    make_setup: MakeSetup, analyst: User
) -> None:
    setup = make_setup()
    first, _ = request(setup, analyst)
    setup_archive(setup_id=setup.pk, now=at(0))
    assert request(Setup.objects.get(pk=setup.pk), analyst)[0].pk == first.pk


@pytest.mark.parametrize("other", ["body", "setup"])
def test_the_same_key_for_another_request_is_refused(make_setup: MakeSetup, analyst: User, other: str) -> None:
    setup = make_setup()
    first, _ = request(setup, analyst, body={"a": "1"})
    error = (
        refusal(setup, analyst, body={"a": "2"}) if other == "body" else refusal(make_setup(), analyst, body={"a": "1"})
    )
    assert isinstance(error, FixRequest)
    assert (error.code, error.details) == ("idempotency_key_reused", {"execution": first.pk})
    assert Execution.objects.count() == 1


def test_a_key_belongs_to_its_user(make_setup: MakeSetup, analyst: User) -> None:
    first, _ = request(make_setup(), analyst)
    second, is_new = request(make_setup(), User.objects.create_user("bob"))
    assert is_new
    assert second.pk != first.pk


@pytest.mark.parametrize(
    ("key", "code"),
    [("", "idempotency_key_missing"), ("x" * 201, "idempotency_key_invalid"), ("a\nb", "idempotency_key_invalid")],
)
def test_a_key_that_names_nothing_is_refused(make_setup: MakeSetup, analyst: User, key: str, code: str) -> None:
    assert refusal(make_setup(), analyst, key=key).code == code


def test_the_longest_key_is_taken(make_setup: MakeSetup, analyst: User) -> None:
    assert request(make_setup(), analyst, key="x" * 200)[1]


def test_a_second_key_while_one_runs_is_refused(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    first, _ = request(setup, analyst)
    error = refusal(setup, analyst, key="k2")
    assert isinstance(error, Conflict)
    assert (error.code, error.details) == ("execution_in_progress", {"execution": first.pk})


def test_a_finished_execution_makes_room_for_another(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    first, _ = request(setup, analyst)
    Execution.objects.filter(pk=first.pk).update(status=ExecutionStatus.CANCELLED.value)
    assert request(setup, analyst, key="k2")[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("keys", [("k1", "k1"), ("k1", "k2")], ids=["same key", "different keys"])
def test_two_requests_at_once_make_one_execution(
    make_setup: MakeSetup,
    analyst: User,
    in_thread: Callable[[Callable[[], None]], Callable[[], None]],
    keys: tuple[str, str],
) -> None:
    setup = make_setup()
    barrier = threading.Barrier(2)
    made: list[tuple[int, bool]] = []
    refused: list[str] = []

    def one(key: str) -> Callable[[], None]:
        def work() -> None:
            own = Setup.objects.get(pk=setup.pk)
            barrier.wait(timeout=10)
            try:
                execution, is_new = request(own, analyst, key=key)
            except Conflict as error:
                refused.append(error.code)
            else:
                made.append((execution.pk, is_new))

        return in_thread(work)

    # When two requests start at once
    threads = [threading.Thread(target=one(key)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    # Then one execution exists, and the other request was answered with it or told that it runs
    only = Execution.objects.get()
    if keys[0] == keys[1]:
        assert sorted(made) == [(only.pk, False), (only.pk, True)]
    else:
        assert (made, refused) == ([(only.pk, True)], ["execution_in_progress"])


@pytest.mark.django_db(transaction=True)
def test_a_database_refusal_of_another_kind_is_not_called_a_running_execution(
    make_setup: MakeSetup, analyst: User
) -> None:
    setup = make_setup()
    taken, _ = request(setup, analyst)
    Execution.objects.filter(pk=taken.pk).update(status=ExecutionStatus.CANCELLED.value)
    field = Execution._meta.get_field("key")
    original, field.default = field.default, taken.key
    field.__dict__.pop("_get_default", None)
    try:  # When the random name of the new execution is taken already
        with pytest.raises(IntegrityError, match="key"):
            request(setup, analyst, key="k2")
    finally:
        field.default = original
        field.__dict__.pop("_get_default", None)


# Handed over


@pytest.mark.django_db(transaction=True)
def test_the_task_is_sent_once_the_rows_are_committed(make_setup: MakeSetup, analyst: User, settings: Settings) -> None:
    queue = redis.Redis.from_url(settings.REDIS_URL)
    queue.delete("broker")
    with transaction.atomic():
        execution, _ = request(make_setup(), analyst)
        assert queue.llen("broker") == 0
    assert dispatch.MESSENGER.flush(seconds_max=5)
    message = json.loads(queue.lindex("broker", 0))
    assert (message["headers"]["task"], message["headers"]["argsrepr"]) == ("executions.submit", f"[{execution.pk}]")
    # And it ends by itself: while no worker comes, the sweep repeats it.
    assert message["headers"]["expires"] is not None
    # And nobody listens for its result: that would fail the request while Redis is away, and pile up while it is there.
    assert message["headers"]["ignore_result"] is True
    assert message["headers"]["id"] not in str(current_app.backend.result_consumer.subscribed_to)
    queue.close()


@pytest.fixture
def redis_is_away() -> Iterator[None]:
    nobody_listens = "redis://127.0.0.1:9/0"
    app = Celery("away", broker=nobody_listens, backend=nobody_listens)
    app.conf.update({name: celery_app.conf[name] for name in ("task_publish_retry_policy", "broker_transport_options")})
    app.set_current()
    yield
    celery_app.set_current()
    app.close()


@pytest.mark.django_db(transaction=True)
def test_a_request_while_redis_is_away_is_kept_for_the_sweep(
    make_setup: MakeSetup, analyst: User, redis_is_away: None
) -> None:
    started = time.monotonic()
    execution, is_new = request(make_setup(), analyst)
    assert (is_new, Execution.objects.get().status) == (True, "REQUESTED")
    assert time.monotonic() - started < 5
    assert execution_sweep(now=at(10)).resent == [execution.pk]


# Refused before anything is written


def test_an_archived_setup_is_refused(make_setup: MakeSetup, analyst: User) -> None:
    setup = setup_archive(setup_id=make_setup().pk, now=at(0))
    assert refusal(setup, analyst).code == "setup_archived"


def test_a_setup_archived_meanwhile_is_refused(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    setup_archive(setup_id=setup.pk, now=at(0))  # The caller's copy does not know.
    assert refusal(setup, analyst).code == "setup_archived"
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "change",
    [{"stop_price": Decimal(150)}, {"quantity": Decimal(99)}, {"take_profits": [{"price": Decimal(220)}]}],
    ids=str,
)
def test_a_setup_changed_after_it_was_read_is_not_executed_as_it_was(
    make_setup: MakeSetup, analyst: User, change: dict[str, Any]
) -> None:
    # Given a request that was checked with the plan as it was
    setup = make_setup(take_profits=[{"price": Decimal(200)}])
    read = Setup.objects.prefetch_related("take_profits").get(pk=setup.pk)
    # When the analyst changes the plan meanwhile
    setup_update(setup_id=setup.pk, values=change, increments=None, last_price=None)
    # Then the size of the old plan is not sent with the prices of the new one
    assert refusal(read, analyst).code == "setup_changed"
    assert not Execution.objects.exists()
    assert request(Setup.objects.get(pk=setup.pk), analyst)[1]


def test_a_stop_on_the_wrong_side_of_the_market_is_refused(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    Instrument.objects.update(last_price=Decimal(184))
    error = refusal(setup, analyst)
    assert (error.code, isinstance(error, FixRequest)) == ("stop_wrong_side", True)


def test_a_price_off_tick_is_refused(make_setup: MakeSetup, analyst: User) -> None:
    assert refusal(make_setup(stop_price=Decimal("185.005")), analyst).code == "price_off_tick"


def test_the_checks_are_stored_with_their_outcome(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup(entry_type="LIMIT", entry_price=Decimal(190))
    execution, _ = request(setup, analyst)
    assert [check["check"] for check in execution.preflight] == [
        "account",
        "kill_switch",
        "broker",
        "position",
        "symbol",
        "prices",
        "size",
        "orders",
    ]
    assert {check["outcome"] for check in execution.preflight} == {"passed"}


def test_a_switched_off_account_is_refused(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    setup.account.is_active = False
    assert refusal(setup, analyst).code == "account_inactive"


def test_an_account_that_no_worker_serves_waits(make_setup: MakeSetup, analyst: User, settings: Settings) -> None:
    settings.IB_ACCOUNT = "DU9999999"
    error = refusal(make_setup(), analyst)
    assert (error.code, isinstance(error, RetryLater)) == ("account_not_served", True)


@pytest.mark.parametrize(
    ("mode", "named", "permitted", "code"),
    [
        ("paper", "U7654321", True, "live_not_allowed"),
        ("live", "", True, "live_not_allowed"),
        ("live", "U7654321", False, "live_not_allowed"),
        ("live", "U7654321", True, None),
    ],
)
def test_a_live_account_needs_the_mode_its_name_and_the_permission(
    make_setup: MakeSetup,
    analyst: User,
    settings: Settings,
    mode: str,
    named: str,
    permitted: bool,
    code: str | None,
) -> None:
    setup = make_setup()
    setup.account = account_ensure("U7654321")
    setup.save()
    settings.IB_TRADING_MODE, settings.IB_ACCOUNT = mode, named
    if permitted:
        analyst.user_permissions.add(Permission.objects.get(codename="trade_live"))
    if code is None:
        assert request(setup, analyst)[1]
        return
    error = refusal(setup, analyst)
    assert (error.code, isinstance(error, Forbidden)) == (code, True)
    assert not Execution.objects.exists()


# The size


@pytest.mark.parametrize(
    ("size", "equity", "expected"),
    [
        ({"quantity": Decimal(7)}, None, 7),
        ({"quantity": None, "risk_amount": Decimal(103)}, None, 20),  # 5 per share, rounded down
        ({"quantity": None, "risk_percent": Decimal(1)}, Decimal(10_099), 20),
    ],
)
def test_the_size_follows_from_what_is_risked(
    make_setup: MakeSetup,
    analyst: User,
    account: Account,
    size: dict[str, Any],
    equity: Decimal | None,
    expected: int,
) -> None:
    account.net_liquidation, account.currency = equity, "USD"
    account.save()
    setup = make_setup(**size)
    execution, _ = request(setup, analyst)
    book = Book(execution.pk)
    assert execution.quantity == expected
    assert [order.quantity for order in book.orders] == [expected, expected]


def test_a_stop_limit_entry_is_sized_by_its_worst_fill(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup(
        entry_type="STOP_LIMIT",
        entry_price=Decimal(190),
        entry_limit_price=Decimal(195),
        stop_price=Decimal(185),
        quantity=None,
        risk_amount=Decimal(100),
    )
    execution, _ = request(setup, analyst)
    assert execution.quantity == 10  # 10 per share when filled at the limit, not 5 as at the trigger


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ({"risk_percent": Decimal(1)}, "equity_unknown"),
        ({"risk_amount": Decimal("4.99")}, "size_below_one_share"),
    ],
)
def test_a_size_that_cannot_be_known_or_bought_is_refused(
    make_setup: MakeSetup, analyst: User, size: dict[str, Any], code: str
) -> None:
    assert refusal(make_setup(quantity=None, **size), analyst).code == code


def test_risk_in_another_currency_is_not_taken_for_the_symbols_own(
    make_setup: MakeSetup, analyst: User, account: Account
) -> None:
    # Given an account in yen, and a symbol in dollars
    account.currency, account.net_liquidation = "JPY", Decimal(10_000_000)
    account.save()
    # Then a percentage of its yen is no number of dollars
    assert refusal(make_setup(quantity=None, risk_percent=Decimal(1)), analyst).code == "risk_in_other_currency"
    assert request(make_setup(), analyst, key="by quantity")[1]
