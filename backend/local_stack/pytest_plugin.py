"""The servers of a test run, started before Django reads its settings (see `throw_away`).

Nothing is started when no test will run (`--help`, `--collect-only`). Under pytest-xdist each worker process starts
servers of its own, so that tests that read a queue to its end do not meet; the process that hands them out has none.
"""

import atexit
import os
import secrets
from collections.abc import Generator

import pytest

from local_stack.errors import StackError
from local_stack.throw_away import ThrowAwayServers

OPTIONS_WITHOUT_TESTS = ("collectonly", "help", "version", "markers", "showfixtures", "show_fixtures_per_test")
# Django wants values even when nothing will connect.
NO_DATABASE = "postgres://nobody:nothing@127.0.0.1:9/nowhere"
NO_REDIS = "redis://127.0.0.1:9/0"
# Tells xdist's workers which variables only hold a place for their own servers.
PLACES = "LOCAL_STACK_PLACES"

_servers = ThrowAwayServers()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Set the variables first: a wrapper runs around pytest-django's own implementation of this hook."""
    options = early_config.known_args_namespace
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if is_worker:
        for name in os.environ.get(PLACES, "").split():
            os.environ.pop(name, None)
    hands_out_tests = bool(getattr(options, "numprocesses", None)) and not is_worker
    if hands_out_tests or any(getattr(options, name, False) for name in OPTIONS_WITHOUT_TESTS):
        places = {"DATABASE_URL": NO_DATABASE, "REDIS_URL": NO_REDIS}
        missing = {name: url for name, url in places.items() if not os.environ.get(name)}
        os.environ.update(missing | {PLACES: " ".join(missing)})
    else:
        atexit.register(_servers.stop)
        try:
            _servers.start()
        except StackError as error:
            raise pytest.UsageError(f"cannot start the servers for the tests: {error}") from error
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop the servers after everything that may still talk to them."""
    _servers.stop()
