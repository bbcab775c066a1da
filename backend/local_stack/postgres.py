"""The embedded PostgreSQL: on loopback only, scram password only, no Unix socket, data kept between starts.

`initdb` and `postgres` are run by us; the server stays in the foreground under its own data folder and stops on
SIGINT ("fast": open transactions are rolled back, the next start needs no recovery).
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.binaries import PostgresPrograms, postgres_programs
from local_stack.errors import NotReadyError, UserWithoutNameError
from local_stack.home import ServiceHome
from local_stack.leftovers import process_command, process_start_mark, processes_end, processes_in
from local_stack.ports import LOOPBACK
from local_stack.process import POLL_SECONDS, ProcessSpec, ServiceUser

NAME = "postgres"
USER = "trading_analyst"
APPLICATION_USER = "trading_analyst_app"
DATABASE = "trading_analyst"
INITDB_TIMEOUT_SECONDS = 60
LEFTOVER_TIMEOUT_SECONDS = 5
# Web, workers and a person with psql; the application's pools are far below it.
CONNECTIONS_MAX = 200

# Python's own environment (PGDATA, PGHOST, LC_ALL ...) must not change what the server does.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# A test database is thrown away, so it need not survive a power cut.
THROW_AWAY_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
)


@dataclass(frozen=True, kw_only=True)
class EmbeddedPostgres:
    """One server with its data folder. `postgres_prepare` makes one."""

    programs: PostgresPrograms
    data: Path
    port: int
    password: str
    user: ServiceUser | None
    throw_away: bool

    @property
    def url(self) -> str:
        """The address for the owner of everything, a superuser: for migrations and tests."""
        return f"postgres://{USER}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def application_url(self, password: str) -> str:
        """Return the address for the application's role, which `migrate` makes with this password."""
        return f"postgres://{APPLICATION_USER}:{password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def clear_leftovers(self) -> None:
        """Wait until nothing of a killed server is left on the data. Raises NotReadyError."""
        _clear_leftovers(self.data)

    def spec(self) -> ProcessSpec:
        """Return how to start the server."""
        settings = [
            f"listen_addresses={LOOPBACK}",
            "unix_socket_directories=",
            f"max_connections={CONNECTIONS_MAX}",
            "timezone=UTC",
            "log_timezone=UTC",
            # A young database has no old log files to write into again, and who needs a new one waits until its 16 MB
            # are written: 10 to 20 ms in which no order is written ahead, against 2 without.
            "wal_init_zero=off",
            *(THROW_AWAY_SETTINGS if self.throw_away else ()),
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        return ProcessSpec(
            name=NAME,
            argv=[str(self.programs.folder / "postgres"), "-D", str(self.data), "-p", str(self.port), *options],
            environment=ENVIRONMENT,
            directory=Path("/"),
            ready=lambda pid, _log: _says_ready(self.data / "postmaster.pid", pid),
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            user=self.user,
        )


def postgres_prepare(
    home: ServiceHome, *, folder: Path, port: int, password: str, throw_away: bool = False
) -> EmbeddedPostgres:
    """Make the data folder ready to be served: created when it is new, cleared of a killed server's traces when it
    is not.

    Raises:
        UserWithoutNameError: the data folder is new, and the servers' user id has no name.
        BinaryMissingError, DataVersionError: see `postgres_programs`.
        NotReadyError: `initdb` failed, or a former server on this data does not end.
    """
    data = folder / "data"
    version = _data_version(data)
    if version is None:
        _require_name(home.user)
    programs = postgres_programs(home, data_major=version)
    if version is None:
        _initialise(programs, data=data, password=password, user=home.user, sync=not throw_away)
    else:
        _clear_leftovers(data)
    return EmbeddedPostgres(
        programs=programs, data=data, port=port, password=password, user=home.user, throw_away=throw_away
    )


def _require_name(user: ServiceUser | None) -> None:
    # `initdb` looks its user up, as nothing else here does. Containers often have such ids (`docker run --user 4242`).
    uid = user.uid if user else os.geteuid()
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        raise UserWithoutNameError(
            f"user {uid} has no name on this machine (no line in /etc/passwd), and PostgreSQL makes no database for "
            "such a user: give it one (as root: "
            f"echo 'trader:x:{uid}:{user.gid if user else os.getegid()}::/:/bin/sh' >>/etc/passwd), "
            "run as another user, or set DATABASE_URL"
        ) from error


def _data_version(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text().strip())
    except FileNotFoundError:
        return None


def _initialise(programs: PostgresPrograms, *, data: Path, password: str, user: ServiceUser | None, sync: bool) -> None:
    """Run `initdb` beside the final place and move the result there: a killed one leaves nothing that looks done."""
    fresh = data.with_name("data.new")
    password_file = data.with_name("password")
    for rest in (fresh, password_file):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"{password}\n")
        if user is not None:
            os.fchown(stream.fileno(), user.uid, user.gid)
    # The builtin provider knows Unicode without asking which locales the machine has; PostgreSQL has it since 17.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= 17 else []
    try:
        _run(
            [
                str(programs.folder / "initdb"),
                f"--pgdata={fresh}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                *locale,
                *([] if sync else ["--no-sync"]),
                "--no-instructions",
            ],
            user=user,
        )
        single = [str(programs.folder / "postgres"), "--single", "-D", str(fresh), "-j", "postgres"]
        _run(single, user=user, statement=f"CREATE DATABASE {DATABASE};\n")
    finally:
        password_file.unlink(missing_ok=True)
    fresh.rename(data)


def _run(argv: Sequence[str], *, user: ServiceUser | None, statement: str = "") -> None:
    result = subprocess.run(
        argv,
        input=statement.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=ENVIRONMENT,
        timeout=INITDB_TIMEOUT_SECONDS,
        check=False,
        start_new_session=True,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
    if result.returncode != 0:
        raise NotReadyError(f"{Path(argv[0]).name} failed:\n{result.stdout.decode(errors='replace')}")


def _clear_leftovers(data: Path) -> None:
    """End what a killed stack left running on this data, and remove a process-id file that points to a stranger.

    A file of a dead server is left to PostgreSQL, which also checks that none of its children still hold the shared
    memory.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, IndexError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    mark, command = process_start_mark(pid), process_command(pid)
    if mark is not None and str(data) in (command or ""):
        processes_end([(pid, mark)])
    elif mark is not None:
        pid_file.unlink()
    deadline = time.monotonic() + LEFTOVER_TIMEOUT_SECONDS
    while children := processes_in(data):
        if time.monotonic() > deadline:
            raise NotReadyError(f"processes {children} still use {data}: stop them")
        time.sleep(POLL_SECONDS)


def _says_ready(pid_file: Path, pid: int) -> bool:
    """Read the server's own word from `postmaster.pid`, as pg_ctl does: line 1 is its process id, line 8 its state."""
    try:
        # Line 2 is a path, which may hold anything but a line feed.
        lines = pid_file.read_bytes().split(b"\n")
    except OSError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid).encode() and lines[7].strip() == b"ready"
