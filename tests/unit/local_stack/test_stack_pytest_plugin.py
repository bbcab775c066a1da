"""The servers of a test run, seen from outside: a whole pytest in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_programs import eventually

from local_stack.home import THROW_AWAY_PREFIX, service_home
from local_stack.leftovers import process_start_mark

Run = Callable[..., subprocess.Popen[str]]
INI = "[pytest]\naddopts = -p local_stack.pytest_plugin\n"
TEST = """
import os, time
from pathlib import Path
import psycopg
import redis

def test_servers_are_there():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert client.ping()
    Path("urls").write_text(os.environ["DATABASE_URL"] + " " + os.environ["REDIS_URL"])
    if Path("wait").exists():
        time.sleep(60)
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text(INI)
    (tmp_path / "test_servers.py").write_text(TEST)
    return tmp_path


@pytest.fixture
def run() -> Iterator[Run]:
    """Start a pytest in a folder, without the plugins that it does not need; it is gone after the test."""
    started: list[subprocess.Popen[str]] = []
    ours = ("DATABASE_URL", "REDIS_URL", "LOCAL_STACK_PLACES")
    kept = {name: value for name, value in os.environ.items() if name not in ours and "XDIST" not in name}

    def _run(suite: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        # As in a terminal: what is started in the background ignores Ctrl-C, and so would all that it starts.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", *arguments],
                cwd=suite,
                env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        started.append(process)
        return process

    yield _run
    for process in started:
        process.kill()
        process.communicate()


def _folders_of(pid: int) -> list[Path]:
    return list(service_home().directory.glob(f"{THROW_AWAY_PREFIX}{pid}-*"))


def _servers_of(pid: int) -> list[int]:
    """The processes that work in a folder of that run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{THROW_AWAY_PREFIX}{pid}-" in str((entry / "cwd").readlink()):
                found.append(int(entry.name))
    return found


def test_two_runs_at_once_have_servers_of_their_own_and_leave_nothing(
    run: Run, suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for file in suite.iterdir():
        (other / file.name).write_text(file.read_text())

    runs = [run(suite), run(other)]
    answers = [one.communicate(timeout=60)[0] for one in runs]

    assert [one.returncode for one in runs] == [0, 0], answers
    assert (suite / "urls").read_text() != (other / "urls").read_text()
    assert [_folders_of(one.pid) + _servers_of(one.pid) for one in runs] == [[], []]


def test_servers_named_in_the_environment_are_used(run: Run, suite: Path) -> None:
    database = os.environ["DATABASE_URL"]

    one = run(suite, DATABASE_URL=database, REDIS_URL=os.environ["REDIS_URL"])
    answer, _ = one.communicate(timeout=60)

    assert one.returncode == 0, answer
    assert (suite / "urls").read_text().split()[0] == database


@pytest.mark.parametrize("option", ["--collect-only", "--help"])
def test_nothing_is_started_when_no_test_will_run(run: Run, suite: Path, option: str) -> None:
    # A conftest sees the variables as Django would: set, but to nothing that answers.
    (suite / "conftest.py").write_text("import os; print('database', os.environ['DATABASE_URL'])")

    answer, _ = run(suite, option, "-s").communicate(timeout=60)

    assert "database postgres://nobody:nothing@127.0.0.1:9/nowhere" in answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_server(run: Run, suite: Path, number: signal.Signals) -> None:
    (suite / "wait").touch()
    one = run(suite)
    eventually((suite / "urls").exists, seconds=30)
    assert len(_servers_of(one.pid)) >= 2

    os.kill(one.pid, number)
    one.communicate(timeout=30)

    eventually(lambda: not _servers_of(one.pid))


def test_the_folder_of_a_killed_run_is_removed_by_the_next_and_of_a_living_one_is_not(run: Run, suite: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    home = service_home()
    left = home.folder(f"{THROW_AWAY_PREFIX}{gone.pid}-1")
    living = home.folder(f"{THROW_AWAY_PREFIX}{os.getpid()}-{process_start_mark(os.getpid())}")

    one = run(suite)
    one.communicate(timeout=60)

    assert one.returncode == 0
    assert not left.exists()
    assert living.exists()
