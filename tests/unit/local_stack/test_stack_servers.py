"""The embedded servers: real, behind a password, on loopback, their data kept through restarts and kills."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from stack_programs import eventually, is_running, kill_nine, process_user

from local_stack.errors import DataVersionError, NotReadyError
from local_stack.home import NOBODY, ServiceHome
from local_stack.leftovers import processes_in
from local_stack.ports import port_free
from local_stack.postgres import EmbeddedPostgres, postgres_prepare
from local_stack.process import ProcessSpec, RunningProcess
from local_stack.valkey import EmbeddedValkey, valkey_prepare

Start = Callable[[ProcessSpec], RunningProcess]
PASSWORD = "an-ordinary-word"


@pytest.fixture
def postgres(home: ServiceHome) -> EmbeddedPostgres:
    return _postgres(home)


@pytest.fixture
def valkey(home: ServiceHome) -> EmbeddedValkey:
    return _valkey(home)


def _postgres(home: ServiceHome, *, port: int | None = None) -> EmbeddedPostgres:
    return postgres_prepare(home, folder=home.folder("postgres"), port=port or port_free(), password=PASSWORD)


def _valkey(home: ServiceHome) -> EmbeddedValkey:
    return valkey_prepare(home, folder=home.folder("valkey"), port=port_free(), password=PASSWORD)


def _query(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]  # Statements of this file only.
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def test_postgres_keeps_its_data_through_a_stop_and_a_kill(start: Start, home: ServiceHome) -> None:
    first = _postgres(home)
    process = start(first.spec())
    process.wait_ready()
    _query(first.url, "CREATE TABLE kept (name text)")
    _query(first.url, "INSERT INTO kept VALUES ('after a stop')")
    process.stop()
    assert process.exit_code == 0

    second = _postgres(home)
    process = start(second.spec())
    process.wait_ready()
    _query(second.url, "INSERT INTO kept VALUES ('after a kill')")
    assert (second.data / "postmaster.pid").exists()
    kill_nine(process)

    third = _postgres(home)
    start(third.spec()).wait_ready()
    assert _query(third.url, "SELECT string_agg(name, ', ') FROM kept") == "after a stop, after a kill"


def test_postgres_answers_only_on_loopback_and_only_with_the_password(start: Start, postgres: EmbeddedPostgres) -> None:
    start(postgres.spec()).wait_ready()

    assert _query(postgres.url, "SHOW listen_addresses") == "127.0.0.1"
    assert _query(postgres.url, "SHOW unix_socket_directories") == ""
    assert _query(postgres.url, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        _query(postgres.url.replace(PASSWORD, "wrong"), "SELECT 1")


def test_postgres_folds_letters_of_every_language(start: Start, postgres: EmbeddedPostgres) -> None:
    start(postgres.spec()).wait_ready()

    assert _query(postgres.url, "SELECT 'ÄÖ' ILIKE 'äö'") is True


def test_no_password_is_left_readable(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    assert [path.name for path in postgres.data.parent.iterdir()] == ["data"]
    assert stat.S_IMODE(postgres.data.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(valkey.configuration.stat().st_mode) == 0o600
    assert not any(PASSWORD in word for spec in (postgres.spec(), valkey.spec()) for word in spec.argv)


def test_a_process_id_file_that_names_a_stranger_does_not_stop_the_start(start: Start, home: ServiceHome) -> None:
    postgres = _postgres(home)
    process = start(postgres.spec())
    process.wait_ready()
    kill_nine(process)
    pid_file = postgres.data / "postmaster.pid"
    stranger = subprocess.Popen(["sleep", "60"], user=home.user.uid if home.user else None)
    try:
        eventually(lambda: not processes_in(postgres.data))
        pid_file.write_text(pid_file.read_text().replace(str(process.pid), str(stranger.pid), 1))

        again = _postgres(home)
        start(again.spec()).wait_ready()

        assert _query(again.url, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_left_running_on_the_data_is_ended_first(start: Start, home: ServiceHome) -> None:
    old = start(_postgres(home).spec())
    old.wait_ready()

    new = _postgres(home)

    assert old.exit_code is not None
    start(new.spec()).wait_ready()


def test_a_killed_initdb_leaves_nothing_that_looks_complete(start: Start, home: ServiceHome) -> None:
    folder = home.folder("interrupted")
    half = folder / "data.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    postgres = postgres_prepare(home, folder=folder, port=port_free(), password=PASSWORD, throw_away=True)

    start(postgres.spec()).wait_ready()
    assert not half.exists()


def test_data_of_another_version_is_named(home: ServiceHome) -> None:
    folder = home.folder("ancient")
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("9\n")

    with pytest.raises(DataVersionError, match=r"was written by PostgreSQL 9, here is \d+"):
        postgres_prepare(home, folder=folder, port=port_free(), password=PASSWORD)


def test_a_port_taken_at_the_last_moment_shows_in_the_error(start: Start, home: ServiceHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(_postgres(home, port=server.getsockname()[1]).spec())

        with pytest.raises(NotReadyError, match=r"(?s)postgres ended with exit code 1.*could not bind IPv4 address"):
            process.wait_ready()


def test_postgres_dies_with_a_parent_that_is_killed(home: ServiceHome, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from local_stack.home import NOBODY, ServiceHome\n"
        "from local_stack.process import ServiceUser, process_start\n"
        "from local_stack.postgres import postgres_prepare\n"
        "folder, uid, gid, port = Path(sys.argv[1]), *map(int, sys.argv[2:5])\n"
        "home = ServiceHome(folder.parent, ServiceUser(uid, gid) if uid else None)\n"
        "server = postgres_prepare(home, folder=folder, port=port, password='word')\n"
        "process = process_start(server.spec(), log=Path(sys.argv[5]))\n"
        "process.wait_ready()\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    folder = home.folder("postgres")
    user = (home.user.uid, home.user.gid) if home.user else (0, 0)
    command = [sys.executable, "-c", code, str(folder), *(str(n) for n in (*user, port_free())), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)

        os.kill(parent.pid, signal.SIGKILL)

    eventually(lambda: not is_running(pid) and not processes_in(folder / "data"))


def test_valkey_keeps_its_data_through_a_kill(start: Start, home: ServiceHome) -> None:
    first = _valkey(home)
    process = start(first.spec())
    process.wait_ready()
    with redis.Redis.from_url(first.url) as client:
        client.lpush("queue", "a task")
    # The file is written once a second.
    eventually(lambda: b"a task" in b"".join(path.read_bytes() for path in first.configuration.parent.rglob("*.aof")))
    kill_nine(process)

    second = _valkey(home)
    start(second.spec()).wait_ready()

    with redis.Redis.from_url(second.url) as client:
        assert client.lrange("queue", 0, -1) == [b"a task"]


def test_valkey_refuses_without_the_password(start: Start, valkey: EmbeddedValkey) -> None:
    start(valkey.spec()).wait_ready()

    with socket.create_connection(("127.0.0.1", valkey.port)) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_the_servers_never_run_as_root(start: Start, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    for server in (postgres, valkey):
        process = start(server.spec())
        process.wait_ready()

        assert process_user(process.pid) == (os.geteuid() or NOBODY.uid)
