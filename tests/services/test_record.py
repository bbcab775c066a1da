"""Events recorded together leave the rows that they leave one by one, in fewer queries, all or none."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.accounts.fencing import Fenced, Holding, fence_raise
from app.core import clock
from app.domain.broker_events import AnyBrokerEvent, ToldStatus
from app.executions.models import BrokerEvent, Fill
from app.executions.services.record import broker_events_record
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, commission, fill, told
from tests.services.test_event_order import CODES, COSTS, DEALS, STATES, TARGET, make, without_alarms

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(book: Book, tell: Callable[[], None]) -> tuple[dict[str, Any], list[tuple[str, int | None]]]:
    """Return the rows and the stored events that telling leads to, and leave none of it behind."""
    with transaction.atomic():
        tell()
        rows = without_alarms(book.rows())
        events = list(BrokerEvent.objects.order_by("id").values_list("dedupe_key", "order_id"))
        transaction.set_rollback(True)
    return rows, events


def test_any_batches_lead_to_the_rows_of_one_by_one(submitted: Submitted) -> None:
    book = submitted(take_profits=TARGET)

    @EXAMPLES
    @given(st.lists(st.one_of(STATES, DEALS, COSTS, CODES), min_size=1, max_size=14), st.integers(1, 14))
    def check(drawn: list[Any], size: int) -> None:
        events: list[AnyBrokerEvent] = [make(book, one) for one in drawn]
        batches = [events[first : first + size] for first in range(0, len(events), size)]

        def together() -> None:
            for batch in batches:
                broker_events_record(batch, now=at(20))

        assert outcome(book, together) == outcome(book, lambda: book.hear(*events))

    check()


def test_a_number_told_in_the_batch_is_known_to_what_follows_it(submitted: Submitted) -> None:
    # Given a first word that brings the perm_id, and a deal that carries nothing else
    book = submitted()
    named = told(book.entry, T.SUBMITTED, perm_id=77)
    deal = fill(book.entry, "10", perm_id=77, order_ref="", order_id=0)
    # When both come together
    broker_events_record([named, deal], now=at(20))
    assert (book.entry.status, book.entry.filled_quantity) == ("FILLED", 10)


def test_a_deal_that_names_no_account_is_known_by_its_number(submitted: Submitted) -> None:
    book = submitted()
    named = told(book.entry, T.SUBMITTED, perm_id=77)
    deal = fill(book.entry, "10", perm_id=77, order_ref="", order_id=0, account="")
    broker_events_record([named, deal], now=at(20))
    assert book.entry.filled_quantity == 10


def test_an_order_id_that_was_given_out_again_is_another_order(submitted: Submitted) -> None:
    # Given our order's number told first, and then a deal under its order id but with another number
    book = submitted()
    named = told(book.entry, T.SUBMITTED, perm_id=77)
    foreign = fill(book.entry, "10", perm_id=99, order_ref="")
    broker_events_record([named, foreign], now=at(20))
    assert (book.entry.filled_quantity, book.execution.attention) == (0, "")


def test_what_is_told_twice_in_one_batch_counts_once(submitted: Submitted) -> None:
    book = submitted()
    deal = fill(book.entry, "10")
    changed = broker_events_record([deal, commission(deal.exec_id), deal], now=at(20))
    assert [event.kind for _execution, event in changed] == [deal.kind, "commission_told"]
    assert Fill.objects.get().commission.amount == 1


def test_many_events_of_many_executions_cost_few_queries(submitted: Submitted) -> None:
    books = [submitted() for _ in range(4)]
    events = [
        event
        for book in books
        for event in (told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.SUBMITTED))
    ]
    with CaptureQueriesContext(connection) as together:
        broker_events_record(events[:6], now=at(20))
    with CaptureQueriesContext(connection) as singly:
        books[2].hear(*events[6:])
    assert len(together) * 2 < len(singly)


def test_an_echo_costs_no_update(submitted: Submitted) -> None:
    # Given orders of which the broker has told how they stand
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    rows = book.rows()
    # When a reconcile makes it tell the same under other keys
    with CaptureQueriesContext(connection) as heard:
        broker_events_record([told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED)], now=at(20))
    # Then both are stored, and no row is written again
    assert book.rows() == rows
    assert BrokerEvent.objects.count() == 4
    assert not [query["sql"] for query in heard if query["sql"].startswith("UPDATE")]


def test_a_batch_is_recorded_whole_or_not_at_all(submitted: Submitted) -> None:
    book = submitted()
    too_long = fill(book.entry, "1", exec_id="x" * 100)
    with pytest.raises(DatabaseError), transaction.atomic():
        broker_events_record([told(book.entry, T.SUBMITTED), too_long], now=at(20))
    assert (book.entry.status, BrokerEvent.objects.count()) == ("SENT", 0)


def test_an_old_holder_records_nothing(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    old = fence_raise(connection_id=broker.connection_id, name="old", process="", now=clock.now())
    fence_raise(connection_id=broker.connection_id, name="new", process="", now=clock.now())
    with pytest.raises(Fenced):
        broker_events_record(
            [told(book.entry, T.SUBMITTED)],
            now=at(20),
            holding=Holding(connection_id=old.connection_id, fence=old.fence),
        )
    assert book.entry.status == "SENT"
