"""The kill switch with flatten: exits first, then what is held, once; what fails is left to a person."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.accounts.models import KillSwitch
from app.accounts.services import account_ensure
from app.brokers.errors import NotConnected
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.models import Decision, Execution
from app.executions.services.close_facts import is_flattening
from app.executions.services.sweep import execution_sweep
from app.setups.models import Setup
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told
from tests.services.test_kill_switch import engage, flatten, held

pytestmark = pytest.mark.django_db
T = ToldStatus
Requested = Callable[..., Execution]
Submitted = Callable[..., Book]
MakeSetup = Callable[..., Setup]
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}


def test_flatten_cancels_the_exits_first_and_then_closes_exactly_what_is_held(
    submitted: Submitted, broker: FakeBroker
) -> None:
    # Given 10 shares with a stop and a target
    book = submitted(take_profits=[{"price": Decimal(200)}])
    held(book)
    book.hear(told(book.target, T.SUBMITTED))
    # When it is flattened
    engage(flatten=True)
    assert book.execution.flatten_requested_at == at(30)
    flatten(book, broker, seconds=31)
    # Then both exits are cancelled, and nothing is sold beside them
    assert sorted(broker.cancelled) == sorted([book.stop.order_id or 0, book.target.order_id or 0])
    assert broker.singles == []
    # And asked again at once, nothing is sent twice
    assert flatten(book, broker, seconds=32) == 0
    # And while one of them may still fill, nothing is sold either
    book.hear(told(book.target, T.CANCELLED))
    assert flatten(book, broker, seconds=33) == 0
    # And when both are over, one market order closes what is held
    book.hear(told(book.stop, T.CANCELLED))
    assert flatten(book, broker, seconds=34) == 1
    assert [(t.action, t.order_type, t.quantity) for t in broker.singles] == [("SELL", "MARKET", Decimal(10))]
    assert broker.singles[0].order_ref.endswith("-1-CLOSE")
    assert flatten(book, broker, seconds=35) == 0
    # And then it is closed
    close = book.order(Leg.CLOSE)
    book.hear(told(close, T.SUBMITTED), fill(close, "10", "189"))
    assert (book.execution.status, book.execution.exit_reason) == ("CLOSED", "CLOSE")
    assert flatten(book, broker, seconds=36) == 0


def test_what_an_exit_filled_meanwhile_is_not_closed_again(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted())
    engage(flatten=True)
    flatten(book, broker, seconds=31)
    book.hear(fill(book.stop, "4"), told(book.stop, T.CANCELLED, filled=4))
    flatten(book, broker, seconds=32)
    assert [ticket.quantity for ticket in broker.singles] == [Decimal(6)]


def test_a_stop_that_filled_leaves_nothing_to_close(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted())
    engage(flatten=True)
    book.hear(fill(book.stop, "10"))
    assert flatten(book, broker, seconds=32) == 0
    assert (broker.singles, book.execution.status) == ([], "CLOSED")


def test_an_entry_that_may_still_fill_is_cancelled_before_its_shares_are_closed(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = submitted(**LIMIT)
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "4"), told(book.stop, T.PRE_SUBMITTED))
    engage(flatten=True)
    assert flatten(book, broker, seconds=31) == 0
    book.hear(told(book.entry, T.CANCELLED, filled=4))
    assert flatten(book, broker, seconds=32) == 1
    assert broker.cancelled == [book.stop.order_id]


def test_a_refused_close_is_sent_anew_and_then_left_to_a_person(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted())
    engage(flatten=True)
    flatten(book, broker, seconds=31)
    book.hear(told(book.stop, T.CANCELLED))
    for number in range(1, 4):
        assert flatten(book, broker, seconds=31 + number) == 1
        newest = book.orders[-1]
        assert newest.order_ref.endswith("CLOSE" if number == 1 else f"CLOSE{number}")
        book.hear(told(newest, T.CANCELLED))
    assert flatten(book, broker, seconds=40) == 0
    assert "3 orders to close 10 shares failed" in book.execution.attention
    assert len(broker.singles) == 3


def test_nobody_places_a_stop_beside_a_close_until_closing_is_given_up(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = held(submitted())

    def flattening() -> bool:
        return is_flattening(book.execution, book.brackets[0])

    assert not flattening()
    engage(flatten=True)
    assert flattening()
    flatten(book, broker, seconds=31)
    book.hear(told(book.stop, T.CANCELLED))
    for number in range(1, 4):
        flatten(book, broker, seconds=31 + number)
        assert flattening()
        book.hear(told(book.orders[-1], T.CANCELLED))
    assert not flattening(), "what is held is the guard's again"


def test_a_close_whose_sending_failed_is_sent_later_and_once(submitted: Submitted, broker: FakeBroker) -> None:
    book = held(submitted())
    engage(flatten=True)
    flatten(book, broker, seconds=31)
    book.hear(told(book.stop, T.CANCELLED))
    broker.place_order_fails = NotConnected("away")
    with pytest.raises(NotConnected):
        flatten(book, broker, seconds=32)
    broker.place_order_fails = None
    assert flatten(book, broker, seconds=33) == 1
    assert [ticket.order_ref for ticket in broker.singles] == [book.order(Leg.CLOSE).order_ref]


def test_flatten_can_be_added_and_takes_no_other_accounts_position(submitted: Submitted) -> None:
    book = held(submitted())
    engage()
    assert book.execution.flatten_requested_at is None
    engage(account_ensure("DU7654321"), flatten=True, seconds=31)
    assert book.execution.flatten_requested_at is None
    engage(flatten=True, seconds=32)
    assert book.execution.flatten_requested_at == at(32)
    assert KillSwitch.objects.filter(account=None).count() == 1
    assert list(Decision.objects.filter(execution=None, account=None).values_list("action", flat=True)) == [
        "ENGAGE",
        "ENGAGE_FLATTEN",
    ]


def test_a_position_that_becomes_known_later_is_closed_by_the_sweep(submitted: Submitted) -> None:
    book = held(submitted())
    KillSwitch.objects.create(reason="news", flatten=True, engaged_at=at(5))
    execution_sweep(now=at(6))
    assert book.execution.flatten_requested_at == at(6)
