"""What `up` starts, besides the servers: the simulator, the web process, the workers; and the variables that all of
them get.

    name             program                        ready when
    ib-simulator     python -m ib_simulator         it says that it listens
    web              python -m app.config.serve     /healthz answers 200
    broker-worker    celery, queue broker           Celery says "ready"
    data-worker      celery, queue data             Celery says "ready"
    worker           celery, queue default          Celery says "ready"
    beat             celery beat                    it says that it starts
"""

import http.client
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.home import CLONE
from local_stack.liveness import ANSWER_TIMEOUT_SECONDS
from local_stack.ports import LOOPBACK
from local_stack.process import ProcessSpec
from local_stack.services import Services

SIMULATOR = "ib-simulator"
ACCOUNT = "DU1234567"
SEED = 7
# Everything is down within ten seconds: these, beat among them, then the servers (see ProcessSpec) get their share. On
# a busy machine Python needs seconds to end a program that has loaded the application, also one that only waited.
APPLICATION_STOP_SECONDS = 5
# Live pages keep a stream open, which the web process would wait for without end.
WEB_GRACE_SECONDS = 3
HEALTH_TIMEOUT_SECONDS = 1
READY_TIMEOUT_SECONDS = 90
# By these names we, and the commands in README, ask our own web process, whatever it is called outside.
OWN_HOSTS = (LOOPBACK, "localhost")
WITHOUT_CHECKS = {"CELERY_SKIP_CHECKS": "1"}
CELERY = ("-m", "celery", "-A", "app.config.celery")
# Threads. Beside a broker connection few of them share the interpreter with what records and protects: with 16 a burst
# was slower, and lost stops waited longer.
QUEUES = {"broker-worker": ("broker", 5), "data-worker": ("data", 4), "worker": ("default", 16)}
TRADING_WORKERS = ("broker-worker", "data-worker")
BACKGROUND_WORKERS = ("worker",)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """TCP ports on loopback. The simulator's are None when a real Gateway is used."""

    web: int
    simulator: int | None
    simulator_control: int | None

    def simulator_address(self) -> dict[str, object] | None:
        """Return where the simulator is, as others are told; None when there is none."""
        if self.simulator is None:
            return None
        return {"host": LOOPBACK, "port": self.simulator, "control_port": self.simulator_control}


def stack_environment(
    user_values: Mapping[str, str], *, services: Services, ports: Ports, secret_key: str
) -> dict[str, str]:
    """Return the variables of our processes: what the user has set, completed by what we have started."""
    defaults = {
        "SECRET_KEY": secret_key,
        "IB_CLIENT_ID": "1",
        "IB_DATA_CLIENT_ID": "2",
        "IB_TRADING_MODE": "paper",
    }
    values = {
        **user_values,
        # A variable that is set to nothing has its default, and hides the one in `.env`.
        **{name: value for name, value in defaults.items() if not user_values.get(name)},
        "ALLOWED_HOSTS": _with_own_hosts(user_values.get("ALLOWED_HOSTS", "")),
        "DATABASE_URL": services.database_url,
        # Only `migrate` is told who owns the tables; set to nothing, the one in `.env` is hidden from the others.
        "DATABASE_OWNER_URL": "",
        "POSTGRES_OWNER_PASSWORD": "",
        "REDIS_URL": services.redis_url,
        "DJANGO_SETTINGS_MODULE": "app.config.settings",
        "PYTHONPATH": str(CLONE / "backend"),
        "PYTHONUNBUFFERED": "1",
        # glibc gives each of a worker's threads memory of its own, which is never given back. Two such areas are enough
        # for threads that take turns anyway.
        "MALLOC_ARENA_MAX": user_values.get("MALLOC_ARENA_MAX") or "2",
    }
    if ports.simulator is not None:
        # They describe what was started here; a live account in `.env` is not the simulator's.
        values |= {
            "IB_HOST": LOOPBACK,
            "IB_PORT": str(ports.simulator),
            "IB_ACCOUNT": ACCOUNT,
            "IB_TRADING_MODE": "paper",
            "GATEWAY_MAINTENANCE": "none",
        }
    return values


def _with_own_hosts(allowed: str) -> str:
    hosts = [host.strip() for host in allowed.split(",") if host.strip()]
    return ",".join([*hosts, *(host for host in OWN_HOSTS if host not in hosts)])


def simulator_spec(*, ports: Ports, local: Path, environment: Mapping[str, str]) -> ProcessSpec:
    """Return how to start the simulator. Its book is kept in `local`, as orders at a broker outlive our restarts."""
    state = local / "simulator"
    state.mkdir(exist_ok=True)
    options = {
        "--host": LOOPBACK,
        "--port": ports.simulator,
        "--control-port": ports.simulator_control,
        "--seed": SEED,
        "--account": ACCOUNT,
        "--state-dir": state,
    }
    return _python(
        SIMULATOR,
        ["-m", "ib_simulator", *(str(word) for pair in options.items() for word in pair)],
        environment=environment,
        log_sign="ib_simulator listening",
    )


def web_spec(*, port: int, environment: Mapping[str, str]) -> ProcessSpec:
    """Return how to start the web process."""
    application = ["-m", "app.config.serve", "--host", LOOPBACK, "--port", str(port)]
    return ProcessSpec(
        name="web",
        argv=[sys.executable, *application, "--timeout-graceful-shutdown", str(WEB_GRACE_SECONDS)],
        environment=environment,
        directory=CLONE,
        ready=lambda _pid, _log: _healthy(port, timeout_seconds=HEALTH_TIMEOUT_SECONDS),
        alive=lambda: _healthy(port, timeout_seconds=ANSWER_TIMEOUT_SECONDS),
        ready_timeout_seconds=READY_TIMEOUT_SECONDS,
        stop_timeout_seconds=APPLICATION_STOP_SECONDS,
    )


def worker_specs(names: Sequence[str], *, environment: Mapping[str, str]) -> list[ProcessSpec]:
    """Return how to start Celery workers.

    They leave out Celery's own run of Django's checks, which would make each of them load all pages and the API once
    more: the application checks its settings itself.
    """
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    return [
        _python(
            name,
            [*CELERY, "worker", "-Q", queue, "-P", "threads", "-c", str(threads), *quiet, "-n", f"{queue}@%h"],
            environment={**environment, **WITHOUT_CHECKS},
            log_sign=r"@\S+ ready",
            stop_seconds=APPLICATION_STOP_SECONDS,
        )
        for name, (queue, threads) in ((name, QUEUES[name]) for name in names)
    ]


def beat_spec(*, local: Path, environment: Mapping[str, str]) -> ProcessSpec:
    """Return how to start beat. Not as `worker -B`, whose child would outlive a worker that is killed."""
    schedule = local / "beat"
    schedule.mkdir(exist_ok=True)
    schedule.chmod(0o700)  # beat loads its schedule as code: nobody else may write it, whatever the umask.
    arguments = [*CELERY, "beat", "--schedule", str(schedule / "schedule"), "--loglevel", "INFO"]
    return _python(
        "beat",
        arguments,
        environment={**environment, **WITHOUT_CHECKS},
        log_sign="beat: Starting",
        stop_seconds=APPLICATION_STOP_SECONDS,
    )


def manage_spec(name: str, *arguments: str, environment: Mapping[str, str]) -> ProcessSpec:
    """Return how to run a one-off `manage.py` command."""
    return _python(name, [str(CLONE / "manage.py"), *arguments], environment=environment, log_sign="")


def module_spec(name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> ProcessSpec:
    """Return how to run a one-off module of this package."""
    return _python(name, ["-m", module, *arguments], environment=environment, log_sign="")


def _python(
    name: str, arguments: list[str], *, environment: Mapping[str, str], log_sign: str, stop_seconds: float = 3
) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=[sys.executable, *arguments],
        environment=environment,
        directory=CLONE,
        ready=lambda _pid, log: re.search(log_sign, log) is not None,
        ready_timeout_seconds=READY_TIMEOUT_SECONDS,
        stop_timeout_seconds=stop_seconds,
    )


def _healthy(port: int, *, timeout_seconds: float) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
