"""What never arrived, what was never noted as sent, and what cannot be applied."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.terms import Leg
from app.executions.models import BrokerEvent, Execution, Order
from app.executions.selectors import deals_of, events_of, with_fills
from app.executions.services.apply import broker_event_keep
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import absence, at, commission, fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
TARGET = [{"price": Decimal(200)}]


def test_a_bracket_that_is_nowhere_was_not_placed(submitted: Submitted) -> None:
    book = submitted()
    book.hear(absence(book.entry))
    assert book.execution.status == "SUBMITTING"
    book.hear(absence(book.stop))
    execution = book.execution
    assert (execution.status, execution.reason_code, execution.reason) == (
        "NOT_PLACED",
        "not_placed",
        "complete answers do not know it",
    )
    assert execution.attention == ""


def test_an_entry_whose_stop_never_arrived_calls_a_person(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), absence(book.stop))
    assert f"{book.stop.order_ref}: never reached the broker" in book.execution.attention
    assert book.execution.reason_code == ""


def test_a_tranche_that_never_arrived_calls_a_person(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal("0.5")}])
    for leg in (Leg.ENTRY, Leg.STOP_LOSS):
        book.hear(absence(book.order(leg, tranche=2)))
    for leg in (Leg.ENTRY, Leg.TAKE_PROFIT, Leg.STOP_LOSS):
        book.hear(told(book.order(leg), T.PRE_SUBMITTED))
    assert "-2-ENTRY: never reached the broker" in book.execution.attention
    assert len(book.execution.attention.splitlines()) == 1


@pytest.mark.parametrize("stop_is", ["refused", "absent"])
def test_shares_whose_stop_was_refused_call_a_person(submitted: Submitted, stop_is: str) -> None:
    book = submitted()
    book.hear(
        message(book.stop, 201, "no", MessageMeaning.REFUSAL) if stop_is == "refused" else absence(book.stop),
        fill(book.entry, "10"),
    )
    assert f"{book.stop.order_ref}: shares are held, and their stop is" in book.execution.attention


def test_an_order_that_was_proved_absent_and_speaks_calls_a_person(submitted: Submitted) -> None:
    book = submitted()
    book.hear(absence(book.entry), absence(book.stop), told(book.entry, T.SUBMITTED))
    assert (book.entry.status, book.execution.status, book.execution.finished_at) == ("WORKING", "WORKING", None)
    assert "ENTRY: WORKING_TOLD while NOT_PLACED" in book.execution.attention


# Ours at the broker, though we never noted that it was sent


@pytest.mark.parametrize("told_by", ["status", "completed order", "fill"])
def test_an_order_that_was_never_noted_as_sent_is_taken_in_and_calls_a_person(
    requested: Callable[..., Execution], told_by: str
) -> None:
    # Given a row as a restored backup has it: nothing sent
    book = Book(requested().pk)
    # When the broker tells of it
    if told_by == "status":
        event = told(book.entry, T.SUBMITTED, order_id=41, client_id=1)
    elif told_by == "fill":
        event = fill(book.entry, "10", order_id=41, client_id=1)
    else:
        event = told(book.entry, T.SUBMITTED, source="completed_order")
    book.hear(event)
    # Then it counts, under the numbers the broker gave
    expected = None if told_by == "completed order" else 41
    assert (book.entry.order_id, book.entry.perm_id) == (expected, 1000 + book.entry.pk)
    assert book.entry.status == ("FILLED" if told_by == "fill" else "WORKING")
    assert "while CREATED" in book.execution.attention


# Kept, where it cannot be applied


def test_what_cannot_be_applied_is_kept_and_calls_a_person(submitted: Submitted) -> None:
    book = submitted()
    deal = fill(book.entry, "10")
    broker_event_keep(deal, because="a fault", now=at(20))
    broker_event_keep(deal, because="a fault", now=at(20))
    assert BrokerEvent.objects.get().execution_id == book.execution_id
    assert book.execution.attention == "ENTRY: what the broker told (fill_told) could not be applied; ask for help"
    assert book.entry.filled_quantity == 0


def test_a_foreign_event_that_cannot_be_applied_is_kept(submitted: Submitted) -> None:
    book = submitted()
    broker_event_keep(commission("0000e0d5.99999999.01.01"), because="a fault", now=at(20))
    assert BrokerEvent.objects.count() == 1
    assert book.execution.attention == ""
    assert not Order.objects.exclude(status="SENT").exists()


# Read back


def test_what_was_told_and_dealt_is_read_in_its_order(submitted: Submitted) -> None:
    book = submitted()
    late, early = fill(book.entry, "4", executed_at=at(9)), fill(book.entry, "6", executed_at=at(5))
    book.hear(told(book.stop, T.PRE_SUBMITTED), late, early)
    execution = with_fills(Execution.objects.all()).get()
    assert [deal.exec_id for deal in deals_of(execution)] == [early.exec_id, late.exec_id]
    assert [event.kind for event in events_of(execution, newest_max=9)] == ["order_told", "fill_told", "fill_told"]
    newest = [event.dedupe_key for event in events_of(execution, newest_max=2)]
    assert newest == [late.dedupe_key, early.dedupe_key]
