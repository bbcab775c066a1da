"""The worker's connection in one process: real IBBroker, real simulator over TCP, real database."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial

import pytest
from django.contrib.auth.models import User

from app.accounts.fencing import fence_raise
from app.accounts.models import Account, BrokerConnection
from app.accounts.services import account_ensure
from app.brokers.base import ConnectionState
from app.brokers.errors import NotConnected
from app.brokers.factory import get_broker
from app.brokers.ib import IBSettings
from app.core import clock
from app.domain.broker_events import ToldStatus
from app.domain.execution_status import ExecutionStatus
from app.executions import selectors
from app.executions.models import BrokerEvent, Commission, Execution, Fill, Order
from app.executions.services.cancel import execution_cancel_request, execution_cancel_send
from app.executions.services.request import execution_request
from app.executions.services.submit import execution_submit
from app.executions.services.wait import execution_wait_for_fill
from app.market.models import Instrument
from app.setups.models import Setup
from app.worker import broker_calls
from app.worker.broker_thread import BrokerThread
from app.worker.event_recorder import EventRecorder
from app.worker.loop_thread import with_own_connection
from ib_simulator.process import SimulatorProcess, running_simulator
from tests.broker_proxy import BrokerProxy
from tests.eventually import eventually
from tests.services.heard import told

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNT = "DU1234567"
CLIENT_ID = 1


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with running_simulator(seed=7, accounts=[ACCOUNT], tick_seconds=0) as started:
        started.control.set_price("AAPL", "190.00")
        yield started


class Worker:
    """What a broker worker process holds, and what it does on request."""

    def __init__(self, *, port: int, client_id: int = CLIENT_ID, **limits: float) -> None:
        fixed = {"port": port, "client_id": client_id, "account": ACCOUNT, "reconnect_pause_seconds": 0.1}
        ib = IBSettings(**(fixed | limits))  # type: ignore[arg-type]
        self.changed: list[int] = []
        self.recorder = self.make_recorder()
        self.thread = BrokerThread(
            make_broker=partial(get_broker, ib, broker_type="ib"),
            recorder=self.recorder,
            account_id=ACCOUNT,
            client_id=client_id,
        )

    def make_recorder(self) -> EventRecorder:
        return EventRecorder(on_changed=lambda execution_id, _event: self.changed.append(execution_id))

    def start(self) -> None:
        self.recorder.start()
        self.thread.start()

    def ready(self) -> "Worker":
        eventually(lambda: self.thread.state is ConnectionState.READY)
        return self

    def stop(self) -> None:
        self.thread.stop(seconds_max=5)
        self.recorder.stop(seconds_max=5)


@pytest.fixture
def worker(simulator: SimulatorProcess) -> Iterator[Worker]:
    started = Worker(port=simulator.port)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def analyst() -> User:
    return User.objects.create_user("analyst")


def requested(analyst: User, *, target: str = "", **changes: object) -> Execution:
    account = account_ensure(ACCOUNT)
    now = clock.now()
    Instrument.objects.get_or_create(
        symbol="AAPL",
        defaults={
            "con_id": 265598,
            "price_increments": [{"low_edge": "0", "increment": "0.01"}],
            "last_price": Decimal(190),
            "last_price_at": now,
            "looked_up_at": now,
        },
    )
    values = {
        "symbol": "AAPL",
        "side": "LONG",
        "entry_type": "MARKET",
        "stop_price": Decimal(185),
        "quantity": Decimal(10),
    }
    setup = Setup.objects.create(owner=analyst, account=account, **(values | changes))
    if target:
        setup.take_profits.create(position=1, price=Decimal(target))
    execution, _ = execution_request(setup=setup, user=analyst, idempotency_key=str(uuid.uuid4()), body={}, now=now)
    return execution


def legs(execution: Execution) -> dict[str, Order]:
    return {order.leg: order for order in selectors.orders_of(selectors.execution_read(execution.pk))}


def test_a_requested_execution_becomes_a_filled_and_protected_bracket(
    worker: Worker, simulator: SimulatorProcess, analyst: User
) -> None:
    worker.ready()
    execution = requested(analyst)

    execution_submit(execution_id=execution.pk, broker=worker.thread, now=clock.now())
    reference = execution_wait_for_fill(execution_id=execution.pk, seconds_max=15)

    entry, stop = legs(execution)["ENTRY"], legs(execution)["STOP_LOSS"]
    assert reference == f"IB-{entry.order_id}:{stop.order_id}"
    theirs = {order["order_ref"]: order for order in simulator.control.orders()}
    assert theirs.keys() == {entry.order_ref, stop.order_ref}
    assert theirs[stop.order_ref]["parent_id"] == entry.order_id
    assert theirs[stop.order_ref]["live"]
    eventually(lambda: Commission.objects.filter(fill=Fill.objects.get()).exists())
    assert worker.changed


def test_the_floor_is_above_every_id_that_was_ever_used(
    worker: Worker, simulator: SimulatorProcess, analyst: User
) -> None:
    worker.ready()
    BrokerConnection.objects.filter(client_id=CLIENT_ID).update(order_id_floor=5000)
    execution = requested(analyst)

    execution_submit(execution_id=execution.pk, broker=worker.thread, now=clock.now())

    ids = {order.order_id for order in legs(execution).values()}
    assert min(ids) > 5000
    assert BrokerConnection.objects.get(client_id=CLIENT_ID).order_id_floor == max(ids)


def test_what_happened_while_the_line_was_cut_is_in_the_rows_after_the_reconnect(
    worker: Worker, simulator: SimulatorProcess, analyst: User
) -> None:
    worker.ready()
    execution = requested(analyst)
    execution_submit(execution_id=execution.pk, broker=worker.thread, now=clock.now())
    execution_wait_for_fill(execution_id=execution.pk, seconds_max=15)

    simulator.control.refuse_connections()
    simulator.control.drop_connections()
    eventually(lambda: worker.thread.state is not ConnectionState.READY)
    simulator.control.set_price("AAPL", "184.00")
    simulator.control.accept_connections()
    worker.ready()

    execution.refresh_from_db()
    assert (execution.status, execution.exit_reason) == (ExecutionStatus.CLOSED.value, "STOP_LOSS")
    assert legs(execution)["STOP_LOSS"].filled_quantity == 10


def test_nothing_is_sent_while_there_is_no_connection(
    worker: Worker, simulator: SimulatorProcess, analyst: User
) -> None:
    worker.ready()
    simulator.control.refuse_connections()
    simulator.control.drop_connections()
    eventually(lambda: worker.thread.state is not ConnectionState.READY)
    execution = requested(analyst)

    with pytest.raises(NotConnected):
        execution_submit(execution_id=execution.pk, broker=worker.thread, now=clock.now())

    execution.refresh_from_db()
    assert execution.status == ExecutionStatus.REQUESTED.value
    assert simulator.control.orders() == []


def test_an_entry_waits_until_our_rows_keep_up_with_the_news(
    worker: Worker, simulator: SimulatorProcess, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a recorder that is behind: a lost stop may be in what it has not recorded yet
    worker.ready()
    execution = requested(analyst)
    let_in, wait = threading.Event(), worker.recorder.wait_until_it_keeps_up

    def wait_loudly(*, seconds_max: float) -> None:
        let_in.set()
        wait(seconds_max=seconds_max)

    monkeypatch.setattr(broker_calls, "KEEP_UP_SECONDS_MAX", 60.0)
    monkeypatch.setattr(worker.recorder, "wait_until_it_keeps_up", wait_loudly)
    worker.recorder._keeps_up.clear()
    # When an entry is submitted
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(
            with_own_connection, execution_submit, execution_id=execution.pk, broker=worker.thread, now=clock.now()
        )
        assert let_in.wait(10)
        # Then nothing is written ahead, so nothing is sent
        assert {order.status for order in legs(execution).values()} == {"CREATED"}
        assert simulator.control.orders() == []
        # Until the recorder has caught up
        worker.recorder._keeps_up.set()
        assert sending.result(timeout=10)


def test_the_connection_row_tells_where_it_stands_and_why(worker: Worker, simulator: SimulatorProcess) -> None:
    worker.ready()
    row = BrokerConnection.objects.get(client_id=CLIENT_ID)
    assert (row.state, row.server_version) == ("READY", 178)
    assert row.reconciled_at is not None
    # Nothing waits for the account's worth.
    eventually(lambda: Account.objects.get(account_id=ACCOUNT).net_liquidation)

    simulator.kill()

    def told() -> bool:
        row.refresh_from_db()
        return row.state == "DISCONNECTED" and bool(row.reason)

    eventually(told)


def test_a_line_that_is_dead_without_a_word_is_found_by_the_heartbeat_and_left(simulator: SimulatorProcess) -> None:
    with BrokerProxy(host=simulator.host, port=simulator.port) as wire:
        worker = Worker(port=wire.port, request_timeout_seconds=0.5, connect_timeout_seconds=0.5)
        worker.start()
        try:
            worker.ready()
            row = BrokerConnection.objects.get(client_id=CLIENT_ID)
            # Given sockets that stay open and carry nothing
            wire.swallow()

            def given_up() -> bool:
                row.refresh_from_db()
                return row.state == "DISCONNECTED"

            # Then nothing but the unanswered question tells it
            eventually(given_up)
            assert row.reason.startswith("broker_timeout: No answer to current_time")
            # And once the line carries again, the worker is back
            wire.let_through()
            worker.ready()

            def is_back() -> bool:
                row.refresh_from_db()
                return row.state == "READY"

            eventually(is_back)
        finally:
            worker.stop()


def test_a_cancel_reaches_the_broker_and_comes_back(worker: Worker, simulator: SimulatorProcess, analyst: User) -> None:
    worker.ready()
    execution = requested(analyst, entry_type="LIMIT", entry_price=Decimal(188))
    execution_submit(execution_id=execution.pk, broker=worker.thread, now=clock.now())
    eventually(lambda: legs(execution)["ENTRY"].status in ("HELD", "WORKING"))

    execution_cancel_request(execution_id=execution.pk, reason="requested", now=clock.now())
    execution_cancel_send(execution_id=execution.pk, broker=worker.thread, now=clock.now())

    def cancelled() -> bool:
        execution.refresh_from_db()
        return execution.status == "CANCELLED"

    eventually(cancelled)
    assert not [order for order in simulator.control.orders() if order["live"]]
    assert execution.reason_code == "requested"


def test_what_a_deposed_holder_had_still_to_record_is_dropped(worker: Worker, analyst: User) -> None:
    # Given a holder whose lock is gone with its database session, and whose place another has taken
    worker.ready()
    execution = requested(analyst, entry_type="LIMIT", entry_price=Decimal(188))
    execution_submit(execution_id=execution.pk, broker=worker.thread, now=clock.now())
    eventually(lambda: legs(execution)["STOP_LOSS"].status == "HELD")
    worker.recorder.drain(seconds_max=10)
    fence_raise(connection_id=worker.thread.connection_id, name="another", process="", now=clock.now())
    worker.thread._on_holding(None, is_holder=False)
    # When an event is recorded that it had heard before
    late = told(legs(execution)["STOP_LOSS"], ToldStatus.CANCELLED)
    worker.recorder.put(late)
    worker.recorder.drain(seconds_max=10)
    # Then it is not: the new holder asks the broker itself
    assert legs(execution)["STOP_LOSS"].status == "HELD"
    assert not BrokerEvent.objects.filter(dedupe_key=late.dedupe_key).exists()


def test_a_second_worker_stands_by_and_takes_over(worker: Worker, simulator: SimulatorProcess) -> None:
    worker.ready()
    second = Worker(port=simulator.port)
    second.start()
    try:
        eventually(lambda: second.thread.standing_by)
        assert second.thread.state is ConnectionState.DISCONNECTED
        assert [row["client_id"] for row in simulator.control.state()["connections"]] == [CLIENT_ID]

        worker.stop()

        second.ready()
    finally:
        second.stop()
