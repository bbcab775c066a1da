"""What waits too long for an answer: the broker is asked for everything, then a person is told, once."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import ToldStatus
from app.executions.models import Decision, Execution, Order
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.sweep import SweepReport, execution_sweep
from tests.services.book import Book
from tests.services.heard import at, fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(188)}


def sweep(seconds: float) -> SweepReport:
    return execution_sweep(now=at(seconds))


def sent_only(book: Book) -> None:
    """Nothing is heard of either leg."""


def at_the_gateway(book: Book) -> None:
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.PENDING_SUBMIT), seconds=0)


def cancel_unanswered(book: Book) -> None:
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.PENDING_CANCEL), seconds=0)


def parked(book: Book) -> None:
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.INACTIVE), seconds=0)


def cancel_without_effect(book: Book) -> None:
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.SUBMITTED), seconds=0)
    execution_cancel_request(execution_id=book.execution_id, reason="requested", now=at(0))


def taken_and_forgotten(book: Book) -> None:
    Order.objects.filter(bracket__execution_id=book.execution_id).update(status="CREATED", sent_at=None)
    Execution.objects.filter(pk=book.execution_id).update(status="SUBMITTING", claimed_at=at(0))


WAITING = [
    (sent_only, "the broker has not answered to it"),
    (at_the_gateway, "the Gateway has it, and the broker has not answered"),
    (cancel_unanswered, "its cancel has not been answered"),
    (parked, "the broker has parked it and says nothing more"),
    (cancel_without_effect, "its cancel was asked for, and its entry is still open"),
    (taken_and_forgotten, "a worker took it and has sent nothing"),
]


@pytest.mark.parametrize(("waits", "text"), WAITING, ids=lambda value: getattr(value, "__name__", ""))
def test_what_waits_too_long_is_asked_for_and_then_told_to_a_person_once(
    submitted: Submitted, waits: Callable[[Book], None], text: str
) -> None:
    book = submitted(**LIMIT, on_timeout="KEEP")
    waits(book)

    early = sweep(20)
    assert (early.asks_broker, early.overdue) == (False, [])
    asked = sweep(60)
    assert (asked.asks_broker, asked.overdue, book.execution.attention) == (True, [], "")
    told_now = sweep(120)
    assert told_now.overdue[:1] == [book.execution_id]
    assert text in book.execution.attention

    again = sweep(130)
    assert (again.asks_broker, again.overdue) == (True, [])
    decisions = Decision.objects.filter(actor="SWEEP", execution=book.execution)
    assert len(decisions) == len(book.execution.attention.splitlines())


def test_news_of_an_order_begins_its_time_anew(submitted: Submitted) -> None:
    book = submitted(**LIMIT, on_timeout="KEEP")
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.PENDING_SUBMIT), seconds=80)
    assert not sweep(100).asks_broker
    assert sweep(120).overdue == []


def test_what_works_or_is_over_waits_for_nothing(submitted: Submitted) -> None:
    book, done = submitted(**LIMIT, on_timeout="KEEP"), submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.SUBMITTED))
    done.hear(fill(done.entry, "10"), fill(done.stop, "10", "185"))
    swept = sweep(100_000)
    assert (swept.asks_broker, swept.overdue) == (False, [])
