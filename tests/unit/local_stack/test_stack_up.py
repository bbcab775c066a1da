"""`scripts/up` as a person meets it: its options, what it tells the processes, its refusals, and one whole run."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_programs import eventually, is_running

from local_stack.errors import UsageError
from local_stack.home import RECORD
from local_stack.jobs import PreparedMark
from local_stack.ports import port_accepts
from local_stack.run_lock import run_lock
from local_stack.services import Services
from local_stack.stack import Ports, stack_environment
from local_stack.up import main, options_parse

SERVICES = Services("postgres://database", "redis://queue", (), None)
WITH_SIMULATOR = Ports(web=1, simulator=2, simulator_control=3)
WITHOUT = Ports(web=1, simulator=None, simulator_control=None)


def _environment(ports: Ports, **user_values: str) -> dict[str, str]:
    return stack_environment(user_values, services=SERVICES, ports=ports, secret_key="kept")


def test_ports_are_known_ones_and_with_once_any_free_ones() -> None:
    stays, once = options_parse([], {}), options_parse(["--once", "--port", "81"], {})

    assert (stays.port, stays.simulator_port, stays.simulator_control_port, stays.postgres_port) == (
        8000,
        4002,
        4102,
        0,
    )
    assert (once.port, once.simulator_port, once.simulator_control_port, once.redis_port) == (81, 0, 0, 0)


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        options_parse(["--port", port], {})

    assert error.value.code == 2
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--once"], []])
def test_a_demo_at_a_real_gateway_needs_a_stop_price_of_the_user(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="--stop-price"):
        options_parse(arguments, {"IB_HOST": "10.0.0.5"})

    assert options_parse([*arguments, "--no-demo"], {"IB_HOST": "10.0.0.5"}).demo is False
    assert options_parse([*arguments, "--stop-price", "180"], {"IB_HOST": "10.0.0.5"}).stop_price == "180"


def test_the_processes_are_told_of_the_simulator_and_never_of_a_live_account() -> None:
    values = _environment(
        WITH_SIMULATOR, IB_ACCOUNT="U1234567", IB_TRADING_MODE="live", IB_PORT="4001", LOG_LEVEL="DEBUG"
    )

    assert (values["IB_HOST"], values["IB_PORT"]) == ("127.0.0.1", "2")
    assert (values["IB_ACCOUNT"], values["IB_TRADING_MODE"]) == ("DU1234567", "paper")
    assert values["LOG_LEVEL"] == "DEBUG"


def test_with_a_gateway_of_the_user_everything_about_it_stays_as_he_set_it() -> None:
    his = {"IB_HOST": "10.0.0.5", "IB_PORT": "4001", "IB_ACCOUNT": "U1", "IB_TRADING_MODE": "live", "IB_CLIENT_ID": "9"}

    values = _environment(WITHOUT, **his)

    assert his.items() <= values.items()
    assert values["DATABASE_URL"] == "postgres://database"
    assert values["SECRET_KEY"] == "kept"
    assert _environment(WITHOUT, SECRET_KEY="his")["SECRET_KEY"] == "his"


def test_a_database_is_prepared_again_for_another_setting_and_never_assumed_of_somebody_elses(tmp_path: Path) -> None:
    PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU1", "IB_PORT": "1"}).write(username="demo")

    assert PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU1", "IB_PORT": "2"}).username() == "demo"
    assert PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU2", "IB_PORT": "1"}).username() is None
    assert PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU1", "DEBUG": "true"}).username() is None
    PreparedMark(None, environment={}).write(username="demo")
    assert PreparedMark(None, environment={}).username() is None


def test_a_port_in_use_is_named_with_its_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        code = main(["--once", "--simulator-port", str(port)], local=tmp_path)

    assert code == 2
    assert f"port_in_use: port {port} is in use: choose another with --simulator-port" in capsys.readouterr().err
    assert not (tmp_path / "up.json").exists()


def test_a_second_up_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_lock(tmp_path):
        assert main(["--once"], local=tmp_path) == 2

    assert "already_running: another `up` runs in this clone" in capsys.readouterr().err


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run `up` with a `.local` of its own, so that one that runs in this clone is not disturbed."""
    code = "import sys; from pathlib import Path; from local_stack.up import main\n"
    code += "sys.exit(main(sys.argv[2:], local=Path(sys.argv[1])))"
    # As on a machine where nothing is set; a variable set to nothing also hides the one in a `.env` of this clone.
    unset = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "IB_HOST", "BROKER_TYPE"), "")
    environment = {**os.environ, **unset}
    started: list[subprocess.Popen[str]] = []

    def _start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(tmp_path), *arguments]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
        )
        started.append(process)
        return process

    yield _start
    for process in started:
        process.kill()
        process.communicate()
    record = tmp_path / RECORD
    if record.exists():
        shutil.rmtree(record.read_text().strip(), ignore_errors=True)


@pytest.mark.slow
def test_up_executes_a_demo_stays_up_and_leaves_nothing_behind(
    up: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    # The first run makes everything and stops by itself.
    once = up("--once")
    answer, progress = once.communicate(timeout=240)
    assert once.returncode == 0, progress
    assert re.fullmatch(r"IB-\d+:\d+", answer.splitlines()[-1])
    assert not (tmp_path / "up.json").exists()
    assert not (tmp_path / "up.processes").exists()

    # The second finds it all there, and stays.
    stays = up("--port", "0", "--simulator-port", "0", "--simulator-control-port", "0")
    up_file = tmp_path / "up.json"
    assert stays.stdout is not None
    answer = ""
    while "Ctrl-C stops all of it" not in answer:
        line = stays.stdout.readline()
        assert line, stays.communicate()[1]
        answer += line
    assert stat.S_IMODE(up_file.stat().st_mode) == 0o600
    told = json.loads(up_file.read_text())
    assert set(told) == {"url", "username", "password", "token", "database_url", "redis_url", "simulator", "pids"}
    assert port_accepts(told["simulator"]["control_port"])
    worker = told["pids"]["worker"]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: json.loads(up_file.read_text())["pids"].get("worker", worker) != worker)
    pids = json.loads(up_file.read_text())["pids"].values()

    stays.send_signal(signal.SIGINT)
    _, progress = stays.communicate(timeout=10)

    assert stays.returncode == 0, progress
    assert all(told[key] in answer for key in ("url", "username", "password", "token"))
    assert not any(is_running(pid) for pid in pids)
    assert not up_file.exists()
