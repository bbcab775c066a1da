"""Brackets that stand as they stood need no new judgement; whatever changes of one is judged at the next look."""

from collections.abc import Iterable

import pytest

from app.domain.broker_events import ToldStatus
from app.domain.protection import LegFacts, Protection
from app.executions.models import Order
from app.executions.services import guard as guard_module
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.guard_at import Guard
from tests.services.heard import told
from tests.services.test_guard import filled, protect_of
from tests.services.test_guard_asks_once import Submitted

pytestmark = pytest.mark.django_db


@pytest.fixture
def guard(broker: FakeBroker) -> Guard:
    return Guard(broker)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how many orders each judgement was made of."""
    counts: list[int] = []
    assess = guard_module.assess

    def counting(legs: Iterable[LegFacts]) -> Protection:
        facts = list(legs)
        counts.append(len(facts))
        return assess(facts)

    monkeypatch.setattr(guard_module, "assess", counting)
    return counts


def covered(submitted: Submitted, *, count: int) -> list[Book]:
    books = [submitted() for _ in range(count)]
    for book in books:
        filled(book, stop=ToldStatus.SUBMITTED)
    return books


def test_a_bracket_that_stands_as_it_stood_is_judged_once(
    submitted: Submitted, guard: Guard, judged: list[int]
) -> None:
    books = covered(submitted, count=3)
    assert [guard.look(*books, after=1) for _ in range(4)] == [0, 0, 0, 0]
    assert len(judged) == 3


def test_a_stop_that_goes_after_many_quiet_looks_is_replaced_at_the_next(
    submitted: Submitted, guard: Guard, judged: list[int]
) -> None:
    books = covered(submitted, count=3)
    guard.look(*books)
    guard.look(*books, after=1)
    books[1].hear(told(books[1].stop, ToldStatus.CANCELLED))
    assert guard.look(*books, after=1) == 1
    assert [len(protect_of(book)) for book in books] == [0, 1, 0]


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "INACTIVE"},
        {"quantity": 4},
        {"why_held": "child"},
        {"told_filled": 10},
        {"refusal_suspected": True},
        {"status": "REJECTED"},
    ],
    ids="-".join,
)
def test_whatever_the_judgement_is_made_by_is_looked_at_anew(
    submitted: Submitted, guard: Guard, judged: list[int], changed: dict[str, object]
) -> None:
    (book,) = covered(submitted, count=1)
    guard.look(book)
    guard.look(book, after=1)
    assert len(judged) == 1
    Order.objects.filter(bracket__execution=book.execution_id, leg="STOP_LOSS").update(**changed)
    guard.look(book, after=1)
    assert len(judged) > 1


def test_a_need_that_went_and_came_again_is_as_young_as_its_last_coming(submitted: Submitted, guard: Guard) -> None:
    # Given a stop that would close more than is held: it is cut once that has been so for a moment
    (book,) = covered(submitted, count=1)
    stop = Order.objects.filter(bracket__execution=book.execution_id, leg="STOP_LOSS")
    size = stop.get().quantity
    guard.look(book)
    stop.update(quantity=size + 1)
    assert guard.look(book, after=1) == 0
    stop.update(quantity=size)
    assert guard.look(book, after=5) == 0
    stop.update(quantity=size + 1)
    assert guard.look(book, after=5) == 0
    assert guard.look(book, after=1) == 1
