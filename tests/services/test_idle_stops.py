"""Shares whose stop does not work outside regular hours: a person is told until when."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.broker_events import FillTold, MessageMeaning, ToldStatus
from app.executions.models import Execution
from app.executions.services.record import broker_events_record
from app.executions.services.replay import execution_replay
from tests.services.book import Book
from tests.services.heard import at, fill, message, told

pytestmark = [pytest.mark.django_db, pytest.mark.case("T20")]

Submitted = Callable[..., Book]
T = ToldStatus
EVENING = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)  # Tuesday, 17:30 in New York
NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
AT_NIGHT = "ENTRY: filled outside regular hours, and its stop works in them only: no stop works until"
IGNORED = {"ignores_outside_hours": True}


def dealt(book: Book, moment: datetime, *, shares: str = "10", **changed: Any) -> FillTold:
    """The entry's deal at a moment, told a second later."""
    told_at = {"executed_at": moment, "received_at": moment + timedelta(seconds=1)}
    return fill(book.entry, shares, **(told_at | changed))


def remark(book: Book, **what: Any) -> Any:
    return message(book.stop, 9, "…", MessageMeaning.WARNING, **what)


def live(submitted: Submitted, **changed: Any) -> Book:
    book = submitted(**changed)
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED, why_held="child,trigger"))
    return book


def test_an_entry_that_is_filled_in_the_evening_has_no_stop_until_the_open(submitted: Submitted) -> None:
    # Given a bracket that is to work outside regular hours, of which the broker says that its stop does not
    book = live(submitted, outside_rth=True)
    book.hear(remark(book, **IGNORED))
    # When it is filled in the evening, in two deals
    deals = [dealt(book, EVENING + timedelta(minutes=minute), shares="5") for minute in (0, 3)]
    book.hear(*deals)
    # Then a person is told, once
    assert book.execution.attention == f"{AT_NIGHT} 2026-11-25 09:30 New York"
    assert execution_replay(book.execution_id) == []


@pytest.mark.parametrize("batched", [False, True])
def test_a_stop_that_works_outside_hours_is_none_where_the_broker_ignores_that(
    submitted: Submitted, batched: bool
) -> None:
    # Given a stop that is to work outside regular hours
    heeded, ignored = live(submitted, outside_rth=True), live(submitted, outside_rth=True)
    # When the entries are filled in the evening, and of one stop the broker said that it works in regular hours only
    heeded.hear(dealt(heeded, EVENING))
    events = [remark(ignored, **IGNORED), dealt(ignored, EVENING)]
    if batched:
        broker_events_record(events, now=at(20))
    else:
        ignored.hear(*events)
    # Then its shares have no stop until the open, and a person is told
    assert heeded.execution.attention == ""
    assert ignored.execution.attention == f"{AT_NIGHT} 2026-11-25 09:30 New York"
    assert not ignored.stop.outside_rth


@pytest.mark.parametrize(
    ("executed_at", "later"),
    [(NOON, timedelta(seconds=1)), (EVENING, timedelta(hours=17))],
    ids=["in regular hours", "told when the market was open again"],
)
def test_where_the_stop_works_nothing_is_told(submitted: Submitted, executed_at: datetime, later: timedelta) -> None:
    book = live(submitted, outside_rth=True)
    book.hear(remark(book, **IGNORED))
    book.hear(dealt(book, executed_at, received_at=executed_at + later))
    assert book.execution.attention == ""


def test_a_deal_that_seems_older_than_a_day_is_told(submitted: Submitted) -> None:
    # The broker tells the deals of a day: then its clock is not ours, and nobody knows whether the market has opened
    book = live(submitted, outside_rth=True)
    book.hear(remark(book, **IGNORED), dealt(book, EVENING, received_at=EVENING + timedelta(days=2)))
    assert book.execution.attention.startswith(AT_NIGHT)


def test_a_stop_that_is_gone_is_none_that_works_outside_hours(submitted: Submitted) -> None:
    book = live(submitted, outside_rth=True)
    book.hear(told(book.stop, T.CANCELLED), dealt(book, EVENING))
    assert f"{AT_NIGHT} 2026-11-25 09:30 New York" in book.execution.attention.splitlines()


def test_held_shares_whose_stop_turns_out_to_work_in_regular_hours_only_are_told(submitted: Submitted) -> None:
    # Given shares that were bought in the evening, and a stop of which nothing was said yet
    book = live(submitted, outside_rth=True)
    book.hear(dealt(book, EVENING))
    assert book.execution.attention == ""
    # When the broker says that it ignores the hours that were asked for
    book.hear(replace(remark(book, **IGNORED), received_at=EVENING + timedelta(seconds=2)))
    # Then a person is told until when
    assert book.execution.attention == (
        "STOP_LOSS: the broker lets it work in regular hours only: no stop works until 2026-11-25 09:30 New York"
    )


def test_what_works_in_regular_hours_only_is_not_told_in_them(submitted: Submitted) -> None:
    book = live(submitted, outside_rth=True)
    book.hear(dealt(book, NOON), replace(remark(book, **IGNORED), received_at=NOON + timedelta(seconds=2)))
    assert book.execution.attention == ""


def test_a_market_of_another_currency_is_not_judged_by_the_calendar(submitted: Submitted) -> None:
    book = live(submitted, outside_rth=True)
    Execution.objects.filter(pk=book.execution_id).update(currency="EUR")
    book.hear(remark(book, **IGNORED), dealt(book, EVENING))
    assert book.execution.attention == ""


def test_a_stop_of_held_shares_that_the_broker_keeps_back_is_told(submitted: Submitted) -> None:
    book = live(submitted)
    until = {"waits_until": "2026-11-25 09:30:00 US/Eastern"}
    book.hear(remark(book, **until))
    assert book.execution.attention == ""  # It waits for its entry all the same.
    book.hear(dealt(book, NOON), remark(book, **until))
    assert book.execution.attention == (
        "STOP_LOSS: the broker keeps it back: no stop works until 2026-11-25 09:30:00 US/Eastern"
    )


def test_a_stop_that_waits_for_the_open_after_its_trigger_is_told(submitted: Submitted) -> None:
    # Given shares behind a stop
    book = live(submitted, outside_rth=True)
    book.hear(dealt(book, NOON), told(book.stop, T.PRE_SUBMITTED, why_held="trigger"))
    assert book.execution.attention == ""
    # When its trigger is reached in the evening, and it stays where it is
    book.hear(told(book.stop, T.PRE_SUBMITTED, received_at=EVENING))
    # Then a person is told
    assert book.execution.attention == (
        "STOP_LOSS: its trigger was reached, and the broker still holds it: "
        "no stop works until 2026-11-25 09:30 New York"
    )


@pytest.mark.parametrize(
    ("before", "is_held"), [("child,trigger", True), ("trigger", False)], ids=["woken by its entry", "without shares"]
)
def test_a_stop_that_waits_for_another_reason_is_not_told(submitted: Submitted, before: str, is_held: bool) -> None:
    book = live(submitted)
    deals = [dealt(book, NOON)] if is_held else []
    book.hear(*deals, told(book.stop, T.PRE_SUBMITTED, why_held=before), told(book.stop, T.PRE_SUBMITTED))
    assert book.execution.attention == ""


def test_a_stop_that_is_triggered_and_works_is_not_told(submitted: Submitted) -> None:
    book = live(submitted)
    book.hear(dealt(book, NOON), told(book.stop, T.PRE_SUBMITTED, why_held="trigger"), told(book.stop, T.SUBMITTED))
    assert book.execution.attention == ""


def test_a_market_that_keeps_other_hours_is_not_judged_by_the_calendar(submitted: Submitted) -> None:
    # What may not work outside regular hours was filled there: then these are not its hours
    book = live(submitted)
    book.hear(dealt(book, EVENING))
    assert book.execution.attention == ""
