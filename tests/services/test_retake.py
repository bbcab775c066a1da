"""What a worker took and certainly did not send is sent by the next one, while it is still what was asked for."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from app.accounts.fencing import Fenced, Holding
from app.brokers.base import BracketTicket
from app.core import clock
from app.domain.command import CommandReason
from app.executions.models import Decision, Execution, Order
from app.executions.services.cancel import execution_cancel_request
from app.executions.services.kill_switch import kill_switch_engage
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.replay import execution_replay
from app.executions.services.retake import execution_give_back
from app.executions.services.submit import execution_submit
from tests.services.book import Book
from tests.services.fake_broker import FailAt, FakeBroker, ProcessDied

pytestmark = [pytest.mark.django_db, pytest.mark.case("T32")]

Requested = Callable[..., Execution]
LIMIT = {"entry_type": "LIMIT", "entry_price": Decimal(190)}
THREE = [{"price": Decimal(200 + number), "fraction": Decimal("0.3")} for number in range(2)]


@pytest.fixture
def dies_before_the_write_ahead(broker: FakeBroker) -> Callable[[Execution], None]:
    """Have a worker take an execution, and die before it notes that it sends."""

    def die(execution: Execution) -> None:
        def killed(_ticket: BracketTicket) -> None:
            raise ProcessDied

        broker.before_write_ahead = killed
        with pytest.raises(ProcessDied):
            execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
        broker.before_write_ahead = lambda _ticket: None

    return die


def requested_now(execution: Execution, *, seconds_ago: float = 0) -> None:
    """Have it requested so long ago; the fixtures' day begins at a moment of its own."""
    moment = clock.now() - timedelta(seconds=seconds_ago)
    Execution.objects.filter(pk=execution.pk).update(requested_at=moment, deadline_at=moment + timedelta(seconds=60))


def reconcile(broker: FakeBroker) -> None:
    execution_reconcile(broker=broker, now=clock.now(), settle_seconds=0)


def test_a_limit_entry_that_was_taken_and_not_sent_is_sent_once_by_the_next_worker(
    requested: Requested, broker: FakeBroker, dies_before_the_write_ahead: Callable[[Execution], None]
) -> None:
    # Given a worker that died between its claim and its write-ahead
    execution = requested(**LIMIT)
    dies_before_the_write_ahead(execution)
    # When the next one has reconciled
    reconcile(broker)
    execution.refresh_from_db()
    assert (execution.status, execution.claimed_at, execution.attention) == ("REQUESTED", None, "")
    assert [decision.action for decision in Decision.objects.all()] == ["GIVE_BACK"]
    # Then it sends it, once
    for _ in range(2):
        execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    assert len(broker.sent) == 1
    assert execution_replay(execution.pk) == []


@pytest.mark.parametrize(
    ("seconds_ago", "longest", "status"), [(5, 10, "REQUESTED"), (15, 10, "NOT_PLACED"), (1, 0, "NOT_PLACED")]
)
def test_a_market_entry_is_taken_anew_only_within_some_seconds(
    requested: Requested,
    broker: FakeBroker,
    settings: Settings,
    dies_before_the_write_ahead: Callable[[Execution], None],
    seconds_ago: float,
    longest: int,
    status: str,
) -> None:
    settings.MARKET_ENTRY_RETAKE_SECONDS = longest
    execution = requested()
    requested_now(execution)
    dies_before_the_write_ahead(execution)
    requested_now(execution, seconds_ago=seconds_ago)
    reconcile(broker)
    execution.refresh_from_db()
    assert execution.status == status
    assert broker.sent == []


def test_a_stop_entry_whose_trigger_may_have_been_passed_is_not_sent_later(
    requested: Requested, broker: FakeBroker, dies_before_the_write_ahead: Callable[[Execution], None]
) -> None:
    execution = requested(entry_type="STOP", entry_price=Decimal(191))
    dies_before_the_write_ahead(execution)
    Execution.objects.filter(pk=execution.pk).update(requested_at=clock.now() - timedelta(hours=3))
    reconcile(broker)
    execution.refresh_from_db()
    assert execution.status == "NOT_PLACED"


@pytest.mark.parametrize("why", ["deadline", "cancel", "kill_switch"])
def test_what_is_not_wanted_any_more_is_not_sent(
    requested: Requested,
    broker: FakeBroker,
    analyst: User,
    dies_before_the_write_ahead: Callable[[Execution], None],
    why: str,
) -> None:
    execution = requested(**LIMIT)
    dies_before_the_write_ahead(execution)
    if why == "deadline":
        Execution.objects.filter(pk=execution.pk).update(deadline_at=clock.now() - timedelta(seconds=1))
    elif why == "cancel":
        asked = CommandReason.REQUESTED
        execution_cancel_request(execution_id=execution.pk, reason=asked, user=analyst, now=clock.now())
    else:
        kill_switch_engage(account=None, user=None, reason="news", flatten=False, now=clock.now())
    reconcile(broker)
    execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    execution.refresh_from_db()
    assert (execution.status, broker.sent) == ("NOT_PLACED", [])
    # And what was given up by its own terms was not even given back
    assert why == "kill_switch" or not Decision.objects.filter(action="GIVE_BACK").exists()


def test_who_was_deposed_gives_nothing_back(
    requested: Requested, broker: FakeBroker, dies_before_the_write_ahead: Callable[[Execution], None]
) -> None:
    execution = requested(**LIMIT)
    dies_before_the_write_ahead(execution)
    left = Order.objects.filter(bracket__execution=execution).earliest("id")
    deposed = Holding(connection_id=broker.connection_id, fence=broker.fence - 1)
    with pytest.raises(Fenced):
        execution_give_back(order=left, holding=deposed, now=clock.now())
    execution.refresh_from_db()
    assert execution.claimed_at is not None


def test_a_worker_that_waits_for_its_turn_and_the_next_one_send_it_once(
    requested: Requested, broker: FakeBroker
) -> None:
    # Given a worker that waits for its turn while the execution is given back, and taken by another task
    execution = requested(**LIMIT)

    def meanwhile(_ticket: BracketTicket) -> None:
        broker.before_write_ahead = lambda _again: None
        reconcile(broker)
        assert Execution.objects.get(pk=execution.pk).status == "REQUESTED"
        broker._lock.release()  # The turn of this one has not come yet.
        execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
        broker._lock.acquire()

    broker.before_write_ahead = meanwhile
    execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    # Then one of the two sends it
    assert len(broker.sent) == 1
    assert {order.status for order in Book(execution.pk).orders} == {"SENT"}


def test_an_execution_of_which_a_part_was_sent_says_what_is_left_out(requested: Requested, broker: FakeBroker) -> None:
    # Given three tranches, and a death before the third one's write-ahead
    execution = requested(**LIMIT, take_profits=THREE)
    broker.fail_at = {3: FailAt.BEFORE_WRITE_AHEAD}
    execution_submit(execution_id=execution.pk, broker=broker, now=clock.now())
    sent = Order.objects.filter(sent_at__isnull=False, leg="ENTRY")
    assert sent.count() == 2
    # When the next worker has reconciled
    reconcile(broker)
    # Then nothing more is sent, and a person reads what is missing
    assert len(broker.sent) == 2
    told = [line for line in Book(execution.pk).execution.attention.splitlines() if "were not placed" in line]
    (only,) = told
    assert only == (
        "tranche 3: 4 of 10 shares were not placed, because the worker stopped before them; "
        "to buy or sell them too, duplicate the setup with that quantity"
    )
