"""The servers of a test run: a real PostgreSQL and a real Valkey of its own, started before Django reads its
settings, gone afterwards.

`DATABASE_URL` and `REDIS_URL`, each when set in the environment, are used instead. `.env` is not asked: it may name
servers that hold somebody's data. Every run has its own folder and ports, so several runs and an `up` at the same
time don't meet. Nothing is started when no test will run (`--help`, `--collect-only`).
"""

import atexit
import os
import secrets
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from local_stack.errors import StackError
from local_stack.home import ServiceHome, service_home
from local_stack.leftovers import process_start_mark
from local_stack.ports import port_free
from local_stack.postgres import postgres_prepare
from local_stack.process import ProcessSpec, RunningProcess, process_start, wait_all_ready
from local_stack.valkey import valkey_prepare

FOLDER_PREFIX = "tests-"
OPTIONS_WITHOUT_TESTS = (
    "collectonly",
    "help",
    "version",
    "markers",
    "show_fixtures_per_test",
    "showfixtures",
    "cacheshow",
)
# Django wants values even when nothing will connect.
NO_DATABASE = "postgres://nobody:nothing@127.0.0.1:9/nowhere"
NO_REDIS = "redis://127.0.0.1:9/0"


class _Servers:
    """The servers of this run."""

    def __init__(self) -> None:
        self.running: list[RunningProcess] = []
        self.folder: Path | None = None

    def start(self) -> None:
        wanted = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
        if not wanted:
            return
        home = service_home()
        _sweep(home)
        # The mark tells a later run whether this one still lives.
        self.folder = home.folder(f"{FOLDER_PREFIX}{os.getpid()}-{process_start_mark(os.getpid())}")
        atexit.register(self.stop)
        try:
            specs = [self._prepare(variable, home) for variable in wanted]
            self.running = [process_start(spec, log=self.folder / f"{spec.name}.log") for spec in specs]
            wait_all_ready(self.running)
        except BaseException:
            self.stop()
            raise

    def _prepare(self, variable: str, home: ServiceHome) -> ProcessSpec:
        assert self.folder is not None  # noqa: S101 - Set by `start`.
        prepare = postgres_prepare if variable == "DATABASE_URL" else valkey_prepare
        folder = self.folder / variable.partition("_")[0].lower()
        folder.mkdir(mode=0o700)
        if home.user is not None:
            os.chown(folder, home.user.uid, home.user.gid)
        server = prepare(home, folder=folder, port=port_free(), password=secrets.token_urlsafe(24), throw_away=True)
        os.environ[variable] = server.url
        return server.spec()

    def stop(self) -> None:
        for process in self.running:
            process.ask_to_stop()
        for process in self.running:
            process.stop()
        self.running = []
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None


_servers = _Servers()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Set the variables before pytest-django reads the settings:

    A wrapper runs around every ordinary implementation of this hook.
    """
    options = early_config.known_args_namespace
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    if any(getattr(options, name, False) for name in OPTIONS_WITHOUT_TESTS):
        os.environ.setdefault("DATABASE_URL", NO_DATABASE)
        os.environ.setdefault("REDIS_URL", NO_REDIS)
    else:
        try:
            _servers.start()
        except StackError as error:
            raise pytest.UsageError(f"cannot start the servers for the tests: {error}") from error
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop the servers after everything that may still talk to them."""
    _servers.stop()


def _sweep(home: ServiceHome) -> None:
    """Remove the folders of runs that were killed; their servers died with them."""
    for folder in home.directory.glob(f"{FOLDER_PREFIX}*"):
        pid, _, mark = folder.name.removeprefix(FOLDER_PREFIX).partition("-")
        if not pid.isdigit() or process_start_mark(int(pid)) != mark:
            shutil.rmtree(folder, ignore_errors=True)
