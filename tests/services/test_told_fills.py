"""What the broker says is filled without its deals: nothing is closed or cancelled of what may be gone, or be held."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from app.accounts.services import connection_reconciled
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.executions import selectors
from app.executions.models import Actor, Decision, Execution
from app.executions.services.cancel import orders_to_cancel
from app.executions.services.flatten import execution_flatten_request, execution_flatten_send
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import ASK_AGAIN_SECONDS, Watch
from app.executions.services.reconcile import execution_reconcile
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


def held(book: Book) -> None:
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))


def stopped_out_in_part(book: Book) -> None:
    """The stop was cancelled after it had closed four shares, whose deal is not told yet."""
    book.hear(told(book.stop, T.CANCELLED, filled="4", remaining="6"))


def due(book: Book) -> list[str]:
    execution = selectors.with_orders(Execution.objects.filter(pk=book.execution_id)).get()
    return [order.leg for order in orders_to_cancel(execution)]


def test_closing_waits_for_the_deals_of_the_exits(submitted: Submitted, broker: FakeBroker) -> None:
    # Given ten shares that are to be closed, and a stop that has closed four of them
    book = submitted()
    held(book)
    execution_flatten_request(
        execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="a test", now=at(30)
    )
    stopped_out_in_part(book)
    assert execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(31)) == 0
    assert broker.singles == []
    # When its deal is told, six are closed and not ten
    book.hear(fill(book.stop, "4", "185", exec_id="0000e0d5.00000007.01.01"))
    assert execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(32)) == 1
    assert [ticket.quantity for ticket in broker.singles] == [Decimal(6)]


@pytest.mark.parametrize("status", [T.INACTIVE, T.CANCELLED])
def test_the_stop_of_an_entry_that_filled_unheard_stays(
    submitted: Submitted, broker: FakeBroker, status: ToldStatus
) -> None:
    # Given an entry that the broker lists as finished with three shares filled, and no deal of them
    book = submitted(entry_type="LIMIT", entry_price=Decimal(190))
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    book.hear(told(book.entry, status, source="completed_order", filled="3", remaining="7"))
    connection_reconciled(connection_id=broker.connection_id, now=at(90))
    # Then it is not called refused, and its stop is not cancelled
    assert book.entry.status == "CANCELLED"
    assert due(book) == []


def test_what_a_complete_answer_does_not_clear_up_is_told_to_a_person(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    held(book)
    stopped_out_in_part(book)
    broker.completed_book = [told(book.stop, T.CANCELLED, source="completed_order", filled="4", remaining="6")]
    execution_reconcile(broker=broker, now=clock.now() + timedelta(seconds=60), settle_seconds=30)
    assert "the broker says that 4 are filled" in book.execution.attention
    assert Decision.objects.filter(actor="RECONCILE", action="ASK").exists()


def test_the_broker_is_asked_again_after_a_while_and_not_at_every_look(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = submitted()
    held(book)
    stopped_out_in_part(book)
    seconds = [0.0]
    watch = Watch(monotonic=lambda: seconds[0])
    asked = []
    while seconds[0] <= 2 * ASK_AGAIN_SECONDS + 5:
        look = guard_look(execution_ids=[book.execution_id], broker=broker, watch=watch, now=clock.now())
        asked += [seconds[0]] if look.asks_broker else []
        seconds[0] += 1
    assert asked == [5, 5 + ASK_AGAIN_SECONDS, 5 + 2 * ASK_AGAIN_SECONDS]


def test_an_open_order_told_filled_does_not_shrink_the_order(submitted: Submitted) -> None:
    # Given a stop of ten of which nine are filled, and an open-order message that still carries the nine
    book = submitted()
    held(book)
    book.hear(fill(book.stop, "9", "185", exec_id="0000e0d5.00000007.01.01"))
    book.hear(told(book.stop, T.FILLED, source="open_order", filled="9", remaining="1"))
    assert (book.stop.status, book.stop.quantity) == ("WORKING", 10)
    # Then its last deal does not look like one too many
    book.hear(fill(book.stop, "1", "185", exec_id="0000e0d5.00000008.01.01"))
    assert (book.stop.status, book.execution.status, book.execution.attention) == ("FILLED", "CLOSED", "")
