"""Two real broker worker processes, one client id: one holds it, the other stands by, takes over, and is alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from app.accounts.models import BrokerConnection
from app.executions.models import Execution
from ib_simulator.process import SimulatorProcess, running_simulator
from tests.eventually import eventually
from tests.worker.test_broker_thread import ACCOUNT, CLIENT_ID, requested

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
TAKEOVER_SECONDS_MAX = 5.0
Start = Callable[..., "WorkerProcess"]


class WorkerProcess:
    """A Celery worker of the broker queue as a process, on the tests' servers."""

    def __init__(self, name: str, *, port: int, folder: Path, account: str) -> None:
        self._log = folder / f"{name}.log"
        options = ["-Q", "broker", "-P", "threads", "-c", "4", "-n", f"{name}@test", "-l", "INFO"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "app.config.celery", "worker", *options, *quiet],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT / 'backend'}",
                    "CELERY_SKIP_CHECKS": "1",
                    "SECRET_KEY": "two workers",
                    "DATABASE_URL": database_url(),
                    "REDIS_URL": settings.REDIS_URL,
                    "IB_HOST": "127.0.0.1",
                    "IB_PORT": str(port),
                    "IB_ACCOUNT": account,
                    "IB_CLIENT_ID": str(CLIENT_ID),
                    "IB_TRADING_MODE": "paper",
                    "GATEWAY_MAINTENANCE": "none",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def says(self, text: str, *, seconds_max: float = 150) -> None:
        def said() -> bool:
            assert text in self.log(), self.log()[-3000:]
            return True

        eventually(said, seconds_max=seconds_max)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def database_url() -> str:
    """Where this test's database is."""
    to = connection.get_connection_params()
    password = f":{quote(str(to['password']))}" if to.get("password") else ""
    return f"postgres://{quote(str(to['user']))}{password}@{to['host']}:{to['port']}/{to['dbname']}"


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    with running_simulator(seed=7, accounts=[ACCOUNT], tick_seconds=0) as started:
        started.control.set_price("AAPL", "190.00")
        yield started


@pytest.fixture
def start(simulator: SimulatorProcess, tmp_path: Path) -> Iterator[Start]:
    """Start a worker process by name; the queue is empty at first."""
    redis.Redis.from_url(settings.REDIS_URL).delete("broker")
    started: list[WorkerProcess] = []

    def worker(name: str, *, account: str = ACCOUNT) -> WorkerProcess:
        started.append(WorkerProcess(name, port=simulator.port, folder=tmp_path, account=account))
        return started[-1]

    yield worker
    for each in started:
        each.end()


@pytest.fixture
def analyst() -> User:
    return User.objects.create_user("analyst")


@pytest.fixture
def pair(start: Start) -> tuple[WorkerProcess, WorkerProcess]:
    """The holder, READY, and the stand-by beside it."""
    return holder_and_stand_by(start, account=ACCOUNT)


def holder_and_stand_by(start: Start, *, account: str) -> tuple[WorkerProcess, WorkerProcess]:
    holder = start("first", account=account)
    ready_with(fence=1)
    stand_by = start("second", account=account)
    stand_by.says("standing_by")
    stand_by.says("ready.")
    return holder, stand_by


def taken_over_after_kill_of(holder: WorkerProcess) -> None:
    """Kill the holder with signal 9, and wait until the other one can trade; print how long that took."""
    holder.end()
    killed_at = time.monotonic()
    ready_with(fence=2, seconds_max=TAKEOVER_SECONDS_MAX)
    took = time.monotonic() - killed_at
    print(f"\ntaken over {took:.2f} s after kill -9")
    assert took < TAKEOVER_SECONDS_MAX


def row() -> BrokerConnection:
    return BrokerConnection.objects.get(client_id=CLIENT_ID)


def ready_with(*, fence: int, seconds_max: float = 150) -> None:
    def ready() -> bool:
        found = BrokerConnection.objects.filter(client_id=CLIENT_ID).first()
        return found is not None and (found.state, found.fence) == ("READY", fence)

    eventually(ready, seconds_max=seconds_max)


def is_(execution: Execution, status: str) -> Callable[[], bool]:
    def look() -> bool:
        execution.refresh_from_db()
        assert execution.status == status, (execution.status, execution.reason, execution.attention)
        return True

    return look


def test_the_stand_by_takes_no_task_and_takes_over_within_seconds_of_a_kill(
    pair: tuple[WorkerProcess, WorkerProcess], simulator: SimulatorProcess, analyst: User
) -> None:
    holder, stand_by = pair
    for _ in range(4):
        eventually(is_(requested(analyst), "OPEN"))
    assert "Task executions." not in stand_by.log()

    taken_over_after_kill_of(holder)

    eventually(is_(requested(analyst), "OPEN"))
    refs = [order["order_ref"] for order in simulator.control.orders()]
    assert len(refs) == len(set(refs)) == 10


def test_a_stand_by_that_has_to_learn_its_account_from_the_gateway_takes_over_too(
    start: Start, simulator: SimulatorProcess, analyst: User
) -> None:
    holder, stand_by = holder_and_stand_by(start, account="")
    eventually(is_(requested(analyst), "OPEN"))
    assert ACCOUNT not in stand_by.log()

    taken_over_after_kill_of(holder)

    assert row().account.account_id == ACCOUNT
    eventually(is_(requested(analyst), "OPEN"))
    refs = [order["order_ref"] for order in simulator.control.orders()]
    assert len(refs) == len(set(refs)) == 4


def test_a_stopped_holder_on_this_machine_is_killed_and_replaced(
    pair: tuple[WorkerProcess, WorkerProcess], analyst: User
) -> None:
    holder, stand_by = pair
    holder.send(signal.SIGSTOP)

    assert holder.process.wait(timeout=30) == -signal.SIGKILL

    ready_with(fence=2)
    assert "holder_deposed" in stand_by.log()
    eventually(is_(requested(analyst), "OPEN"))


def test_a_stopped_holder_that_wakes_after_another_took_over_sends_nothing(
    pair: tuple[WorkerProcess, WorkerProcess], simulator: SimulatorProcess, analyst: User
) -> None:
    holder, stand_by = pair
    BrokerConnection.objects.update(holder_process="")  # As if it ran on another machine.
    # Given a holder that is stopped after the claim, just before it writes ahead
    with psycopg.connect(database_url()) as locker:
        locker.execute("SELECT 1 FROM accounts_brokerconnection FOR NO KEY UPDATE")
        caught = requested(analyst)
        eventually(is_(caught, "SUBMITTING"))
        holder.send(signal.SIGSTOP)
        locker.rollback()
    # When it is deposed: its client id is refused to the new holder while its socket is open
    stand_by.says("holder_deposed")
    stand_by.says("client_id_in_use")
    assert simulator.control.orders() == []
    # Then the new holder begins as soon as the Gateway lets the old one go
    simulator.control.drop_connections(client_id=CLIENT_ID)
    ready_with(fence=2)
    eventually(is_(caught, "NOT_PLACED"))
    placed = requested(analyst)
    eventually(is_(placed, "OPEN"))
    # And the old one, awake again, sends nothing and stands by
    holder.send(signal.SIGCONT)
    eventually(lambda: 0 < holder.log().rfind("broker_connection_lost") < holder.log().rfind("standing_by"))
    again = requested(analyst)
    eventually(is_(again, "OPEN"))
    assert (row().state, row().fence) == ("READY", 2)
    sent = {message["connection"] for message in simulator.control.messages(name="placeOrder")}
    assert len(sent) == 1
    assert len(simulator.control.orders()) == 4
