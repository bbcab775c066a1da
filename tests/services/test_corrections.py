"""Deals that are told again, corrected or busted: each counts once, by its newest version."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import ToldStatus
from app.domain.protection import RepairKind
from app.executions.models import Fill
from app.executions.services.guard import bracket_protection
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.heard import fill, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
TARGET = [{"price": Decimal(200)}]


@pytest.mark.parametrize("order", ["in order", "in reverse"])
def test_a_correction_of_the_price_replaces_the_deal(submitted: Submitted, order: str) -> None:
    book = submitted()
    deals = [
        fill(book.entry, "10", "190", exec_id="0000e0d5.65543f2a.01.01"),
        fill(book.entry, "10", "189", exec_id="0000e0d5.65543f2a.01.02"),
    ]
    book.hear(*(deals if order == "in order" else reversed(deals)))
    assert (book.entry.filled_quantity, book.entry.average_price) == (10, 189)
    assert (book.entry.status, book.execution.open_quantity) == ("FILLED", 10)
    assert {deal.exec_id[-2:]: deal.superseded for deal in Fill.objects.all()} == {"01": True, "02": False}


def test_a_correction_of_the_quantity_counts_once_and_calls_a_person_where_it_undoes_a_fill(
    submitted: Submitted,
) -> None:
    book = submitted()
    book.hear(
        fill(book.entry, "10", exec_id="0000e0d5.65543f2a.01.01"),
        fill(book.entry, "8", exec_id="0000e0d5.65543f2a.01.02"),
    )
    assert (book.entry.filled_quantity, book.execution.open_quantity) == (8, 8)
    assert "ENTRY: PARTLY_FILLED while FILLED" in book.execution.attention


def test_a_correction_of_a_partial_fill_needs_nobody(submitted: Submitted) -> None:
    book = submitted()
    book.hear(
        fill(book.entry, "4", exec_id="0000e0d5.65543f2a.01.01"),
        fill(book.entry, "3", exec_id="0000e0d5.65543f2a.01.02"),
        fill(book.entry, "6", exec_id="0000e0d5.65543f2b.01.01"),
    )
    assert (book.entry.filled_quantity, book.entry.status, book.execution.attention) == (9, "WORKING", "")


@pytest.mark.case("T36")
@pytest.mark.parametrize("order", ["in order", "in reverse"])
def test_a_busted_entry_is_over_with_nothing_held(submitted: Submitted, order: str) -> None:
    # Given an entry whose one deal the exchange takes back
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    deals = [
        fill(book.entry, "10", exec_id="0000e0d5.65543f2a.01.01"),
        fill(book.entry, "0", exec_id="0000e0d5.65543f2a.01.02"),
    ]
    book.hear(*(deals if order == "in order" else reversed(deals)))
    # Then nothing is held, and no deal counts
    assert (book.entry.filled_quantity, book.execution.open_quantity) == (0, 0)
    assert all(deal.superseded for deal in Fill.objects.all())
    assert "ENTRY: a deal was busted, 0000e0d5.65543f2a.01.02" in book.execution.attention
    assert execution_replay(book.execution_id) == []
    # And what its stop would close is nobody's: it is taken away at once, or when the broker was asked for everything
    book.hear(told(book.entry, T.CANCELLED))
    protection = bracket_protection(book.brackets[0])
    assert [repair.kind for repair in protection.repairs] == ([RepairKind.CANCEL] if order == "in order" else [])
    assert protection.asks_broker == (order == "in reverse")
    book.hear(told(book.stop, T.CANCELLED))
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "deals_busted")


@pytest.mark.case("T36")
def test_a_position_whose_closing_deal_is_busted_is_open_again(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.PRE_SUBMITTED))
    book.hear(fill(book.stop, "10", "185", exec_id="0000e0d5.65543f2b.01.01"))
    assert book.execution.status == "CLOSED"
    book.hear(fill(book.stop, "0", "185", exec_id="0000e0d5.65543f2b.01.02"))
    assert (book.execution.status, book.execution.open_quantity) == ("OPEN", 10)
    assert (book.execution.finished_at, book.execution.exit_reason) == (None, "")
    assert [repair.kind for repair in bracket_protection(book.brackets[0]).repairs] == [RepairKind.PLACE_STOP]


def test_the_newest_of_three_versions_counts(submitted: Submitted) -> None:
    book = submitted()
    for version, quantity in (("02", "5"), ("03", "4"), ("01", "6")):
        book.hear(fill(book.entry, quantity, exec_id=f"0000e0d5.65543f2a.01.{version}"))
    assert book.entry.filled_quantity == 4
    assert Fill.objects.filter(superseded=False).get().exec_id.endswith("03")
