"""A flag is over when what it says is true no more, or, where it tells of something past, when somebody has seen it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from app.alerts.models import Alert
from app.core import clock
from app.domain.broker_events import MessageMeaning, ToldStatus
from app.domain.reasons import COMES_BACK, FLAGS, LASTING, FlagCode
from app.executions.models import ExecutionFlag
from app.executions.services.attention import attention_add, execution_seen
from app.executions.services.attention_alerts import attention_alerts_follow
from app.executions.services.flags_resolve import flags_resolve
from app.executions.services.overdue import TELL_PERSON_AFTER, overdue_find, overdue_tell
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import at, fill, message, told

pytestmark = pytest.mark.django_db
Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


def bare(book: Book) -> None:
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"))
    book.hear(told(book.stop, T.CANCELLED))


def flag(book: Book, text: str, code: FlagCode) -> None:
    execution = book.execution
    attention_add(execution, text, code=code)
    execution.save(update_fields=["attention"])


def flags(book: Book) -> list[tuple[str, str, bool]]:
    """Code, how it was resolved, and whether it was seen."""
    found = ExecutionFlag.objects.filter(execution=book.execution_id).order_by("id")
    return [(one.code, one.resolved_how, one.seen_at is not None) for one in found]


def test_that_a_stop_was_gone_is_over_when_the_shares_are_covered_again(submitted: Submitted, guard: Guard) -> None:
    # Given a stop that the guard replaces
    book = submitted()
    bare(book)
    guard.look(book)
    assert flags_resolve(now=at(30)) == 0
    # When the new one works
    (protect,) = [order for order in book.orders if order.leg == "PROTECT"]
    book.hear(told(protect, T.PRE_SUBMITTED))
    assert flags_resolve(now=at(31)) == 1
    # Then it is over, with the moment; and a person is still to know of it
    (over,) = ExecutionFlag.objects.filter(execution=book.execution_id)
    assert (over.code, over.raised_by, over.resolved_how, over.resolved_at) == ("stop_gone", "GUARD", "covered", at(31))
    assert book.execution.attention == over.sentence


def test_what_is_past_is_over_when_it_is_seen_and_what_lasts_is_not(submitted: Submitted, analyst: User) -> None:
    book = submitted()
    bare(book)
    book.hear(message(book.entry, 9999, "what is this?", MessageMeaning.UNKNOWN))
    flag(book, "tranche 1: 10 shares have no stop", FlagCode.GUARD_ASKS)
    execution_seen(execution_id=book.execution_id, through=None, user=analyst, now=at(40))
    assert flags(book) == [("unknown_code", "seen", True), ("guard_asks", "", True)]
    assert book.execution.attention == ""
    # Until it is over by itself
    book.hear(fill(book.stop, "10", "185"))
    flags_resolve(now=at(50))
    assert flags(book)[1] == ("guard_asks", "execution_over", True)


def test_what_comes_back_after_it_was_over_is_another_flag_and_another_alert(
    submitted: Submitted, guard: Guard, analyst: User
) -> None:
    # Given a question of the guard's that was seen, and settled
    book, asked = submitted(), "tranche 1: 10 shares have no stop"
    bare(book)
    flag(book, asked, FlagCode.GUARD_ASKS)
    attention_alerts_follow(now=clock.now())
    execution_seen(execution_id=book.execution_id, through=None, user=analyst, now=clock.now())
    # Found again while it lasts, nothing is raised
    flag(book, asked, FlagCode.GUARD_ASKS)
    assert book.execution.attention == ""
    ExecutionFlag.objects.update(resolved_at=clock.now(), resolved_how="covered")
    # When it is asked again, then it is raised and told again
    flag(book, asked, FlagCode.GUARD_ASKS)
    attention_alerts_follow(now=clock.now())
    assert flags(book) == [("guard_asks", "covered", True), ("guard_asks", "", False)]
    assert book.execution.attention == asked
    assert [alert.is_open for alert in Alert.objects.order_by("id")] == [False, True]


def test_that_an_answer_was_overdue_is_over_when_it_came(submitted: Submitted) -> None:
    book = submitted()
    late = at(0) + TELL_PERSON_AFTER + timedelta(seconds=1)
    overdue_tell(overdue_find(now=late), now=late)
    assert flags(book) == [("unanswered", "", False)] * 2
    flags_resolve(now=late)
    assert {how for _code, how, _seen in flags(book)} == {""}
    book.hear(told(book.entry, T.SUBMITTED), told(book.stop, T.PRE_SUBMITTED))
    assert flags_resolve(now=late) == 2
    assert {how for _code, how, _seen in flags(book)} == {"answered"}


def test_only_what_lasts_can_come_back() -> None:
    assert COMES_BACK < LASTING < set(FLAGS)


# However many there are


@pytest.mark.parametrize("length", [1, 2])
def test_every_flagged_execution_is_told_and_every_flag_resolved(
    submitted: Submitted, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    # Given more flagged executions than are read at a time
    monkeypatch.setattr("app.executions.services.attention_alerts.BATCH_LENGTH", length)
    monkeypatch.setattr("app.executions.services.flags_resolve.BATCH_LENGTH", length)
    books = [submitted() for _ in range(3)]
    for book in books:
        flag(book, "tranche 1: 10 shares have no stop", FlagCode.GUARD_ASKS)
        flag(book, "an odd thing", FlagCode.UNEXPECTED)
    attention_alerts_follow(now=clock.now())
    assert set(Alert.objects.values_list("execution_id", flat=True)) == {book.execution_id for book in books}
    # And what is over is resolved for each of them
    assert flags_resolve(now=at(30)) == 3


def test_whoever_waits_is_told_in_the_end(submitted: Submitted, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more orders without an answer than are told at a time
    monkeypatch.setattr("app.executions.services.overdue.BATCH_MAX", 2)
    books = [submitted() for _ in range(3)]
    late = clock.now() + TELL_PERSON_AFTER + timedelta(seconds=1)
    for _ in range(3):
        overdue_tell(overdue_find(now=late), now=late)
    assert [len(flags(book)) for book in books] == [2, 2, 2]
    # And none of them is taken for answered
    assert flags_resolve(now=late) == 0
