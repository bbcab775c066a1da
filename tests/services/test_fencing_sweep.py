"""Who was taken over in the middle of a sweep writes nothing more: each of its transactions asks for the fence."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.accounts.fencing import Fenced
from app.accounts.models import KillSwitch
from app.domain.broker_events import ToldStatus
from app.domain.command import CommandReason
from app.executions.models import Actor, Decision, Execution, OrderCommand
from app.executions.services.commands_write import change_write
from app.executions.services.sweep import execution_sweep
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told
from tests.services.test_fencing import Submitted, holding, taken_over

pytestmark = pytest.mark.django_db

T = ToldStatus


def past_its_deadline(book: Book, _broker: FakeBroker) -> None:
    book.hear(told(book.entry, T.SUBMITTED))


def entry_under_a_switch(book: Book, _broker: FakeBroker) -> None:
    book.hear(told(book.entry, T.SUBMITTED))
    Execution.objects.update(deadline_at=at(9000))
    KillSwitch.objects.create(reason="news", engaged_at=at(5))


def shares_under_a_switch(book: Book, _broker: FakeBroker) -> None:
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    KillSwitch.objects.create(reason="news", engaged_at=at(5), flatten=True)


def waits_for_an_answer(_book: Book, _broker: FakeBroker) -> None:
    Execution.objects.update(deadline_at=at(9000))


def move_that_nothing_could_send(book: Book, _broker: FakeBroker) -> None:
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.SUBMITTED))
    change = {"stop_price": Decimal("186.00")}
    moved = CommandReason.MOVED
    change_write(order=book.stop, execution=book.execution, change=change, actor=Actor.PERSON, reason=moved, now=at(20))


@pytest.mark.parametrize(
    "due",
    [past_its_deadline, entry_under_a_switch, shares_under_a_switch, waits_for_an_answer, move_that_nothing_could_send],
)
def test_an_old_holder_that_was_stopped_in_the_middle_of_a_sweep_writes_nothing_more(
    submitted: Submitted, broker: FakeBroker, due: Callable[[Book, FakeBroker], None]
) -> None:
    book = submitted(entry_timeout_seconds=30)
    due(book, broker)
    mine = holding(broker)
    newer = taken_over(broker)
    rows = (
        list(Execution.objects.values()),
        list(OrderCommand.objects.order_by("id").values()),
        Decision.objects.count(),
    )

    with pytest.raises(Fenced):
        execution_sweep(now=at(100), holding=mine)

    assert rows == (
        list(Execution.objects.values()),
        list(OrderCommand.objects.order_by("id").values()),
        Decision.objects.count(),
    )
    # And the new holder finds it due
    execution_sweep(now=at(100), holding=newer)
    assert rows[0] != list(Execution.objects.values())
