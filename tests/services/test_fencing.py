"""Who has been taken over writes and sends nothing more; who takes over may end a holder that shows no life."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from app.accounts.fencing import (
    Fenced,
    HolderSeen,
    Holding,
    fence_raise,
    fence_require,
    holder_depose,
    process_end,
    process_identity,
)
from app.accounts.models import BrokerConnection, Position
from app.accounts.services import connection_heartbeat, connection_state_record
from app.brokers.base import ConnectionState
from app.domain.broker_events import ToldStatus
from app.domain.terms import Leg
from app.executions.models import Actor, BrokerEvent, Decision, Execution, Order, OrderCommand
from app.executions.services.acts_send import acts_send
from app.executions.services.apply import broker_event_record
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.flatten import (
    POSITION_IN_DOUBT,
    execution_flatten_request,
    execution_flatten_send,
    flatten_wait_tell,
)
from app.executions.services.guard import guard_look
from app.executions.services.guard_watch import Watch
from app.executions.services.positions import positions_settle
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.resolve import execution_resolve
from app.executions.services.resolve_facts import Act, Asked
from app.executions.services.submit import execution_submit
from app.worker.holder import Holder
from tests.eventually import eventually
from tests.services.book import Book
from tests.services.fake_broker import FakeBroker
from tests.services.heard import at, fill, told
from tests.services.world import World, stop_gone

pytestmark = pytest.mark.django_db

Submitted = Callable[..., Book]
T = ToldStatus


def taken_over(broker: FakeBroker) -> Holding:
    """Another worker raises the fence; the broker of the test keeps its old one."""
    return fence_raise(connection_id=broker.connection_id, name="another", process="", now=at(5))


def holding(broker: FakeBroker) -> Holding:
    return Holding(connection_id=broker.connection_id, fence=broker.fence)


def test_each_new_holder_raises_the_fence(broker: FakeBroker) -> None:
    first, second = taken_over(broker), taken_over(broker)
    assert second.fence == first.fence + 1
    fence_require(second)
    with pytest.raises(Fenced):
        fence_require(first)


def test_an_old_holder_takes_nothing(requested: Callable[..., Execution], broker: FakeBroker) -> None:
    execution = requested()
    taken_over(broker)

    with pytest.raises(Fenced):
        execution_submit(execution_id=execution.pk, broker=broker, now=at(6))

    execution.refresh_from_db()
    assert (execution.status, execution.claimed_at, broker.sent) == ("REQUESTED", None, [])


def test_a_holder_that_is_taken_over_after_its_claim_sends_and_writes_nothing_and_leaves_the_row_to_the_new_one(
    requested: Callable[..., Execution], broker: FakeBroker
) -> None:
    execution = requested()
    broker.before_write_ahead = lambda _ticket: taken_over(broker) and None

    with pytest.raises(Fenced):
        execution_submit(execution_id=execution.pk, broker=broker, now=at(6))

    execution.refresh_from_db()
    assert (execution.status, broker.sent) == ("SUBMITTING", [])
    assert set(Order.objects.values_list("status", flat=True)) == {"CREATED"}
    assert BrokerConnection.objects.get(pk=broker.connection_id).order_id_floor == 0


def test_a_holder_that_is_taken_over_while_it_waits_for_the_row_claims_nothing(
    requested: Callable[..., Execution], broker: FakeBroker
) -> None:
    execution = requested()

    def taken_over_meanwhile(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if sql.startswith("SELECT") and "FOR NO KEY UPDATE" in sql and not newer:
            newer.append(taken_over(broker))
        return execute(sql, *rest)

    newer: list[Holding] = []
    with connection.execute_wrapper(taken_over_meanwhile), pytest.raises(Fenced):
        execution_submit(execution_id=execution.pk, broker=broker, now=at(6))

    execution.refresh_from_db()
    assert (newer != [], execution.status, execution.claimed_at, broker.sent) == (True, "REQUESTED", None, [])


def test_a_holder_that_was_held_up_after_its_write_ahead_sends_once(
    requested: Callable[..., Execution], broker: FakeBroker
) -> None:
    execution = requested()
    broker.held_up = lambda: None

    reference = execution_submit(execution_id=execution.pk, broker=broker, now=at(6))

    assert reference
    assert len(broker.sent) == 1
    assert set(Order.objects.values_list("status", flat=True)) == {"SENT"}


def test_a_holder_that_is_taken_over_after_its_write_ahead_sends_nothing_and_leaves_the_row_to_the_new_one(
    requested: Callable[..., Execution], broker: FakeBroker
) -> None:
    execution = requested()
    broker.held_up = lambda: taken_over(broker)

    with pytest.raises(Fenced):
        execution_submit(execution_id=execution.pk, broker=broker, now=at(6))

    execution.refresh_from_db()
    assert (execution.status, broker.sent) == ("SUBMITTING", [])
    assert set(Order.objects.values_list("status", flat=True)) == {"SENT"}


def test_a_guard_that_is_taken_over_after_its_write_ahead_sends_nothing(
    submitted: Submitted, broker: FakeBroker
) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.CANCELLED))
    watch = Watch()
    broker.held_up = lambda: taken_over(broker)

    guard_look(execution_ids=[book.execution_id], broker=broker, watch=watch, now=at(30))

    assert broker.singles == []
    assert [order.status for order in book.orders if order.leg == "PROTECT"] == ["SENT"]


def test_an_old_holder_writes_down_nothing_that_closes_a_position(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"), told(book.stop, T.CANCELLED))
    execution_flatten_request(execution_id=book.execution_id, actor=Actor.PERSON, user=None, reason="", now=at(30))
    taken_over(broker)

    with pytest.raises(Fenced):
        execution_flatten_send(execution_id=book.execution_id, broker=broker, now=at(31))

    assert [order.leg for order in book.orders] == ["ENTRY", "STOP_LOSS"]


def test_an_old_holder_tells_nobody_that_a_close_waits(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED), fill(book.entry, "10"))
    mine = holding(broker)
    taken_over(broker)

    with pytest.raises(Fenced):
        flatten_wait_tell(execution_id=book.execution_id, reason=POSITION_IN_DOUBT, holding=mine)

    assert (book.execution.attention, book.execution.flags.count()) == ("", 0)


def test_an_old_holder_asks_for_no_cancel(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    mine = holding(broker)
    taken_over(broker)

    with pytest.raises(Fenced):
        execution_cancel_request(execution_id=book.execution_id, reason="stop_lost", holding=mine, now=at(30))

    assert (book.execution.cancel_requested_at, OrderCommand.objects.filter(kind="CANCEL").count()) == (None, 0)


def test_an_old_holder_gives_up_nothing_that_a_person_asked_for(held: Book, world: World) -> None:
    # Given a stop that a person asked for, and shares that somebody has sold since
    stop_gone(held, world.broker)
    world.reconcile()
    asked = Asked(act=Act.PROTECT, stop_price=Decimal(184))
    execution_resolve(execution_id=held.execution_id, asked=asked, user=None, now=at(world.seconds))
    world.deal_of_others(-10)
    world.holds(0)
    taken_over(world.broker)
    flags = held.execution.flags.count()

    with pytest.raises(Fenced):
        acts_send(execution_id=held.execution_id, broker=world.broker, now=at(world.seconds + 1))

    assert (held.order(Leg.PROTECT).status, held.execution.flags.count()) == ("CREATED", flags)


def test_an_old_holder_notes_nothing_of_what_the_account_holds(broker: FakeBroker, world: World) -> None:
    account = BrokerConnection.objects.get(pk=broker.connection_id).account
    world.holds(7)
    mine = holding(broker)
    taken_over(broker)

    with pytest.raises(Fenced):
        positions_settle(account=account, positions=broker.positions_book, holding=mine, now=at(20))

    assert not Position.objects.exists()


def test_an_old_holder_notes_no_cancel(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(told(book.entry, T.SUBMITTED))
    execution_cancel_request(execution_id=book.execution_id, reason="requested", now=at(30))
    taken_over(broker)

    with pytest.raises(Fenced):
        execution_cancel_send(execution_id=book.execution_id, broker=broker, now=at(31))

    assert (OrderCommand.objects.get(kind="CANCEL").sent_at, broker.cancelled) == (None, [])


def test_an_old_holders_events_are_not_recorded(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    mine = holding(broker)
    broker_event_record(told(book.entry, T.SUBMITTED), now=at(6), holding=mine)
    taken_over(broker)
    before = BrokerEvent.objects.count()

    with pytest.raises(Fenced):
        broker_event_record(told(book.entry, T.CANCELLED), now=at(7), holding=mine)

    assert (BrokerEvent.objects.count(), book.entry.status) == (before, "WORKING")


def test_an_old_holder_concludes_nothing_from_its_answers(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    broker.during_questions = lambda: taken_over(broker) and None

    with pytest.raises(Fenced):
        execution_reconcile(broker=broker, now=at(100), settle_seconds=0)

    assert book.statuses == ["SENT", "SENT"]


def test_an_old_holders_guard_writes_and_sends_nothing(submitted: Submitted, broker: FakeBroker) -> None:
    book = submitted()
    book.hear(told(book.stop, T.PRE_SUBMITTED), fill(book.entry, "10"), told(book.stop, T.CANCELLED))
    taken_over(broker)

    look = guard_look(execution_ids=[book.execution_id], broker=broker, watch=Watch(), now=at(30))

    assert (look.repaired, broker.singles, Decision.objects.count()) == (0, [], 0)
    assert not Order.objects.filter(leg="PROTECT").exists()


def test_an_old_holder_does_not_write_over_the_new_ones_state(broker: FakeBroker) -> None:
    new = taken_over(broker)
    state = {"connection_id": broker.connection_id, "reason": "", "now": at(6)}
    connection_state_record(state=ConnectionState.READY, fence=new.fence, **state)

    connection_state_record(state=ConnectionState.DISCONNECTED, fence=broker.fence, **state)

    row = BrokerConnection.objects.get(pk=broker.connection_id)
    assert row.state == "READY"
    assert not connection_heartbeat(connection_id=row.pk, now=at(7), fence=broker.fence)
    assert connection_heartbeat(connection_id=row.pk, now=at(7), fence=new.fence)


def test_the_check_costs_one_query_with_each_event_and_none_with_a_write_ahead(
    submitted: Submitted,
    requested: Callable[..., Execution],
    broker: FakeBroker,
    django_assert_num_queries: Callable[[int], object],
) -> None:
    book = submitted()
    with django_assert_num_queries(1):
        fence_require(holding(broker))
    execution = requested()
    with connection.execute_wrapper(count := Count()):
        execution_submit(execution_id=execution.pk, broker=broker, now=at(6))
    assert count.of('FROM "accounts_brokerconnection"') == 3  # For the claim, for the floor, under the lock.
    assert book.entry.status == "SENT"


class Count:
    """Counts queries by a part of their text."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: Callable[..., object], sql: str, *rest: object) -> object:
        self.seen.append(sql)
        return execute(sql, *rest)

    def of(self, part: str) -> int:
        return sum(part in sql for sql in self.seen)


# Ending a holder that shows no life


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def identity_of(pid: int, *, started: str = "") -> str:
    boot, namespace, _pid, _started = process_identity().split(" ")
    started = started or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{boot} {namespace} {pid} {started}"


def test_a_silent_holder_on_this_machine_is_killed(sleeper: "subprocess.Popen[bytes]") -> None:
    assert process_end(identity_of(sleeper.pid))
    assert sleeper.wait(timeout=5) == -9
    assert process_end(identity_of(sleeper.pid, started="1"))  # Gone already.


def test_only_the_very_process_on_this_very_machine_is_killed(sleeper: "subprocess.Popen[bytes]") -> None:
    assert process_end(identity_of(sleeper.pid, started="1"))  # Its number is another process's now: it is gone.
    assert not process_end("another-boot " + identity_of(sleeper.pid).split(" ", 1)[1])
    assert not process_end("")
    assert not process_end(process_identity())
    assert sleeper.poll() is None


def test_the_database_sessions_of_a_silent_holder_are_ended_and_no_others(transactional_db: None) -> None:
    parameters = {**connection.get_connection_params(), "autocommit": True}
    parameters.pop("cursor_factory", None)
    old = psycopg.connect(**parameters | {"application_name": "old holder"})
    other = psycopg.connect(**parameters | {"application_name": "another"})
    with old, other:
        holder_depose(HolderSeen(connection_id=0, fence=1, name="old holder", process="", heartbeat_at=None))

        with pytest.raises(psycopg.OperationalError):
            old.execute("SELECT 1")
        assert other.execute("SELECT 1").fetchone() == (1,)


def holder(silent_seconds: float, name: str) -> Holder:
    return Holder(
        account_id="DU1234567",
        client_id=1,
        session_name=name,
        silent_seconds=silent_seconds,
        on_change=lambda _holding, *, is_holder: None,
    )


def test_a_stand_by_takes_over_from_a_holder_that_shows_no_life(transactional_db: None, broker: FakeBroker) -> None:
    old, new = holder(0.2, "old"), holder(0.2, "new")
    assert old.try_acquire()
    old.hold(broker.connection_id)
    BrokerConnection.objects.update(holder_process="")  # On another machine: it cannot be killed.
    assert not new.try_acquire()
    assert new.standing_by
    assert not new.depose_if_silent()
    connection_heartbeat(connection_id=broker.connection_id, now=at(50), fence=old.fence)
    assert not new.depose_if_silent()  # It has shown life since.

    eventually(new.depose_if_silent)

    eventually(new.try_acquire)
    new.hold(broker.connection_id)
    with pytest.raises(Fenced):
        old.require()
    new.check()
    new.release()
    old.release()
