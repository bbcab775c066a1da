"""In whatever order the callbacks come, the rows end the same; and they follow from the stored events alone."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.broker_events import AnyBrokerEvent, MessageMeaning, ToldStatus, event_from_payload
from app.domain.terms import Leg
from app.executions.models import BrokerEvent
from tests.services.book import Book
from tests.services.heard import commission, fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus
EXAMPLES = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TARGET = [{"price": Decimal(200)}]


def stopped_out(book: Book) -> list[list[AnyBrokerEvent]]:
    deals = [fill(book.entry, "4"), fill(book.entry, "6", "191"), fill(book.stop, "10", "185")]
    return [
        [told(book.entry, T.PRE_SUBMITTED), told(book.entry, T.SUBMITTED), told(book.entry, T.FILLED)],
        [told(book.stop, T.PRE_SUBMITTED), told(book.stop, T.SUBMITTED), told(book.stop, T.FILLED)],
        [told(book.target, T.PRE_SUBMITTED), told(book.target, T.CANCELLED)],
        list(deals),
        [commission(deal.exec_id, f"1.{number}") for number, deal in enumerate(deals)],
    ]


def cancelled(book: Book) -> list[list[AnyBrokerEvent]]:
    return [
        [told(book.entry, T.SUBMITTED), told(book.entry, T.PENDING_CANCEL), told(book.entry, T.CANCELLED)],
        [told(book.stop, T.PRE_SUBMITTED), told(book.stop, T.CANCELLED)],
        [told(book.target, T.API_PENDING), told(book.target, T.API_CANCELLED)],
        [message(book.entry, 202, "Order Canceled - reason:", MessageMeaning.INFORMATION)],
    ]


def filled_while_cancelled(book: Book) -> list[list[AnyBrokerEvent]]:
    return [
        [told(book.entry, T.SUBMITTED), told(book.entry, T.PENDING_CANCEL), told(book.entry, T.CANCELLED)],
        [fill(book.entry, "10")],
        [told(book.stop, T.PRE_SUBMITTED)],
        [told(book.target, T.PRE_SUBMITTED)],
    ]


def partly_filled_and_cancelled(book: Book) -> list[list[AnyBrokerEvent]]:
    return [
        [told(book.entry, T.SUBMITTED), told(book.entry, T.CANCELLED, filled=4, remaining=6)],
        [fill(book.entry, "4"), fill(book.stop, "4", "185")],
        [told(book.stop, T.PRE_SUBMITTED), told(book.stop, T.PRE_SUBMITTED, remaining=4)],
        [told(book.target, T.PRE_SUBMITTED), told(book.target, T.CANCELLED)],
    ]


def refused(book: Book) -> list[list[AnyBrokerEvent]]:
    return [
        [message(book.entry, 201, "no margin", MessageMeaning.REFUSAL)],
        [told(book.entry, T.PENDING_SUBMIT), told(book.entry, T.INACTIVE)],
        [told(book.stop, T.CANCELLED)],
        [told(book.target, T.CANCELLED)],
    ]


def corrected_price(book: Book) -> list[list[AnyBrokerEvent]]:
    root = "0000e0d5.65543f2a.01"
    return [
        [told(book.entry, T.SUBMITTED), told(book.entry, T.FILLED)],
        [fill(book.entry, "10", "190", exec_id=f"{root}.01")],
        [fill(book.entry, "10", "189", exec_id=f"{root}.02")],
        [commission(f"{root}.01", "1.0")],
        [commission(f"{root}.02", "1.1")],
        [told(book.stop, T.PRE_SUBMITTED)],
        [told(book.target, T.PRE_SUBMITTED)],
    ]


STORIES = [
    stopped_out,
    cancelled,
    filled_while_cancelled,
    partly_filled_and_cancelled,
    refused,
    corrected_price,
]
Streams = list[list[AnyBrokerEvent]]


def outcome_of(book: Book, events: list[AnyBrokerEvent]) -> dict[str, Any]:
    """Return the rows these events lead to, and leave none of it behind."""
    with transaction.atomic():
        book.hear(*events)
        filled_equals_fills(book)
        rows = book.rows()
        transaction.set_rollback(True)
    return rows


def filled_equals_fills(book: Book) -> None:
    for order in book.orders:
        deals = order.fills.filter(superseded=False).aggregate(
            shares=Sum("quantity"), worth=Sum(F("quantity") * F("price"))
        )
        shares = deals["shares"] or Decimal(0)
        # What an entry cannot have filled does not count (see test_contradicting_deals.py).
        assert order.filled_quantity == (min(shares, order.quantity) if order.leg == Leg.ENTRY.value else shares)
        if deals["shares"]:
            assert order.average_price is not None
            assert abs(order.average_price - deals["worth"] / deals["shares"]) < Decimal("0.00000001")


def interleaved(streams: Streams, draw: st.DrawFn | Any) -> list[AnyBrokerEvent]:
    left = [list(stream) for stream in streams]
    events: list[AnyBrokerEvent] = []
    while any(left):
        stream = draw(st.sampled_from([index for index, rest in enumerate(left) if rest]))
        events.append(left[stream].pop(0))
    return events


def without_alarms(rows: dict[str, Any]) -> dict[str, Any]:
    # An alarm is about the moment (an exit told before its entry): it may come or not, the rows are the same.
    return {name: value for name, value in rows.items() if name != "attention"}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_states_and_deals_may_come_in_any_interleaving(submitted: Submitted, story: Callable[[Book], Streams]) -> None:
    book = submitted(take_profits=TARGET)
    streams = story(book)
    told_in_order = outcome_of(book, [event for stream in streams for event in stream])

    @EXAMPLES
    @given(st.data())
    def check(data: st.DataObject) -> None:
        events = interleaved(streams, data.draw)
        assert without_alarms(outcome_of(book, events)) == without_alarms(told_in_order)

    check()


@pytest.mark.parametrize(
    "story",
    # A size is the last one told: where it changes, the states of one order keep their order (above).
    [story for story in STORIES if story is not partly_filled_and_cancelled],
    ids=lambda story: story.__name__,
)
def test_finished_brackets_may_be_told_in_any_order_at_all(
    submitted: Submitted, story: Callable[[Book], Streams]
) -> None:
    book = submitted(take_profits=TARGET)
    # Given everything that was told of a bracket, the last word on a leg that stays open told last
    events = [event for stream in story(book) for event in stream]
    told_in_order = outcome_of(book, events)

    @EXAMPLES
    @given(st.permutations(events))
    def check(shuffled: list[AnyBrokerEvent]) -> None:
        assert without_alarms(outcome_of(book, shuffled)) == without_alarms(told_in_order)

    check()


# Whatever is told

LEGS = st.sampled_from([Leg.ENTRY, Leg.STOP_LOSS, Leg.TAKE_PROFIT])
STATES = st.tuples(st.just("state"), LEGS, st.sampled_from(list(T)), st.integers(0, 10), st.integers(0, 10))
DEALS = st.tuples(st.just("deal"), LEGS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 10))
COSTS = st.tuples(st.just("cost"), LEGS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
CODES = st.tuples(st.just("code"), LEGS, st.sampled_from(list(MessageMeaning)), st.just(0), st.just(0))


def make(book: Book, drawn: tuple[str, Leg, Any, int, int]) -> AnyBrokerEvent:
    kind, leg, what, first, second = drawn
    order = book.order(leg)
    exec_id = f"0000e0d5.{order.pk:08x}.0{what}.0{first}"
    if kind == "state":
        return told(order, what, filled=first, remaining=second)
    if kind == "deal":
        return fill(order, str(second), "190.5", exec_id=exec_id)
    if kind == "cost":
        return commission(exec_id, f"{second}.5")
    return message(order, 201, "a text", what)


def test_the_rows_follow_from_the_stored_events_alone(submitted: Submitted) -> None:
    book = submitted(take_profits=TARGET)

    @settings(EXAMPLES, max_examples=20)
    @given(st.lists(STATES | DEALS | COSTS | CODES, min_size=1, max_size=14))
    def check(drawn: list[tuple[str, Leg, Any, int, int]]) -> None:
        with transaction.atomic():
            # Given whatever the broker told, some of it twice
            nothing_told = transaction.savepoint()
            for event in [make(book, each) for each in drawn]:
                book.hear(event, event)
                filled_equals_fills(book)
            rows = book.rows()
            heard = [event_from_payload(row.kind, row.payload) for row in BrokerEvent.objects.order_by("id")]
            # When the stored events are told again to rows that know nothing
            transaction.savepoint_rollback(nothing_told)
            book.hear(*heard)
            # Then the same rows come out
            assert book.rows() == rows
            assert BrokerEvent.objects.count() == len(heard)
            transaction.set_rollback(True)

    check()
