"""Waiting for an execution: the reference, or the typed reason why there is none; news only makes it faster."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import Settings

from app.brokers.errors import OrderRefused
from app.core import clock
from app.core.errors import NotFound
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.terms import Leg
from app.executions import news
from app.executions.models import Execution
from app.executions.services.apply import broker_event_record
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.wait import (
    EntryNotFilled,
    NotPlaced,
    StillWaiting,
    execution_wait_for_answer,
    execution_wait_for_fill,
)
from tests.services.book import Book
from tests.services.heard import absence, at, fill, message, told

pytestmark = pytest.mark.django_db

Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
InThread = Callable[[Callable[[], None]], Callable[[], None]]
T = ToldStatus
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}
NOBODY_LISTENS = "redis://127.0.0.1:9/0"


def wait(book: Book, *, seconds: float = 0) -> str:
    return execution_wait_for_fill(execution_id=book.execution_id, seconds_max=seconds)


def fill_entry(book: Book) -> None:
    book.hear(told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))


@contextmanager
def meanwhile(work: Callable[[], None], in_thread: InThread, *, after_seconds: float) -> Iterator[None]:
    """Have `work` done in another thread, a little later."""
    timer = threading.Timer(after_seconds, in_thread(work))
    timer.start()
    try:
        yield
    finally:
        timer.join(timeout=10)


# The reference


def test_a_filled_and_protected_entry_answers_the_reference(submitted: Submitted) -> None:
    book = submitted()
    fill_entry(book)
    assert wait(book) == "IB-1:2"


def test_a_filled_entry_is_not_enough_while_its_stop_is_not_live(submitted: Submitted) -> None:
    book = submitted()
    book.hear(fill(book.entry, "10"))
    with pytest.raises(StillWaiting):
        wait(book)
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    assert wait(book) == "IB-1:2"


def test_every_tranche_has_to_be_filled(submitted: Submitted) -> None:
    book = submitted(take_profits=[{"price": Decimal(200), "fraction": Decimal("0.5")}])
    for tranche in (1, 2):
        with pytest.raises(StillWaiting):
            wait(book)
        entry, stop = book.order(Leg.ENTRY, tranche=tranche), book.order(Leg.STOP_LOSS, tranche=tranche)
        book.hear(told(stop, T.PRE_SUBMITTED), fill(entry, "5"))
    assert wait(book) == "IB-1:3"


@pytest.mark.parametrize("exit_leg", [Leg.STOP_LOSS, Leg.TAKE_PROFIT])
def test_a_position_that_is_closed_already_answers_the_reference(submitted: Submitted, exit_leg: Leg) -> None:
    book = submitted(take_profits=[{"price": Decimal(200)}])
    other = Leg.TAKE_PROFIT if exit_leg is Leg.STOP_LOSS else Leg.STOP_LOSS
    book.hear(fill(book.entry, "10"), fill(book.order(exit_leg), "10", "200"), told(book.order(other), T.CANCELLED))
    assert wait(book) == "IB-1:3"


# The reasons why there is none


def test_a_refusal_is_raised_with_the_brokers_code_and_text(submitted: Submitted) -> None:
    book = submitted()
    book.hear(message(book.entry, 201, "Order rejected - reason:no margin", MessageMeaning.REFUSAL))
    with pytest.raises(OrderRefused) as refused:
        wait(book)
    assert refused.value.details == {
        "broker_code": 201,
        "broker_text": "Order rejected - reason:no margin",
        "order_ref": book.entry.order_ref,
    }
    assert "ENTRY was refused by the broker (201): Order rejected" in refused.value.message


def test_what_was_not_placed_is_raised_with_its_reason(submitted: Submitted) -> None:
    book = submitted()
    book.hear(absence(book.entry), absence(book.stop))
    with pytest.raises(NotPlaced, match="complete answers do not know it") as told_so:
        wait(book)
    assert told_so.value.details == {"status": "NOT_PLACED", "reason_code": "not_placed"}


@pytest.mark.parametrize("children_are", ["gone too", "not told yet"])
def test_a_cancelled_entry_is_raised_with_its_reason(submitted: Submitted, children_are: str) -> None:
    book = submitted()
    execution_cancel_request(execution_id=book.execution_id, reason="requested", now=at(5))
    book.hear(told(book.entry, T.CANCELLED))
    if children_are == "gone too":
        book.hear(told(book.stop, T.CANCELLED))
    with pytest.raises(EntryNotFilled) as told_so:
        wait(book)
    assert (told_so.value.details["reason_code"], told_so.value.details["filled_quantity"]) == ("requested", "0")
    assert "cancelled" in told_so.value.message


def test_an_entry_cancelled_on_the_way_says_what_is_held(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "4"), told(book.entry, T.CANCELLED, filled=4))
    with pytest.raises(EntryNotFilled, match="4 shares were, and keep their stop") as told_so:
        wait(book)
    assert Decimal(told_so.value.details["filled_quantity"]) == 4


def test_the_end_of_the_wait_is_not_the_end_of_the_execution(submitted: Submitted) -> None:
    book = submitted()
    with pytest.raises(StillWaiting) as told_so:
        wait(book, seconds=0.1)
    assert told_so.value.code == "still_waiting"
    assert book.execution.status == "SUBMITTING"


def test_an_unknown_execution_is_not_found() -> None:
    with pytest.raises(NotFound):
        execution_wait_for_fill(execution_id=999, seconds_max=1)


# The deadline


def past_deadline(book: Book) -> Book:
    Execution.objects.filter(pk=book.execution_id).update(deadline_at=clock.now() - timedelta(seconds=1))
    return book


def test_past_the_deadline_the_cancel_is_asked_for(submitted: Submitted) -> None:
    book = past_deadline(submitted())
    with pytest.raises(StillWaiting):
        wait(book)
    assert book.execution.cancel_reason == "entry_timeout"
    book.hear(told(book.entry, T.CANCELLED), told(book.stop, T.CANCELLED))
    with pytest.raises(EntryNotFilled, match="within its time limit") as told_so:
        wait(book)
    assert told_so.value.details["reason_code"] == "entry_timeout"


def test_past_the_deadline_an_entry_that_is_kept_is_told_as_such(submitted: Submitted) -> None:
    book = past_deadline(submitted(on_timeout="KEEP"))
    with pytest.raises(EntryNotFilled, match="kept working"):
        wait(book)
    assert book.execution.cancel_requested_at is None


@pytest.mark.parametrize("on_timeout", ["CANCEL", "KEEP"])
def test_past_the_deadline_what_nobody_took_was_not_placed(requested: Requested, on_timeout: str) -> None:
    book = past_deadline(Book(requested(on_timeout=on_timeout).pk))
    with pytest.raises(NotPlaced) as told_so:
        wait(book)
    assert told_so.value.details["reason_code"] == "deadline_passed"


def test_the_deadline_is_kept_while_waiting(submitted: Submitted) -> None:
    book = submitted()
    Execution.objects.filter(pk=book.execution_id).update(deadline_at=clock.now() + timedelta(seconds=0.2))
    with pytest.raises(StillWaiting):
        wait(book, seconds=0.6)
    assert book.execution.cancel_reason == "entry_timeout"


# Woken


@pytest.mark.django_db(transaction=True)
def test_news_ends_the_wait_at_once(submitted: Submitted, in_thread: InThread, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a reader that would look again by itself only after a long while
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    monkeypatch.setattr(news.subscription.__wrapped__, "__kwdefaults__", {"poll_seconds": 20})
    deal = fill(book.entry, "10")

    def happen() -> None:
        broker_event_record(deal, now=at(0))

    # When the fill is recorded meanwhile
    started = time.monotonic()
    with meanwhile(happen, in_thread, after_seconds=0.3):
        assert wait(book, seconds=20) == "IB-1:2"
    # Then the answer does not wait for the next look
    assert time.monotonic() - started < 5


@pytest.mark.django_db(transaction=True)
def test_without_redis_the_wait_looks_by_itself(submitted: Submitted, in_thread: InThread, settings: Settings) -> None:
    # Given no Redis for news, neither to write nor to read
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    settings.REDIS_URL = NOBODY_LISTENS
    news._client.cache_clear()
    deal = fill(book.entry, "10")

    def happen() -> None:
        broker_event_record(deal, now=at(0))

    with meanwhile(happen, in_thread, after_seconds=0.3):
        assert wait(book, seconds=10) == "IB-1:2"


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_away_holds_nobody_up(submitted: Submitted, settings: Settings) -> None:
    book = submitted()
    settings.REDIS_URL = NOBODY_LISTENS
    news._client.cache_clear()
    events = [told(book.stop, T.PRE_SUBMITTED), told(book.entry, T.SUBMITTED), fill(book.entry, "10")]
    started = time.monotonic()
    book.hear(*events)
    assert time.monotonic() - started < 1.5
    assert book.execution.status == "OPEN"


def test_news_that_is_lost_on_the_way_turns_into_looking(submitted: Submitted) -> None:
    book = submitted()
    with news.subscription(book.execution_id) as subscription:
        assert subscription._pubsub is not None
        subscription._pubsub.connection.disconnect()
        subscription._pubsub.connection_pool.connection_kwargs["port"] = 9
        subscription._pubsub.connection.port = 9
        for _ in range(2):  # The first finds out, the second looks by itself.
            subscription.wait(seconds=0.05)
        assert subscription._pubsub is None


# The answer to the request


def test_a_market_entry_is_confirmed_when_filled_and_protected(submitted: Submitted) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    assert not execution_wait_for_answer(execution_id=book.execution_id, seconds_max=0.05)
    book.hear(fill(book.entry, "10"))
    assert execution_wait_for_answer(execution_id=book.execution_id, seconds_max=0)


def test_any_other_entry_is_confirmed_when_every_leg_is_answered(submitted: Submitted) -> None:
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED))
    assert not execution_wait_for_answer(execution_id=book.execution_id, seconds_max=0)
    book.hear(told(book.stop, T.PRE_SUBMITTED))
    assert execution_wait_for_answer(execution_id=book.execution_id, seconds_max=0)


def test_whatever_is_finished_is_confirmed(submitted: Submitted) -> None:
    book = submitted()
    book.hear(message(book.entry, 201, "no", MessageMeaning.REFUSAL), told(book.stop, T.CANCELLED))
    assert execution_wait_for_answer(execution_id=book.execution_id, seconds_max=0)
