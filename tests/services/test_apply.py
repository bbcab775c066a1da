"""What the broker tells becomes rows: stored as told, applied once, and never taken for more than it says."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.broker_events import MessageMeaning, ToldStatus, event_to_payload
from app.domain.terms import Leg
from app.executions.models import BrokerEvent, Commission, Fill
from app.executions.services.apply import broker_event_record
from tests.services.book import Book
from tests.services.heard import at, commission, fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
TARGET = [{"price": Decimal(200)}]


def open_position(book: Book) -> None:
    """Have the entry filled and the stop at work."""
    book.hear(
        told(book.entry, T.SUBMITTED),
        told(book.stop, T.PRE_SUBMITTED),
        fill(book.entry, "10"),
        told(book.entry, T.FILLED),
    )


# A bracket's life


def test_an_acknowledged_bracket_is_working(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.PRE_SUBMITTED), told(book.stop, T.PRE_SUBMITTED, why_held="child,trigger"))
    assert (book.execution.status, book.statuses) == ("WORKING", ["HELD", "HELD"])
    assert book.entry.perm_id == 1000 + book.entry.pk
    assert book.entry.acknowledged_at == at(10)
    assert book.stop.why_held == "child,trigger"


def test_a_filled_entry_opens_the_position(submitted: Submitted) -> None:
    book = submitted()
    open_position(book)
    assert (book.execution.status, book.execution.open_quantity) == ("OPEN", 10)
    assert (book.entry.status, book.entry.filled_quantity, book.entry.average_price) == ("FILLED", 10, 190)
    assert book.entry.finished_at == at(11)
    assert book.execution.attention == ""


def test_the_average_price_weighs_the_deals(submitted: Submitted) -> None:
    book = submitted()
    book.hear(fill(book.entry, "4", "190"), fill(book.entry, "6", "191"))
    assert (book.entry.filled_quantity, book.entry.average_price) == (10, Decimal("190.6"))


@pytest.mark.parametrize("leg", [Leg.STOP_LOSS, Leg.TAKE_PROFIT])
def test_an_exit_closes_it_and_says_which(submitted: Submitted, leg: Leg) -> None:
    book = submitted(take_profits=TARGET)
    open_position(book)
    out, other = book.order(leg), book.order(Leg.TAKE_PROFIT if leg is Leg.STOP_LOSS else Leg.STOP_LOSS)
    book.hear(fill(out, "10", "200"), told(other, T.CANCELLED))
    execution = book.execution
    assert (execution.status, execution.exit_reason, execution.open_quantity) == ("CLOSED", leg.value, 0)
    assert execution.finished_at is not None
    assert (execution.reason_code, execution.attention) == ("", "")


def test_the_word_filled_alone_opens_nothing(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.FILLED))
    assert (book.execution.status, book.entry.status, book.entry.filled_quantity) == ("WORKING", "WORKING", 0)


def test_a_fill_before_anything_else_is_taken(submitted: Submitted) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"))
    book.hear(told(book.entry, T.PRE_SUBMITTED), told(book.entry, T.SUBMITTED))
    assert (book.entry.status, book.execution.status, book.execution.attention) == ("FILLED", "OPEN", "")


def test_more_exited_than_entered_calls_a_person(submitted: Submitted) -> None:
    book = submitted(take_profits=TARGET)
    open_position(book)
    book.hear(fill(book.target, "10", "200"), fill(book.stop, "10", "185"))
    assert (book.execution.status, book.execution.open_quantity) == ("OPEN", -10)
    assert "more was exited than entered: 10 shares" in book.execution.attention


def test_more_filled_than_ordered_calls_a_person(submitted: Submitted) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"), fill(book.entry, "5"))
    assert book.entry.filled_quantity == 10
    assert "ENTRY: its deals add up to 15, the order is of 10: the smaller number counts" in book.execution.attention


# Once


def test_an_event_told_twice_is_stored_once_and_changes_nothing(submitted: Submitted) -> None:
    book = submitted()
    deal, state = fill(book.entry, "4"), told(book.entry, T.SUBMITTED)
    assert broker_event_record(deal, now=at(20)) == book.execution_id
    assert broker_event_record(state, now=at(20)) == book.execution_id
    before = book.rows()
    assert broker_event_record(deal, now=at(21)) is None
    assert broker_event_record(state, now=at(21)) is None
    assert book.rows() == before
    assert (BrokerEvent.objects.count(), Fill.objects.count()) == (2, 1)


def test_what_is_told_is_stored_as_told(submitted: Submitted) -> None:
    book = submitted()
    deal = fill(book.entry, "4", "190.25")
    book.hear(deal)
    row = BrokerEvent.objects.get()
    assert (row.kind, row.payload) == ("fill_told", event_to_payload(deal))
    assert (row.order_id, row.execution_id, row.account) == (book.entry.pk, book.execution_id, "DU1234567")
    assert (row.received_at, row.recorded_at) == (at(11), at(20))


# Whose order it is


def test_an_order_of_somebody_else_is_stored_and_changes_nothing(submitted: Submitted) -> None:
    book = submitted()
    before = book.rows()
    foreign = told(book.entry, T.CANCELLED, order_ref="theirs", perm_id=77)
    deal = fill(book.entry, "10", order_ref="theirs", perm_id=77)
    assert broker_event_record(foreign, now=at(20)) is None
    assert broker_event_record(deal, now=at(20)) is None
    assert book.rows() == before
    assert BrokerEvent.objects.filter(execution=None, order=None).count() == 2


def test_an_id_that_was_issued_again_is_another_order(submitted: Submitted) -> None:
    # Given our order under its permanent id
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED))
    before = book.rows()
    # When a Gateway that rolled its counter back tells of the same order id under another permanent id
    assert broker_event_record(told(book.entry, T.CANCELLED, order_ref="", perm_id=77), now=at(20)) is None
    # Then it is not taken for ours
    assert book.rows() == before


@pytest.mark.parametrize("known_by", ["perm_id", "order_id"])
def test_a_message_without_a_name_is_matched_by_its_numbers(submitted: Submitted, known_by: str) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED))
    numbers = {"order_id": 0, "client_id": 0} if known_by == "perm_id" else {"perm_id": 0}
    book.hear(told(book.entry, T.CANCELLED, order_ref="", **numbers))
    assert (book.entry.status, book.stop.status) == ("CANCELLED", "SENT")


def test_numbers_of_another_client_or_account_are_not_ours(submitted: Submitted) -> None:
    book = submitted()
    for changed in ({"client_id": 9}, {"account": "DU9999999"}, {"order_id": 0}):
        event = told(book.entry, T.CANCELLED, order_ref="", perm_id=0, **changed)
        assert broker_event_record(event, now=at(20)) is None
    assert book.entry.status == "SENT"


def test_two_permanent_ids_of_one_order_call_a_person(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.entry, T.SUBMITTED, perm_id=77))
    assert book.entry.perm_id == 1000 + book.entry.pk
    assert "two permanent ids" in book.execution.attention


# Commissions


@pytest.mark.parametrize("first", ["fill", "commission"])
def test_a_commission_finds_its_deal_whichever_comes_first(submitted: Submitted, first: str) -> None:
    book = submitted()
    deal = fill(book.entry, "10")
    cost = commission(deal.exec_id, "1.25")
    book.hear(*((deal, cost) if first == "fill" else (cost, deal)))
    assert Commission.objects.get().fill == Fill.objects.get()
    assert Commission.objects.get().amount == Decimal("1.25")


def test_a_commission_of_somebody_elses_deal_changes_nothing(submitted: Submitted) -> None:
    book = submitted()
    before = book.rows()
    assert broker_event_record(commission("0000e0d5.99999999.01.01"), now=at(20)) is None
    assert Commission.objects.get().fill is None
    assert book.rows() == before


# Late, refused, informed


def test_a_fill_after_the_cancel_counts(submitted: Submitted) -> None:
    # Given an execution that looked cancelled
    book = submitted()
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    assert (book.execution.status, book.execution.reason_code) == ("CANCELLED", "cancelled_at_broker")
    # When the fill that the cancel crossed arrives
    book.hear(fill(book.entry, "10"))
    # Then the shares are held, and nothing says any more that it ended
    execution = book.execution
    assert (execution.status, execution.open_quantity, book.entry.status) == ("OPEN", 10, "FILLED")
    assert (execution.finished_at, execution.reason_code, execution.reason) == (None, "", "")


def test_a_partial_fill_after_the_cancel_counts(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.CANCELLED), fill(book.entry, "3"))
    assert (book.execution.status, book.execution.open_quantity, book.entry.status) == ("OPEN", 3, "CANCELLED")


def test_a_refusal_rejects_and_says_why(submitted: Submitted) -> None:
    book = submitted()
    book.hear(
        message(book.entry, 201, "Order rejected - reason:no margin", MessageMeaning.REFUSAL),
        told(book.entry, T.INACTIVE),
        told(book.entry, T.CANCELLED),
        told(book.stop, T.CANCELLED),
    )
    execution = book.execution
    assert (execution.status, book.statuses) == ("REJECTED", ["REJECTED", "CANCELLED"])
    assert (execution.reason_code, execution.reason) == (
        "order_refused",
        "ENTRY was refused (201): Order rejected - reason:no margin",
    )


def test_why_it_was_refused_outlives_later_words(submitted: Submitted) -> None:
    book = submitted()
    book.hear(
        message(book.entry, 201, "no margin", MessageMeaning.REFUSAL),
        message(book.entry, 399, "outside hours", MessageMeaning.WARNING),
        told(book.stop, T.CANCELLED),
    )
    assert (book.entry.last_error_code, book.entry.last_error) == (201, "no margin")
    assert "(201): no margin" in book.execution.reason


@pytest.mark.parametrize(
    ("code", "meaning", "noted"),
    [
        (10349, MessageMeaning.INFORMATION, None),
        (1100, MessageMeaning.CONNECTION, None),
        (399, MessageMeaning.WARNING, 399),
        (10148, MessageMeaning.REQUEST_REFUSED, 10148),
    ],
)
def test_what_is_no_refusal_refuses_nothing(
    submitted: Submitted, code: int, meaning: MessageMeaning, noted: int | None
) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), message(book.entry, code, "some text", meaning))
    assert (book.entry.status, book.entry.last_error_code) == ("WORKING", noted)
    assert (book.execution.status, book.execution.attention) == ("WORKING", "")


def test_an_unknown_code_calls_a_person_and_refuses_nothing(submitted: Submitted) -> None:
    book = submitted()
    book.hear(message(book.entry, 4711, "something new", MessageMeaning.UNKNOWN))
    assert book.entry.status == "SENT"
    assert "unknown code 4711: something new" in book.execution.attention


def test_an_unknown_status_calls_a_person(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.UNKNOWN, raw_status="Parked"))
    assert (book.entry.status, "'Parked'" in book.execution.attention) == ("SENT", True)


def test_a_reason_for_attention_is_noted_once(submitted: Submitted) -> None:
    book = submitted()
    for _ in range(3):
        book.hear(message(book.entry, 4711, "something new", MessageMeaning.UNKNOWN))
    assert len(book.execution.attention.splitlines()) == 1


# Sizes that follow the broker's


def test_a_child_shrinks_to_what_its_entry_filled(submitted: Submitted) -> None:
    # Given an entry of which 4 were filled before it was cancelled
    book = submitted()
    book.hear(
        told(book.entry, T.SUBMITTED),
        fill(book.entry, "4"),
        told(book.entry, T.CANCELLED, filled=4, remaining=6),
        told(book.stop, T.PRE_SUBMITTED, filled=0, remaining=4),
    )
    assert (book.entry.quantity, book.stop.quantity) == (10, 4)
    # When the stop fills those 4
    book.hear(fill(book.stop, "4", "185"))
    # Then it is filled and the position closed
    assert (book.stop.status, book.execution.status, book.execution.open_quantity) == ("FILLED", "CLOSED", 0)
    assert book.execution.attention == ""


@pytest.mark.parametrize("source", ["status", "completed_order"])
def test_a_child_that_shrank_unseen_is_filled_when_the_broker_says_so(submitted: Submitted, source: str) -> None:
    book = submitted()
    book.hear(fill(book.entry, "4"), told(book.entry, T.CANCELLED, filled=4, remaining=6), fill(book.stop, "4"))
    assert book.stop.status == "WORKING"
    remaining = 6 if source == "completed_order" else 0
    book.hear(told(book.stop, T.FILLED, filled=4, remaining=remaining, source=source))
    assert (book.stop.quantity, book.stop.status, book.execution.status) == (4, "FILLED", "CLOSED")
    # And a late word of its old size changes nothing
    book.hear(told(book.stop, T.SUBMITTED, remaining=10))
    assert (book.stop.quantity, book.execution.attention) == (4, "")


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        (T.PRE_SUBMITTED, {"remaining": 0}),  # No size told: an empty state, not an order for nothing.
        (T.CANCELLED, {"remaining": 3}),
        (T.INACTIVE, {"remaining": 3}),
        (T.CANCELLED, {"remaining": 3, "source": "completed_order"}),
    ],
)
def test_what_is_not_at_work_has_no_new_size(
    submitted: Submitted, status: ToldStatus, changed: dict[str, object]
) -> None:
    book = submitted()
    book.hear(told(book.stop, status, **changed))
    assert (book.stop.quantity, book.execution.attention) == (10, "")
