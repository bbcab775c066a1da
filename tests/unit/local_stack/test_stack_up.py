"""`scripts/up` as a person meets it: its options, what it tells the processes, its refusals, and one whole run."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack_programs import eventually, is_running

from app.config.running_stack import running_stack
from local_stack.errors import DemoUserClosedError, UsageError
from local_stack.home import CLONE, RECORD
from local_stack.jobs import PreparedMark
from local_stack.options import options_parse
from local_stack.ports import port_accepts
from local_stack.private_file import SECRETS
from local_stack.run_lock import LOCK, run_lock
from local_stack.services import Services
from local_stack.stack import Ports, stack_environment
from local_stack.up import demo_user_open, main
from tests.running_stack import Api

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


@pytest.mark.case("S63")
@pytest.mark.parametrize("option", ["--port", "--simulator-port", "--postgres-port"])
@pytest.mark.parametrize("port", ["-1", "65536", "http", "8_0", "８０", "", "80.0"])
def test_a_port_that_is_none_is_refused_in_one_line(
    option: str, port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{option}={port}"], local=tmp_path / "local") == 2

    line = (
        f"up: usage: {option}: {port!r} is no port; allowed: a whole number from 0 to 65535 (--help shows all options)"
    )
    assert capsys.readouterr().err.splitlines() == [line]
    assert not (tmp_path / "local").exists()


@pytest.mark.case("S63")
def test_an_option_that_there_is_not_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--prot", "80"], local=tmp_path / "local") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == "up: usage: unrecognized arguments: --prot 80 (--help shows all options)"


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


@pytest.mark.case("S16")
@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("", "127.0.0.1,localhost"),
        ("trading.example", "trading.example,127.0.0.1,localhost"),
        ("localhost, trading.example", "localhost,trading.example,127.0.0.1"),
    ],
)
def test_the_web_process_answers_us_whatever_it_is_called_outside(given: str, hosts: str) -> None:
    assert _environment(WITH_SIMULATOR, ALLOWED_HOSTS=given)["ALLOWED_HOSTS"] == hosts


@pytest.mark.case("S25")
@pytest.mark.parametrize("secure", ["true", "1", "YES"])
def test_a_demo_behind_tls_is_refused_before_anything_starts(secure: str) -> None:
    with pytest.raises(UsageError, match="SECURE is set"):
        options_parse([], {"SECURE": secure})

    assert options_parse(["--no-demo"], {"SECURE": secure}).demo is False
    assert options_parse([], {"SECURE": "false"}).demo is True


def test_a_database_is_prepared_again_for_another_setting_and_never_assumed_of_somebody_elses(tmp_path: Path) -> None:
    PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU1", "IB_PORT": "1"}).write()

    assert PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU1", "IB_PORT": "2"}).is_valid()
    assert not PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU2", "IB_PORT": "1"}).is_valid()
    assert not PreparedMark(tmp_path, environment={"IB_ACCOUNT": "DU1", "DEBUG": "true"}).is_valid()
    PreparedMark(None, environment={}).write()
    assert not PreparedMark(None, environment={}).is_valid()


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


@pytest.mark.case("S74")
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("a file", "File exists: something else is in its place: move that away"),
        ("below a file", "Not a directory: something else is in its place: move that away"),
        ("lock is a folder", "Is a directory: something else is in its place: move that away"),
        ("secrets is a folder", "Is a directory: something else is in its place: move that away"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line(
    where: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = tmp_path / "clone" / ".local"
    local.parent.mkdir()
    if where == "a file":
        local.touch()
    elif where == "below a file":
        local.touch()
        local = local / "local"
    else:
        local.mkdir()
        (local / (LOCK if where == "lock is a folder" else SECRETS)).mkdir()

    assert main(["--once", "--no-demo"], local=local) == 1

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("up: not_writable: ")
    assert f"{reason}, or clone into a folder that this user may write; " in line
    assert line.endswith(f"all that is kept between starts is in {local}")


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

    # The second finds it all there, buys nothing, says so, and stays.
    reference = answer.splitlines()[-1]
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
    executions = Api(url=told["url"], token=told["token"]).get("/api/v1/executions/").body["results"]
    assert [execution["reference"] for execution in executions] == [answer.splitlines()[0]] == [reference]
    assert running_stack(tmp_path)["url"] == told["url"]
    worker = told["pids"]["worker"]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: json.loads(up_file.read_text())["pids"].get("worker", worker) != worker)
    pids = json.loads(up_file.read_text())["pids"].values()

    stays.send_signal(signal.SIGINT)
    _, progress = stays.communicate(timeout=10)

    assert stays.returncode == 0, progress
    assert "Nothing was bought" in progress
    assert all(told[key] in answer for key in ("url", "username", "password", "token"))
    assert not any(is_running(pid) for pid in pids)
    assert not up_file.exists()


@pytest.mark.case("S35")
def test_what_a_killed_up_left_written_down_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"database_url": "postgres://gone"}')
    with run_lock(tmp_path):
        assert running_stack(tmp_path) == {"database_url": "postgres://gone"}

    assert running_stack(tmp_path) == {}


@pytest.mark.case("S35")
def test_a_command_that_looks_does_not_stop_an_up(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open() as looks:
        fcntl.flock(looks, fcntl.LOCK_SH)
        threading.Timer(0.2, lambda: fcntl.flock(looks, fcntl.LOCK_UN)).start()

        with run_lock(tmp_path):
            assert running_stack(tmp_path) == {}


@pytest.mark.slow
@pytest.mark.case("S11")
def test_up_never_opens_a_demo_user_that_was_closed(up: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    ports = ("--port", "0", "--simulator-port", "0", "--simulator-control-port", "0")
    manage = [sys.executable, CLONE / "manage.py"]

    def started(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process, said = up(*arguments, *ports), ""
        assert process.stdout is not None
        while "Ctrl-C stops all of it" not in said:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            said += line
        return process, said

    def users(code: str) -> str:
        urls = json.loads((tmp_path / "up.json").read_text())
        environment = {**os.environ, "DATABASE_URL": urls["database_url"], "REDIS_URL": urls["redis_url"]}
        code = f"from django.contrib.auth.models import User; {code}"
        shell = [*manage, "shell", "--no-imports", "-c", code]
        return subprocess.run(shell, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    # Without a demo there is no demo user.
    process, said = started("--no-demo")
    assert users("print(User.objects.count())") == "0"
    assert "password" not in said
    assert "token" not in json.loads((tmp_path / "up.json").read_text())
    users("User.objects.create_user('demo', password='x', is_active=False)")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    # With one, a user that somebody closed stays closed, and everything else runs.
    process, said = started()
    assert (
        users("u = User.objects.get(); print(u.is_active, u.groups.count(), u.check_password('x'))") == "False 0 True"
    )
    assert "password" not in said
    process.send_signal(signal.SIGINT)
    _, progress = process.communicate(timeout=20)
    assert "the user demo is left as it is, because it was deactivated" in progress


@pytest.mark.case("S11")
def test_where_the_demo_is_all_that_was_asked_for_a_closed_user_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    closed = {"username": "demo", "left_alone": "it was deactivated"}
    with pytest.raises(DemoUserClosedError, match=r"because it was deactivated.*demo_user --reset") as error:
        demo_user_open(closed, once=True)
    assert (error.value.code, error.value.exit_code) == ("demo_user_closed", 1)
    assert demo_user_open(closed, once=False) == {}
    assert "because it was deactivated: no demo is executed" in capsys.readouterr().err
    opened = {"username": "demo", "password": "p", "token": "t"}
    assert demo_user_open(opened, once=True) == opened
