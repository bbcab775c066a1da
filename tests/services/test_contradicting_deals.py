"""Deals that add up to more than there can be: a person is told, and nothing is placed for what may not be there."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import ToldStatus
from app.executions.services.audit import Invariant, audit_findings
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, told

pytestmark = [pytest.mark.django_db, pytest.mark.case("T7")]

Submitted = Callable[..., Book]
T = ToldStatus


def at_work(book: Book) -> Book:
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    return book


def dealt(book: Book, *, after: float = 0) -> None:
    """One part of 4 under two names, then 6; the broker's count says 10 at the end."""
    for number, (shares, count) in enumerate([("4", 4), ("4", 4), ("6", 10)]):
        moment = at(11 + number * after)
        book.hear(fill(book.entry, shares, cumulative=Decimal(count), executed_at=moment, received_at=moment))


@pytest.mark.parametrize("ordered", ["10", "100"])
def test_a_deal_that_is_told_under_two_names_counts_once_and_no_stop_is_placed_for_it(
    submitted: Submitted, broker: FakeBroker, ordered: str
) -> None:
    # Given an order of 10, which its size contradicts, or of 100, which only the broker's own count does
    book = at_work(submitted(quantity=Decimal(ordered)))
    dealt(book)
    if ordered == "10":
        book.hear(told(book.entry, T.FILLED))
    guard = Guard(broker)
    for _ in range(5):
        guard.look(book, after=5)
    # Then what is held is what can be: it has its stop, none is placed, and a person is told
    assert (book.entry.filled_quantity, book.execution.open_quantity) == (10, 10)
    assert (broker.singles, broker.cancelled, broker.modified) == ([], [], [])
    against = "the order is of 10 and the broker counts 10" if ordered == "10" else "the broker counts 10"
    assert book.execution.attention.splitlines() == [
        "ENTRY: its deals add up to 8, the broker counts 4: the smaller number counts",
        f"ENTRY: its deals add up to 14, {against}: the smaller number counts",
    ]
    assert [finding.code for finding in audit_findings(now=at(60))] == [Invariant.OVERFILLED]
    assert execution_replay(book.execution_id) == []


def test_the_deals_count_once_the_broker_says_that_the_order_was_enlarged(submitted: Submitted) -> None:
    # Given an order that was enlarged in TWS, whose deals are told before its size
    book = at_work(submitted())
    book.hear(fill(book.entry, "4"), fill(book.entry, "10"))
    assert book.entry.filled_quantity == 10
    # When the broker says what it has filled in all
    book.hear(told(book.entry, T.FILLED, filled=14, remaining=0))
    assert (book.entry.filled_quantity, book.entry.quantity, book.execution.open_quantity) == (14, 14, 14)
    assert execution_replay(book.execution_id) == []


def test_the_count_of_another_day_contradicts_nothing(submitted: Submitted) -> None:
    book = at_work(submitted(quantity=Decimal(100)))
    dealt(book, after=24 * 3600)
    assert (book.entry.filled_quantity, book.execution.attention) == (14, "")


def test_a_count_that_not_every_deal_has_contradicts_nothing(submitted: Submitted) -> None:
    book = at_work(submitted(quantity=Decimal(100)))
    book.hear(fill(book.entry, "4"), fill(book.entry, "4", cumulative=Decimal(4)))
    assert (book.entry.filled_quantity, book.execution.attention) == (8, "")


def test_the_deals_of_an_exit_that_are_more_than_its_size_all_count(submitted: Submitted, broker: FakeBroker) -> None:
    # Given a stop whose size follows its entry, behind its own deals
    book = at_work(submitted())
    book.hear(fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED, remaining=4))
    book.hear(fill(book.stop, "10", "185"))
    guard = Guard(broker)
    guard.look(book, after=5)
    assert (book.execution.open_quantity, broker.singles) == (0, [])
