"""The guard at work: real IBBroker, real simulator over TCP, real database, and every behaviour of IB's children."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from app.core import clock
from app.executions.models import Decision, Execution, Order
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.submit import execution_submit
from app.executions.services.ticket import contract_of, order_ticket
from app.worker.event_recorder import EventRecorder
from app.worker.guard_thread import GuardThread
from ib_simulator.process import SimulatorProcess
from tests.eventually import eventually
from tests.worker.test_broker_thread import Worker, analyst, requested, simulator  # noqa: F401 - Fixtures, by name.

pytestmark = pytest.mark.django_db(transaction=True)


class GuardedWorker(Worker):
    """A worker that guards what it placed."""

    def make_recorder(self) -> EventRecorder:
        return EventRecorder(on_changed=lambda execution_id, _event: self.guard.wake(execution_id))

    def start(self) -> None:
        thread = self.thread
        self.guard = GuardThread(broker=thread, state=lambda: thread.state, on_unknown=thread.reconcile_soon)
        super().start()
        self.guard.start()

    def stop(self) -> None:
        self.guard.stop(seconds_max=5)
        super().stop()


@pytest.fixture
def worker(simulator: SimulatorProcess) -> Iterator[GuardedWorker]:  # noqa: F811
    started = GuardedWorker(port=simulator.port)
    started.start()
    started.ready()
    yield started
    started.stop()


def live_stops(peer: SimulatorProcess) -> list[dict[str, Any]]:
    return [order for order in peer.control.orders() if order["live"] and order["order_type"] == "STP"]


def stopped(peer: SimulatorProcess) -> Decimal:
    return sum((Decimal(order["remaining"]) for order in live_stops(peer)), Decimal(0))


def position(peer: SimulatorProcess) -> Decimal:
    return sum((Decimal(held["quantity"]) for held in peer.control.state()["positions"]), Decimal(0))


def placed(user: User, on: GuardedWorker, **changes: Any) -> Execution:
    execution = requested(user, **changes)
    execution_submit(execution_id=execution.pk, broker=on.thread, now=clock.now())
    return execution


def order_ref(execution: Execution, leg: str) -> str:
    return f"{execution.key}-1-{leg}"


@pytest.mark.parametrize("activate", ["on_partial", "on_full"])
@pytest.mark.parametrize("after_cancel", ["keep_filled", "keep_full", "cancel"])
def test_thirty_of_a_hundred_are_stopped_once_however_the_children_behave(
    activate: str,
    after_cancel: str,
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
) -> None:
    # Given an entry of which 30 of 100 are filled
    simulator.control.set_switch("children_activate", activate)
    simulator.control.set_switch("children_after_partial_cancel", after_cancel)
    execution = placed(analyst, worker, entry_type="LIMIT", entry_price=Decimal(188), quantity=Decimal(100))
    eventually(lambda: simulator.control.orders()[1:])
    simulator.control.fill(order_ref=order_ref(execution, "ENTRY"), quantity=30)
    filled_at = time.monotonic()
    # When the rest is cancelled
    if activate == "on_partial":
        eventually(lambda: stopped(simulator))
        execution_cancel_request(execution_id=execution.pk, reason="requested", now=clock.now())
        execution_cancel_send(execution_id=execution.pk, broker=worker.thread, now=clock.now())
    seen: list[int] = []

    def settled() -> bool:
        seen.append(len(live_stops(simulator)))
        entry = simulator.control.orders()[0]
        return entry["status"] == "Cancelled" and stopped(simulator) == position(simulator) == 30

    eventually(settled)
    print(f"{activate}, {after_cancel}: 30 shares under one stop {time.monotonic() - filled_at:.2f} s after the fill")
    # Then one stop covers them, and never were there two
    assert max(seen) <= 1
    assert len(live_stops(simulator)) == 1
    # And it closes the position, no more
    simulator.control.set_price("AAPL", "184.00")
    eventually(lambda: position(simulator) == 0)
    assert not live_stops(simulator)


def test_a_stop_of_ours_that_the_gateway_refused_for_too_many_messages_is_placed_again(
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given a Gateway that takes one message a second, and two positions whose stops are cancelled
    executions = [placed(analyst, worker) for _ in range(2)]
    eventually(lambda: stopped(simulator) == 20)
    simulator.control.set_limit("messages_per_second", 1)
    simulator.control.set_switch("pacing", "reject")
    for execution in executions:
        simulator.control.cancel_order(order_ref=order_ref(execution, "STOP_LOSS"))
    # When it has refused one of the new stops, or a question before it, and says only that it refused something
    eventually(lambda: "'code': 100" in caplog.text)
    simulator.control.set_switch("pacing", "off")
    # Then what was refused is found not to be there, and each position has one stop
    eventually(lambda: stopped(simulator) == 20)
    protects = Order.objects.filter(leg="PROTECT").order_by("status").values_list("status", flat=True)
    eventually(lambda: list(protects.all())[:2] == ["HELD", "HELD"] and set(protects.all()[2:]) <= {"NOT_PLACED"})


def test_a_stop_cancelled_by_hand_is_replaced(
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
) -> None:
    execution = placed(analyst, worker)
    eventually(lambda: stopped(simulator) == 10)
    simulator.control.cancel_order(order_ref=order_ref(execution, "STOP_LOSS"))
    eventually(lambda: [order["order_ref"] for order in live_stops(simulator)] == [order_ref(execution, "PROTECT")])
    assert stopped(simulator) == 10
    eventually(lambda: Decision.objects.filter(action="PLACE_STOP", order__status="HELD").exists())


def test_a_price_that_runs_through_target_and_replaced_stop_closes_once(
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
) -> None:
    # Given a position with a target whose stop was cancelled by hand and replaced
    execution = placed(analyst, worker, target="195")
    eventually(lambda: stopped(simulator) == 10)
    simulator.control.cancel_order(order_ref=order_ref(execution, "STOP_LOSS"))
    eventually(lambda: [order["order_ref"] for order in live_stops(simulator)] == [order_ref(execution, "PROTECT")])
    eventually(lambda: len([order for order in simulator.control.orders() if order["live"]]) == 1)
    # When nobody is there, and the price runs through both
    simulator.control.refuse_connections()
    simulator.control.drop_connections()
    simulator.control.set_price("AAPL", "196.00")
    simulator.control.set_price("AAPL", "180.00")
    # Then the shares were sold once
    assert position(simulator) == 0
    simulator.control.accept_connections()
    eventually(lambda: Execution.objects.get(pk=execution.pk).status == "CLOSED", seconds_max=30)


def test_a_stop_that_is_refused_is_replaced(
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
) -> None:
    simulator.control.reject_next(code=201, text="Order rejected - reason:Not today.", order_type="STP")
    execution = placed(analyst, worker)
    eventually(lambda: [order["order_ref"] for order in live_stops(simulator)] == [order_ref(execution, "PROTECT")])
    assert stopped(simulator) == position(simulator) == 10


def test_a_stop_lost_while_the_line_was_cut_is_replaced_after_the_reconnect(
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
) -> None:
    execution = placed(analyst, worker)
    eventually(lambda: stopped(simulator) == 10)
    simulator.control.refuse_connections()
    simulator.control.drop_connections()
    simulator.control.cancel_order(order_ref=order_ref(execution, "STOP_LOSS"))
    simulator.control.accept_connections()
    eventually(lambda: stopped(simulator) == 10, seconds_max=30)
    assert [order["order_ref"] for order in live_stops(simulator)] == [order_ref(execution, "PROTECT")]


def test_a_stop_that_somebody_shrank_is_made_up_for(
    worker: GuardedWorker,
    simulator: SimulatorProcess,  # noqa: F811
    analyst: User,  # noqa: F811
) -> None:
    execution = placed(analyst, worker)
    eventually(lambda: stopped(simulator) == 10)
    stop = execution.brackets.get().orders.get(leg="STOP_LOSS")
    stop.quantity = Decimal(6)
    worker.thread.modify_order(order_id=stop.order_id or 0, contract=contract_of(execution), ticket=order_ticket(stop))
    eventually(lambda: len(live_stops(simulator)) == 2 and stopped(simulator) == 10)
