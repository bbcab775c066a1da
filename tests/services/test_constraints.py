"""What the database itself refuses, whatever the code above it does."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction

from app.accounts.models import Account, BrokerConnection
from app.domain.broker_events import ToldStatus
from app.executions.models import Bracket, BrokerEvent, Execution, Fill
from app.market.models import Instrument
from app.setups.models import Setup, TakeProfit
from tests.services.book import Book
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]


def refuses(constraint: str, write: Callable[[], object]) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        write()


def copy_of(row: models.Model, **changed: Any) -> Callable[[], object]:
    """Return what stores a second row like `row`."""
    values = {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key
    }
    return lambda: type(row)._default_manager.create(**values | changed)


# Executions


def test_one_unfinished_execution_per_setup(requested: Requested) -> None:
    execution = requested()
    another = copy_of(execution, key="b" * 16, idempotency_key="another")
    refuses("one_unfinished_execution_per_setup", another)
    Execution.objects.filter(pk=execution.pk).update(status="REJECTED")
    assert another()


def test_one_execution_per_key_of_a_user(requested: Requested) -> None:
    execution = requested()
    refuses("one_execution_per_idempotency_key", copy_of(execution, key="b" * 16, status="REJECTED"))


def test_one_execution_per_name(requested: Requested) -> None:
    execution = requested()
    refuses("executions_execution_key", copy_of(execution, idempotency_key="another", status="REJECTED"))


@pytest.mark.parametrize(
    ("constraint", "changed"),
    [("execution_quantity_positive", {"quantity": 0}), ("idempotency_key_not_empty", {"idempotency_key": ""})],
)
def test_an_execution_has_a_size_and_a_key(requested: Requested, constraint: str, changed: dict[str, Any]) -> None:
    execution = requested()
    refuses(constraint, lambda: Execution.objects.filter(pk=execution.pk).update(**changed))


def test_a_tranche_exists_once_and_has_a_size(requested: Requested) -> None:
    (bracket,) = Book(requested().pk).brackets
    refuses("one_bracket_per_tranche", copy_of(bracket))
    refuses("bracket_quantity_positive", copy_of(bracket, tranche=0))
    refuses("bracket_quantity_positive", lambda: Bracket.objects.filter(pk=bracket.pk).update(quantity=0))


# Orders


@pytest.mark.parametrize("status", ["SENT", "PENDING_SUBMIT", "HELD", "WORKING", "CANCELLED", "REJECTED"])
def test_an_order_without_ids_is_not_on_its_way(requested: Requested, status: str) -> None:
    entry = Book(requested().pk).entry
    entry.status = status
    refuses("order_written_ahead", entry.save)
    entry.order_id = 7
    refuses("order_written_ahead", entry.save)
    entry.sent_at = at(0)
    entry.save()


def test_an_order_that_the_broker_named_needs_no_ids_of_ours(requested: Requested) -> None:
    entry = Book(requested().pk).entry
    entry.status, entry.perm_id = "WORKING", 1234
    entry.save()


@pytest.mark.parametrize(
    ("constraint", "changed"),
    [
        ("order_quantity_positive", {"quantity": 0}),
        ("order_filled_not_negative", {"filled_quantity": -1}),
        ("order_ref", {"order_ref": "taken"}),
        ("order_id_used_once_per_client", {"order_id": 1}),
        ("perm_id_unique_per_account", {"perm_id": 99}),
    ],
)
def test_what_no_order_may_be(submitted: Submitted, constraint: str, changed: dict[str, Any]) -> None:
    book = submitted()
    entry, stop = book.entry, book.stop
    entry.order_ref, entry.perm_id = "taken", 99
    entry.save()
    for name, value in changed.items():
        setattr(stop, name, value)
    refuses(constraint, stop.save)


def test_two_orders_without_ids_are_no_conflict(requested: Requested) -> None:
    assert {order.perm_id for order in Book(requested().pk).orders} == {0}


# What was told


def test_a_deal_and_an_event_are_stored_once(submitted: Submitted) -> None:
    book = submitted()
    book.hear(fill(book.entry, "4"), told(book.entry, ToldStatus.SUBMITTED))
    refuses("executions_fill_exec_id", copy_of(Fill.objects.get()))
    refuses("fill_quantity_positive", copy_of(Fill.objects.get(), exec_id="another", quantity=0))
    refuses("dedupe_key", copy_of(BrokerEvent.objects.first() or BrokerEvent()))


# Setups


@pytest.mark.parametrize(
    ("constraint", "changed"),
    [
        ("setup_exactly_one_size", {"risk_amount": 100}),
        ("setup_exactly_one_size", {"quantity": None}),
        ("setup_exactly_one_size", {"quantity": 0}),
        ("setup_exactly_one_size", {"quantity": None, "risk_amount": 1, "risk_percent": 1}),
        ("setup_stop_price_positive", {"stop_price": 0}),
        ("setup_entry_prices_fit_type", {"entry_price": 190}),
        ("setup_entry_prices_fit_type", {"entry_type": "LIMIT"}),
        ("setup_entry_prices_fit_type", {"entry_type": "STOP_LIMIT", "entry_price": 190}),
        ("setup_stop_on_losing_side", {"entry_type": "LIMIT", "entry_price": 185}),
        ("setup_stop_on_losing_side", {"side": "SHORT", "entry_type": "LIMIT", "entry_price": 190}),
        ("setup_entry_timeout_positive", {"entry_timeout_seconds": 0}),
    ],
)
def test_what_no_setup_may_be(make_setup: Callable[..., Setup], constraint: str, changed: dict[str, Any]) -> None:
    setup = make_setup()
    refuses(constraint, lambda: Setup.objects.filter(pk=setup.pk).update(**changed))


@pytest.mark.parametrize(
    ("constraint", "changed"),
    [
        ("target_price_positive", {"price": 0}),
        ("target_fraction_in_range", {"fraction": 0}),
        ("target_fraction_in_range", {"fraction": Decimal("1.01")}),
    ],
)
def test_what_no_target_may_be(make_setup: Callable[..., Setup], constraint: str, changed: dict[str, Any]) -> None:
    make_setup(take_profits=[{"price": Decimal(200)}])
    refuses(constraint, lambda: TakeProfit.objects.update(**changed))


def test_a_position_of_a_target_exists_once(make_setup: Callable[..., Setup]) -> None:
    make_setup(take_profits=[{"price": Decimal(200)}])
    refuses("one_target_per_position", copy_of(TakeProfit.objects.get()))


# Accounts and symbols


def test_a_connection_is_one_row_and_its_floor_never_negative(connection: BrokerConnection) -> None:
    refuses("one_row_per_account_and_client_id", copy_of(connection))
    refuses("order_id_floor_not_negative", lambda: BrokerConnection.objects.update(order_id_floor=-1))


def test_an_account_has_an_id() -> None:
    refuses("account_id_not_empty", lambda: Account.objects.create(account_id=""))


def test_a_price_is_positive_or_unknown(apple: Instrument) -> None:
    refuses("last_price_positive", lambda: Instrument.objects.update(last_price=0))
    Instrument.objects.update(last_price=None)
