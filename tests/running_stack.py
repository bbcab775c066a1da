"""The whole system as processes, the way `scripts/up` starts it, for black-box tests.

Every stack has its own ports, folder and servers, so that several of them, and an `up` of the developer's, do not meet.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from ib_simulator.client import SimulatorControl
from local_stack.home import RECORD
from local_stack.postgres import DATABASE, USER
from tests.eventually import eventually

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 20.0
_RUN_UP = """
import sys
from pathlib import Path
from local_stack import supervisor
from local_stack.up import main
# What a test kills is there again at once, however often it does.
supervisor.BACK_OFF_MAX_SECONDS = supervisor.BACK_OFF_FIRST_SECONDS
sys.exit(main(sys.argv[2:], local=Path(sys.argv[1])))
"""
# Set to nothing, so that neither the test run's servers nor a developer's `.env` (with a real Gateway!) is used.
_NOT_FROM_OUTSIDE = (
    "DATABASE_URL",
    "REDIS_URL",
    "IB_HOST",
    "IB_PORT",
    "IB_ACCOUNT",
    "IB_TRADING_MODE",
    "DJANGO_SETTINGS_MODULE",
)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: `body` is the parsed JSON, None where there is none."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Api:
    """A script on the REST API."""

    def __init__(self, *, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def get(self, path: str) -> Answer:
        """Read."""
        return self.send("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Write; a header's underscores stand for hyphens."""
        return self.send("POST", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; error statuses are answers too."""
        request = urllib.request.Request(self._url + path, method=method)  # noqa: S310 - our own server
        request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Token {self._token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        data = json.dumps(body).encode() if body is not None else None
        try:
            with urllib.request.urlopen(request, data, timeout=90) as response:  # noqa: S310 - our own server
                return _answer(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read(), dict(error.headers))


def _answer(status: int, content: bytes, headers: dict[str, str]) -> Answer:
    try:
        body = json.loads(content) if content else None
    except ValueError:
        body = content.decode(errors="replace")
    return Answer(status=status, body=body, headers=headers)


class RunningStack:
    """A started stack; `up` is the content of its up.json, read anew, because restarts change it, with its user's name,
    password and token.
    """

    def __init__(self, *, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self.process = process
        self.user: dict[str, str] = {}

    @property
    def up(self) -> dict[str, Any]:
        """What the stack says of itself."""
        told: dict[str, Any] = json.loads((self.folder / "up.json").read_text())
        return {**told, **self.user}

    @property
    def api(self) -> Api:
        """The REST API as the demo user."""
        return Api(url=self.up["url"], token=self.up["token"])

    def simulator(self) -> SimulatorControl:
        """A new connection to the simulator's control port."""
        told = self.up["simulator"]
        return SimulatorControl(told["host"], told["control_port"])

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Read rows straight from the stack's database."""
        with psycopg.connect(self.up["database_url"]) as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statement: str, *parameters: Any) -> None:
        """Change rows straight in the stack's database, for what a test cannot wait for: a thing growing old."""
        with psycopg.connect(self.up["database_url"], autocommit=True) as connection:
            connection.execute(statement, parameters)

    @property
    def owner_url(self) -> str:
        """The database as its owner, who may do what the application's role may not: make and drop triggers."""
        port = urlsplit(self.up["database_url"]).port
        password = json.loads((self.folder / "secrets.json").read_text())["postgres"]
        return f"postgres://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"

    def kill(self, name: str) -> int:
        """Kill a process with signal 9; return its pid. The stack starts it again by itself."""
        pid: int = self.up["pids"][name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_restarted(self, name: str, *, not_pid: int) -> None:
        """Wait until the process runs under another pid."""
        eventually(lambda: self.up["pids"].get(name, not_pid) != not_pid, seconds_max=30)

    def wait_ready(self) -> None:
        """Wait until /readyz is green: the broker worker is connected and reconciled."""
        eventually(lambda: Api(url=self.up["url"], token="").get("/readyz").status == 200, seconds_max=60)

    def log(self, name: str) -> str:
        """What the process wrote since its last start."""
        return (self.folder / "log" / f"{name}.log").read_text(errors="replace")


@contextmanager
def running_stack(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[RunningStack]:
    """Start the stack without the demo, wait until it is ready, and stop it."""
    folder.mkdir(parents=True, exist_ok=True)
    atexit.register(_remove_outside, folder)
    ports = ["--port", "0", "--simulator-port", "0", "--simulator-control-port", "0"]
    variables = {
        **os.environ,
        **dict.fromkeys(_NOT_FROM_OUTSIDE, ""),
        "GATEWAY_MAINTENANCE": "none",
        # Many tests share one account, and leave orders in it.
        "ORDERS_PER_CONTRACT_MAX": "0",
        "PYTHONPATH": str(ROOT / "backend"),
        **(environment or {}),
    }
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN_UP, str(folder), "--no-demo", *ports, *arguments],
            cwd=ROOT,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    stack = RunningStack(folder=folder, process=process)
    try:
        _wait_up(stack)
        stack.user = _demo_user(stack, environment=variables)
        stack.wait_ready()
        yield stack
    except AssertionError as error:
        error.add_note((folder / "up.log").read_text(errors="replace")[-3000:])
        raise
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS_MAX)


def _remove_outside(folder: Path) -> None:
    """Remove the databases of a stack whose folder could not hold them; no start ever does, they could be somebody's.

    At the end of the process, because a test may start a stack in the same folder again.
    """
    record = folder / RECORD
    if record.exists():
        shutil.rmtree(record.read_text().strip(), ignore_errors=True)


def _demo_user(stack: RunningStack, *, environment: Mapping[str, str]) -> dict[str, str]:
    """Make the user that `up --no-demo` does not make."""
    servers = {name: stack.up[name.lower()] for name in ("DATABASE_URL", "REDIS_URL")}
    made = subprocess.run(
        [sys.executable, ROOT / "manage.py", "demo_user", "--reset"],
        cwd=ROOT,
        env={**environment, **servers, "IB_ACCOUNT": "DU1234567", "DJANGO_SETTINGS_MODULE": "app.config.settings"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS_MAX,
    )
    assert made.returncode == 0, made.stderr
    user: dict[str, str] = json.loads(made.stdout)
    return user


def _wait_up(stack: RunningStack) -> None:
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while not (stack.folder / "up.json").exists():
        told = (stack.folder / "up.log").read_text(errors="replace")
        assert stack.process.poll() is None, f"the stack ended while starting:\n{told}"
        assert time.monotonic() < give_up_at, f"the stack did not start:\n{told}"
        time.sleep(0.1)
