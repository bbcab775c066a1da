"""What a request writes, and that a refused one writes nothing."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from app.brokers.errors import UnknownSymbol
from app.core import clock
from app.core.errors import Conflict
from app.domain.order_ref import parse_order_ref
from app.executions.models import BrokerEvent, Execution
from app.executions.services.request import execution_request
from app.market.models import Instrument
from app.setups.models import Setup
from app.setups.services import setup_update
from tests.services.book import Book
from tests.services.data_worker import DataWorker
from tests.services.heard import at
from tests.services.test_request import refusal, request

pytestmark = pytest.mark.django_db

MakeSetup = Callable[..., Setup]


@pytest.mark.parametrize(
    ("side", "plan", "entry", "stop_action"),
    [
        ("LONG", {"entry_type": "MARKET"}, ("BUY", "MARKET", None, None), "SELL"),
        ("LONG", {"entry_type": "LIMIT", "entry_price": Decimal(189)}, ("BUY", "LIMIT", 189, None), "SELL"),
        ("LONG", {"entry_type": "STOP", "entry_price": Decimal(191)}, ("BUY", "STOP", None, 191), "SELL"),
        (
            "SHORT",
            {"entry_type": "STOP_LIMIT", "entry_price": Decimal(180), "entry_limit_price": Decimal(179)},
            ("SELL", "STOP_LIMIT", 179, 180),
            "BUY",
        ),
    ],
)
def test_the_legs_carry_the_plan(
    make_setup: MakeSetup,
    analyst: User,
    side: str,
    plan: dict[str, Any],
    entry: tuple[str, str, int | None, int | None],
    stop_action: str,
) -> None:
    stop_price = Decimal(185) if side == "LONG" else Decimal(195)
    target = Decimal(210) if side == "LONG" else Decimal(160)
    setup = make_setup(side=side, stop_price=stop_price, take_profits=[{"price": target}], **plan)
    execution, _ = request(setup, analyst)
    book = Book(execution.pk)
    rows = [(o.action, o.order_type, o.limit_price, o.stop_price) for o in (book.entry, book.target, book.stop)]
    assert rows == [entry, (stop_action, "LIMIT", target, None), (stop_action, "STOP", None, stop_price)]
    # And the entry lives as long as the setup says, its protection until it is cancelled
    assert [order.time_in_force for order in (book.entry, book.target, book.stop)] == ["DAY", "GTC", "GTC"]
    for order, leg in ((book.entry, "ENTRY"), (book.target, "TAKE_PROFIT"), (book.stop, "STOP_LOSS")):
        assert order.order_ref == f"{execution.key}-1-{leg}"
        assert parse_order_ref(order.order_ref) is not None
        assert (order.status, order.order_id, order.sent_at) == ("CREATED", None, None)
    assert (execution.status, execution.reference) == ("REQUESTED", "")


def test_two_targets_and_a_rest_become_three_brackets(make_setup: MakeSetup, analyst: User) -> None:
    targets = [
        {"price": Decimal(200), "fraction": Decimal("0.5")},
        {"price": Decimal(210), "fraction": Decimal("0.25")},
    ]
    execution, _ = request(make_setup(quantity=Decimal(11), take_profits=targets), analyst)
    book = Book(execution.pk)
    assert [bracket.quantity for bracket in book.brackets] == [5, 2, 4]
    assert [order.leg for order in book.orders] == [
        *("ENTRY", "TAKE_PROFIT", "STOP_LOSS"),
        *("ENTRY", "TAKE_PROFIT", "STOP_LOSS"),
        *("ENTRY", "STOP_LOSS"),
    ]
    assert len({order.order_ref for order in book.orders}) == 8
    assert sum(order.quantity for order in book.orders if order.leg == "STOP_LOSS") == execution.quantity == 11


@pytest.mark.parametrize(
    ("plan", "seconds"),
    [
        ({}, 60),
        ({"entry_timeout_seconds": 5}, 5),
        ({"entry_type": "LIMIT", "entry_price": Decimal(189)}, None),
        ({"entry_type": "LIMIT", "entry_price": Decimal(189), "entry_timeout_seconds": 7}, 7),
    ],
)
def test_the_deadline_is_a_column(
    make_setup: MakeSetup, analyst: User, plan: dict[str, Any], seconds: int | None
) -> None:
    execution, _ = request(make_setup(**plan), analyst)
    assert execution.deadline_at == (None if seconds is None else at(seconds))


def test_the_setup_is_fixed_from_then_on(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup()
    request(setup, analyst)
    with pytest.raises(Conflict) as refused:
        setup_update(setup_id=setup.pk, values={"quantity": Decimal(1)}, increments=None, last_price=None)
    assert refused.value.code == "setup_executed"
    assert Setup.objects.get(pk=setup.pk).executed_at == at(0)


def test_a_refused_request_leaves_nothing_behind(make_setup: MakeSetup, analyst: User) -> None:
    setup = make_setup(stop_price=Decimal("185.005"))
    refusal(setup, analyst)
    assert not Execution.objects.exists()
    assert not BrokerEvent.objects.exists()
    assert Setup.objects.get(pk=setup.pk).executed_at is None


def test_an_unknown_symbol_is_told_as_such(make_setup: MakeSetup, analyst: User, data_worker: DataWorker) -> None:
    data_worker.answers({"error": {"code": UnknownSymbol.code, "message": "No such contract."}})
    setup = make_setup(symbol="NOPE")
    error = refusal(setup, analyst)
    assert (error.code, error.details) == ("unknown_symbol", {"symbol": "NOPE"})


@pytest.mark.case("S76")
def test_an_old_price_that_cannot_be_renewed_leaves_the_stop_unchecked(
    make_setup: MakeSetup, analyst: User, data_worker: DataWorker
) -> None:
    # Given a price that is too old, and a broker without market data
    setup = make_setup()
    Instrument.objects.update(last_price_at=clock.now() - timedelta(minutes=5))
    data_worker.answers({"error": {"code": "broker_not_connected", "message": "No connection."}})
    # Then the execution says which check was not made
    execution, _ = execution_request(setup=setup, user=analyst, idempotency_key="k1", body={}, now=clock.now())
    assert {"check": "stop_side", "outcome": "not_checked", "detail": "no price younger than 30 s"} in (
        execution.preflight
    )
    assert [check["outcome"] for check in execution.preflight if check["check"] == "prices"] == ["not_checked"]
