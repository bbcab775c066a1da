"""The rows follow from the stored events: replaying finds what does not, and changes nothing."""

from collections.abc import Callable
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from app.domain.broker_events import AnyBrokerEvent, MessageMeaning, ToldStatus
from app.executions.models import BrokerEvent, Commission, Execution, Fill, Order
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.replay import Difference, events_replay, execution_replay
from tests.services.book import Book
from tests.services.heard import absence, at, commission, fill, message, told

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


def stopped_out(book: Book) -> list[AnyBrokerEvent]:
    entered = fill(book.entry, "10", exec_id="0000e0d5.1.01.01")
    corrected = fill(book.entry, "10", "190.5", exec_id="0000e0d5.1.01.02")
    exited = fill(book.stop, "10", "185", exec_id="0000e0d5.2.01.01")
    return [
        commission(entered.exec_id),  # Told before its deal.
        told(book.stop, T.PRE_SUBMITTED, why_held="child,trigger"),
        told(book.entry, T.SUBMITTED),
        entered,
        told(book.entry, T.FILLED),
        told(book.entry, T.SUBMITTED),  # Late.
        corrected,
        exited,
        commission(exited.exec_id, "2.0", realized_pnl="-50"),
    ]


def refused(book: Book) -> list[AnyBrokerEvent]:
    return [
        message(book.entry, 201, "Order rejected", MessageMeaning.REFUSAL),
        told(book.entry, T.INACTIVE),
        told(book.stop, T.CANCELLED),
        message(book.stop, 9999, "what is this?", MessageMeaning.UNKNOWN),
    ]


def never_arrived(book: Book) -> list[AnyBrokerEvent]:
    return [absence(book.entry), absence(book.stop)]


def shrunk_by_the_broker(book: Book) -> list[AnyBrokerEvent]:
    return [
        told(book.entry, T.SUBMITTED),
        told(book.stop, T.PRE_SUBMITTED),
        fill(book.entry, "4"),
        told(book.entry, T.CANCELLED, filled=4, remaining=6),
        told(book.stop, T.PRE_SUBMITTED, remaining=4),
    ]


STORIES = [stopped_out, refused, never_arrived, shrunk_by_the_broker]


def everything() -> list[list[object]]:
    return [list(model.objects.order_by("id").values()) for model in (Execution, Order, Fill, Commission, BrokerEvent)]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_rows_that_follow_from_the_events_have_no_difference_and_are_left_alone(
    submitted: Submitted, story: Callable[[Book], list[AnyBrokerEvent]]
) -> None:
    book = submitted()
    book.hear(*story(book))
    before = everything()

    assert list(events_replay()) == []
    assert everything() == before


def test_an_execution_that_was_given_up_before_anything_was_sent_replays(requested: Callable[..., Execution]) -> None:
    execution = requested()
    execution_cancel_request(execution_id=execution.pk, reason="requested", now=at(1))
    execution.refresh_from_db()
    assert execution.status == "NOT_PLACED"

    assert execution_replay(execution.pk) == []


def test_an_order_that_the_broker_knew_before_we_noted_it_as_sent_replays(requested: Callable[..., Execution]) -> None:
    book = Book(requested().pk)
    book.hear(told(book.entry, T.SUBMITTED, order_id=77, client_id=1))
    assert book.entry.order_id == 77

    assert execution_replay(book.execution_id) == []


def change_a_status(book: Book) -> None:
    Order.objects.filter(pk=book.stop.pk).update(status="CANCELLED")


def change_a_filled_quantity(book: Book) -> None:
    Order.objects.filter(pk=book.entry.pk).update(filled_quantity=Decimal(3))


def change_a_price(book: Book) -> None:
    Fill.objects.filter(order=book.entry).update(price=Decimal(1))


def lose_a_deal(book: Book) -> None:
    lost = Fill.objects.filter(order=book.stop)
    Commission.objects.filter(fill__in=lost).delete()
    lost.delete()


def invent_a_deal(book: Book) -> None:
    Fill.objects.create(order=book.stop, exec_id="invented", quantity=1, price=1, executed_at=at(1))


def change_a_cost(book: Book) -> None:
    Commission.objects.filter(fill__order=book.stop).update(amount=Decimal(9))


def change_the_execution(book: Book) -> None:
    Execution.objects.filter(pk=book.execution_id).update(status="OPEN", open_quantity=Decimal(10))


def swap_the_permanent_id(book: Book) -> None:
    Order.objects.filter(pk=book.entry.pk).update(perm_id=1)


def lose_a_cost_without_deal(book: Book) -> None:
    book.hear(commission("0000e0d5.9.01.01"))
    Commission.objects.filter(exec_id="0000e0d5.9.01.01").delete()


FAULTS = [
    change_a_status,
    change_a_filled_quantity,
    change_a_price,
    lose_a_deal,
    invent_a_deal,
    change_a_cost,
    change_the_execution,
    swap_the_permanent_id,
    lose_a_cost_without_deal,
]


@pytest.mark.parametrize("plant", FAULTS, ids=lambda fault: fault.__name__)
def test_rows_that_do_not_follow_from_the_events_are_found(submitted: Submitted, plant: Callable[[Book], None]) -> None:
    book = submitted()
    book.hear(*stopped_out(book))
    assert list(events_replay()) == []
    plant(book)

    assert list(events_replay()) != []


def test_a_difference_says_what_is_stored_and_what_was_told(submitted: Submitted) -> None:
    book = submitted()
    book.hear(*stopped_out(book))
    Order.objects.filter(pk=book.stop.pk).update(status="CANCELLED")

    assert Difference(
        execution_id=book.execution_id, row=book.stop.order_ref, name="status", stored="CANCELLED", replayed="FILLED"
    ) in execution_replay(book.execution_id)


def test_the_command_ends_with_0_where_all_is_the_same_and_1_where_not(submitted: Submitted) -> None:
    book, other = submitted(), submitted()
    book.hear(*stopped_out(book))
    call_command("replay_events", stdout=StringIO())

    change_a_price(book)
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("replay_events", stdout=out, stderr=StringIO())

    assert ended.value.code == 1
    assert "stored 1.00000000, replayed 190.00000000" in out.getvalue()
    call_command("replay_events", execution=other.execution_id, stdout=StringIO())
    with pytest.raises(CommandError, match="no execution"):
        call_command("replay_events", execution=-1)
