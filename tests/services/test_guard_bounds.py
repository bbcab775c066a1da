"""How often the guard tries what does not help, and what a person is told then."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.domain.broker_events import MessageMeaning, ToldStatus
from app.executions.services.guard_asks import REPAIRS_MAX
from app.executions.services.guard_watch import Watch
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import message
from tests.services.test_guard import filled, protect_of

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


def test_repairs_are_bounded_and_then_a_person_is_asked(submitted: Submitted, guard: Guard) -> None:
    # Given a broker that refuses every new stop, each for another reason
    book = submitted()
    filled(book, stop=T.CANCELLED)
    for code in range(REPAIRS_MAX + 3):
        guard.look(book, after=4)
        for order in protect_of(book):
            if order.status == "SENT":
                book.hear(message(order, code, "No.", MessageMeaning.REFUSAL))
    # Then it stopped trying
    assert len(guard.broker.singles) == REPAIRS_MAX
    assert "did not help" in book.execution.attention
    # And tries again when the minute is over
    assert guard.look(book, after=60) == 1


@pytest.mark.case("T13", "T26", "A25", "A26")
@pytest.mark.parametrize(
    ("code", "words"), [(321, "The API is read-only."), (200, "No security definition has been found.")]
)
def test_what_is_refused_alike_is_tried_ever_more_rarely_and_a_person_is_told(
    submitted: Submitted, guard: Guard, code: int, words: str
) -> None:
    # Given a broker that refuses every new stop for one reason
    book = submitted()
    filled(book, stop=T.CANCELLED)
    tried: list[float] = []
    for second in range(0, 300, 5):
        guard.look(book, after=5)
        for order in protect_of(book):
            if order.status == "SENT":
                tried.append(second)
                book.hear(message(order, code, words, MessageMeaning.REFUSAL))
    # Then two are tried at once, and each other waits longer
    assert tried == [0, 5, 35, 95, 215]
    # And each sentence says what was asked for, and what came of what was asked for before
    refs = [order.order_ref for order in protect_of(book)]
    came = f"was refused ({code}: {words})"
    asked = (
        r"tranche 1: 10 shares had no stop(?: since \d\d:\d\d:\d\d UTC)?; (\S+) was asked for at \d\d:\d\d:\d\d UTC(.*)"
    )
    sentences = book.execution.attention.splitlines()
    found = [re.fullmatch(asked, sentence) for sentence in sentences]
    assert [match.groups() for match in found if match] == [
        (ref, f", after {before} {came}" if before else "")
        for ref, before in zip(refs, [None, *refs[:-1]], strict=True)
    ]
    # And that nothing came of it, once, as soon as that is known
    assert [place for place, match in enumerate(found) if match is None] == [2]
    assert sentences[2] == (
        f"tranche 1: 10 shares have no stop: the last stop {came}, as the one before; "
        "it is tried at longer and longer intervals"
    )
    assert not re.search(r"\bplaced\b", book.execution.attention)


def test_repairs_noted_by_a_clock_that_ran_ahead_hold_none_back(submitted: Submitted, guard: Guard) -> None:
    # Given repairs that were all made while the clock was an hour ahead
    book = submitted()
    filled(book, stop=T.CANCELLED)
    now, guard.now = guard.now, guard.now + timedelta(hours=1)
    for code in range(REPAIRS_MAX):
        guard.look(book, after=4)
        for order in protect_of(book):
            if order.status == "SENT":
                book.hear(message(order, code, "No.", MessageMeaning.REFUSAL))
    guard.now = now
    guard.watch = Watch(monotonic=guard._moment)
    # Then the shares do not wait an hour for the next
    assert guard.look(book) == 1
