"""Everything a run consists of: real servers, the simulator behind a proxy, worker processes, and an analyst.

The servers are started once; each seed gets an empty database, an empty queue, a new simulator and a new worker.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from ib_simulator.client import ControlError
from ib_simulator.process import SimulatorProcess
from local_stack.throw_away import ThrowAwayServers
from tests.simulation import witness
from tests.simulation.outsiders import Outsiders
from tests.simulation.setting import Setting, setting_of
from tests.simulation.shared_clock import SharedClock
from tests.simulation.wire import Wire

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "DU1234567"
SYMBOL = "AAPL"
OUR_REF = re.compile(r"[a-z0-9]{16}-\d+-[A-Z_]+\d*")
QUANTITY_FIELD = 17  # of placeOrder, the same at server versions 157 to 178
START_PRICE = Decimal("190.00")
# What in the database is the second half of a rule that can be switched off: it goes with the first.
SECOND_HALVES = {
    "id_floor": ("DROP INDEX order_id_used_once_per_client",),
    "dedupe_key": (
        "ALTER TABLE executions_fill DROP CONSTRAINT executions_fill_exec_id_key",
        "DROP INDEX IF EXISTS executions_fill_exec_id_like",
    ),
}
TEMPLATE = "simulation_template"
PROCESS_SECONDS_MAX = 60.0


class World:
    """One run's surroundings. Call `open` before Django is imported anywhere."""

    def __init__(self, *, folder: Path, sabotage: str = "") -> None:
        self.folder = folder
        self._sabotage = sabotage
        self._servers = ThrowAwayServers()
        self.wire = Wire()
        self._nursery: subprocess.Popen[str] | None = None
        self._simulator: SimulatorProcess | None = None
        self.workers: dict[str, int] = {}
        self.paused: set[str] = set()
        self.worker_number = 0
        self.started: list[str] = []
        self.setting = Setting()
        self.outsiders = Outsiders(setting=self.setting)
        self.price, self.scale = START_PRICE, Decimal(1)
        # Of each order of ours when it was sent, and of which size.
        self.sent: dict[str, dict[datetime, Decimal]] = {}
        self.raced: dict[str, Decimal] = {}
        self.clock_jumped = False
        self.splits: list[set[str]] = []  # of each, the brackets that there were
        self.later: list[tuple[int, Callable[[], None]]] = []
        self.steps_done: list[tuple[datetime, str]] = []
        self._clock = SharedClock(folder / "clock")
        self._apart = self._reconnects = False

    # The run

    def open(self) -> None:
        """Start the servers, set up Django in this process, make the empty database, warm the nursery up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._servers.start()
        os.environ |= {
            "SECRET_KEY": "simulation",
            "DEBUG": "false",
            "IB_HOST": "127.0.0.1",
            "IB_PORT": str(self.wire.port),
            "IB_ACCOUNT": ACCOUNT,
            "IB_TRADING_MODE": "paper",
            "GATEWAY_MAINTENANCE": "none",
            "ORDERS_PER_CONTRACT_MAX": "0",  # A few contracts, and hundreds of orders; the guard still finds room.
            "DJANGO_SETTINGS_MODULE": "app.config.settings",
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        for statement in (*witness.STATEMENTS, *SECOND_HALVES.get(self._sabotage, ())):
            self._execute(statement)
        self.forget_connections()
        # What a commit has answered survives a kill of the server, as with a real one.
        self._admin("ALTER ROLE CURRENT_USER SET synchronous_commit TO on")
        self._admin(f"CREATE DATABASE {TEMPLATE} TEMPLATE {self._database()}")
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'backend'}:{ROOT}", "SIMULATION_SABOTAGE": self._sabotage}
        environment["SIMULATION_CLOCK"] = str(self._clock.path)
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.simulation.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "nursery.log").open("w"),
            env=environment,
            cwd=ROOT,
            text=True,
        )
        if self._read_nursery() != "ready":
            raise RuntimeError(f"the nursery did not start: {(self.folder / 'nursery.log').read_text()[-2000:]}")

    def close(self) -> None:
        """End everything."""
        self.stop_workers()
        if self._nursery is not None and self._nursery.stdin is not None:
            self._nursery.stdin.close()
            self._nursery.wait(timeout=60)  # A busy machine takes its time.
        if self._simulator is not None:
            self._simulator.close()
        self.forget_connections()
        self._servers.stop()

    def begin(self, seed: int) -> None:
        """Make everything new for a seed, with one worker that is connected."""
        from django.contrib.auth.models import User

        from app.accounts.roles import roles_ensure
        from app.accounts.services import account_ensure
        from app.core import clock
        from app.domain.contract import Contract, SymbolInfo
        from app.executions import news
        from app.market.services import instrument_record

        self.stop_workers()
        self.set_clock_ahead(0)
        self.setting = setting_of(seed)
        self.outsiders = Outsiders(setting=self.setting, theirs=Decimal(self.setting.long_term))
        # On one machine a silent holder is killed by its successor; on two it may wake.
        self._apart = seed % 2 == 0
        # Most runs end with a reconnect, and what it finds; the others with what the interval of the reconciles finds.
        self._reconnects = seed % 4 != 3
        self.forget_connections()
        news._client.cache_clear()
        self._admin(f"DROP DATABASE IF EXISTS {self._database()} WITH (FORCE)")
        self._admin(f"CREATE DATABASE {self._database()} TEMPLATE {TEMPLATE}")
        self.redis().flushall()
        if self._simulator is not None:
            self._simulator.close()
        book = self.folder / f"book-{seed}-{time.monotonic_ns()}"
        self._simulator = SimulatorProcess(seed=seed, accounts=[ACCOUNT], state_dir=book, tick_seconds=0)
        self._simulator.start()
        self.wire.heal()
        self.wire.target = (self._simulator.host, self._simulator.port)
        self.price, self.scale, self.later, self.steps_done = START_PRICE, Decimal(1), [], []
        self.note(f"begin {self.setting}")
        self.started.clear()
        self.sent.clear()
        self.raced.clear()
        self.splits.clear()
        self.clock_jumped = False
        self.peer.set_price(SYMBOL, str(self.price))
        if self.setting.long_term:
            self.peer.set_position(symbol=SYMBOL, quantity=self.setting.long_term, average_cost="50")
        roles_ensure()
        account_ensure(ACCOUNT)
        self.analyst = User.objects.create_user("analyst")
        info = SymbolInfo(contract=Contract(symbol=SYMBOL), con_id=265598, long_name="APPLE", primary_exchange="NASDAQ")
        instrument_record(info=info, last_price=self.price, now=clock.now())
        self.start_worker()
        self.wait_until(self.is_ready, what="the first worker is not READY")

    def note(self, text: str) -> None:
        """Remember when something was done, for the story of a run that fails."""
        self.steps_done.append((datetime.now(UTC), text))

    # What is there

    @property
    def simulator(self) -> SimulatorProcess:
        """The simulator of this seed."""
        assert self._simulator is not None
        return self._simulator

    @property
    def peer(self) -> Any:
        """Its control connection."""
        return self.simulator.control

    def read_book(self) -> None:
        """Take in what the book tells anew: what others did, and when our orders came."""
        self.outsiders.read(self.peer.state())
        for message in self.peer.messages():
            if message["name"] == "placeOrder":
                at = datetime.fromisoformat(message["received_at"])
                for ref in {field for field in message["fields"] if OUR_REF.fullmatch(str(field))}:
                    self.sent.setdefault(ref, {})[at] = Decimal(message["fields"][QUANTITY_FIELD])

    def command(self, name: str) -> None:
        """Send the simulator a command without arguments, over the connection there is by then."""
        self.peer.send(name)

    @staticmethod
    def held_in_book(state: dict[str, Any]) -> Decimal:
        """Return what the account holds of the symbol, of a `state` of the simulator."""
        held = (Decimal(position["quantity"]) for position in state["positions"] if position["symbol"] == SYMBOL)
        return sum(held, Decimal(0))

    def redis(self) -> "redis.Redis":
        """A client of the queue."""
        return redis.Redis.from_url(os.environ["REDIS_URL"])

    def is_ready(self) -> bool:
        """Whether a worker that runs is connected and reconciled."""
        from app.accounts.models import BrokerConnection
        from app.core import clock

        row = BrokerConnection.objects.filter(client_id=1).first()
        return (
            row is not None
            and row.state == "READY"
            and row.heartbeat_at is not None
            and (clock.now() - row.heartbeat_at).total_seconds() < 3
        )

    def wait_until(self, look: Callable[[], bool], *, what: str, seconds_max: float = PROCESS_SECONDS_MAX) -> None:
        """Return once `look` is true. Raises TimeoutError."""
        give_up_at = time.monotonic() + seconds_max
        while not look():
            if time.monotonic() > give_up_at:
                raise TimeoutError(what)
            time.sleep(0.05)

    # Workers

    def start_worker(self) -> str:
        """Start a broker worker process and return its name."""
        self.worker_number += 1
        name = f"worker{self.worker_number}"
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        place = name if self._apart else "here"
        self._nursery.stdin.write(f"start {name} {self.log_of(name)} {place} {self.setting.use} {self.setting.road}\n")
        self._nursery.stdin.flush()
        self.log_of(name).write_bytes(b"")
        self.workers[name] = int(self._read_nursery())
        self.started.append(name)
        return name

    def ensure_worker(self) -> None:
        """Start a worker where none runs."""
        if not self.living():
            self.start_worker()

    def signal_worker(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a worker; one that is gone already is forgotten."""
        try:
            os.kill(self.workers[name], number)
        except ProcessLookupError:
            number = signal.SIGKILL
        if number is signal.SIGKILL:
            self.workers.pop(name, None)
            self.paused.discard(name)

    def stop_workers(self) -> None:
        """Kill all workers."""
        pids = list(self.workers.values())
        for name in list(self.workers):
            self.signal_worker(name, signal.SIGKILL)
        for pid in pids:
            self.wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), what="a worker does not die")

    def living(self) -> list[str]:
        """Return the workers that still run."""
        return [name for name, pid in self.workers.items() if Path(f"/proc/{pid}").exists()]

    def go_on(self, name: str) -> None:
        """Let a stopped worker go on."""
        if name in self.workers:
            self.signal_worker(name, signal.SIGCONT)
            self.paused.discard(name)

    def log_of(self, name: str) -> Path:
        """Return where a worker writes."""
        return self.folder / f"{name}.log"

    def fence(self) -> int:
        """Return the number of the connection's holder."""
        from app.accounts.models import BrokerConnection

        return BrokerConnection.objects.values_list("fence", flat=True).filter(client_id=1).first() or 0

    def holder(self) -> str | None:
        """Return the worker that raised the fence last, if it runs."""
        wanted = f"event=fence_raised connection=1 fence={self.fence()} "
        return next((name for name in self.living() if wanted in self.log_of(name).read_text()), None)

    def wait_at_most(self, look: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until `look` is true, and say whether it came true in time."""
        with contextlib.suppress(TimeoutError):
            self.wait_until(look, what="", seconds_max=seconds)
            return True
        return False

    # The machine

    def set_clock_ahead(self, seconds: float) -> None:
        """Let the workers' clock run so many seconds ahead (negative: behind)."""
        self._clock.set_ahead(seconds)

    def restart_server(self, name: str, *, kill: bool) -> None:
        """Stop or kill PostgreSQL or Valkey, and start it again."""
        self._servers.restart(name, kill=kill)
        self.forget_connections()

    # Calm

    def heal(self) -> None:
        """Take every fault back."""
        from tests.simulation.acts import analyst

        for _due, undo in self.later:
            undo()
        self.later = []
        self.note("heal")
        self.wire.heal()
        for undo in ("clear_faults", "end_outage", "end_reset"):
            with contextlib.suppress(ControlError):  # There was nothing to undo.
                self.command(undo)
        analyst.release_kill_switch()
        self.peer.accept_connections()
        self.peer.unmute()
        self.peer.release_answers()
        self.peer.resume_fills()
        self.peer.thaw()
        self.peer.release_cancels()
        self.peer.release_commissions()
        self.peer.lag_positions(0)
        self.peer.resume(SYMBOL)
        self.peer.set_liquidity(SYMBOL, None)
        self.set_clock_ahead(0)
        if self._reconnects:
            self.peer.drop_connections()
        for name in list(self.paused):
            self.go_on(name)
        for name in set(self.workers) - set(self.living()):
            self.workers.pop(name)
        if not self.workers:
            self.start_worker()

    def forget_connections(self) -> None:
        """Close this process's database connections, those in the pool too."""
        from django.db import connections

        for connection in connections.all(initialized_only=True):
            connection.close()
            connection.close_pool()

    def _database(self) -> str:
        return urlsplit(os.environ["DATABASE_URL"]).path.lstrip("/")

    def _admin(self, statement: str) -> None:
        url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/template1"))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def _execute(self, statement: str) -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def cut_database(self) -> None:
        """End every session of the workers in the database, as a restart of the server does."""
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        self.forget_connections()

    def _read_nursery(self) -> str:
        assert self._nursery is not None
        assert self._nursery.stdout is not None
        return self._nursery.stdout.readline().strip()
