"""Servers for one test run or one command: a real PostgreSQL and a real Valkey in a folder of their own, gone
afterwards.

`python -m local_stack.throw_away COMMAND ...` runs a command with them. `DATABASE_URL` and `REDIS_URL`, each when
set in the environment, are used instead. `.env` is not asked: it may name servers that hold somebody's data. Every
run has its own folder and ports, so several runs and an `up` at the same time don't meet.
"""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local_stack.errors import StackError
from local_stack.home import LOCAL, THROW_AWAY_PREFIX, ServiceHome, service_home, throw_away_is_over
from local_stack.leftovers import process_start_mark
from local_stack.ports import port_free
from local_stack.postgres import EmbeddedPostgres, postgres_prepare
from local_stack.process import RunningProcess, process_start, wait_all_ready
from local_stack.troubles import not_writable
from local_stack.valkey import EmbeddedValkey, valkey_prepare

VARIABLES = ("DATABASE_URL", "REDIS_URL")


class ThrowAwayServers:
    """The servers of this process."""

    def __init__(self) -> None:
        self._running: list[RunningProcess] = []
        self._prepared: list[EmbeddedPostgres | EmbeddedValkey] = []
        self._folder: Path | None = None

    def start(self) -> None:
        """Start the servers that the environment does not name, and set its variables to them.

        Raises:
            StackError: they cannot be started; nothing is left behind.
        """
        wanted = [variable for variable in VARIABLES if not os.environ.get(variable)]
        if not wanted:
            return
        try:
            self._start(wanted)
        except OSError as error:
            self.stop()
            raise not_writable(error, folder=LOCAL) from error
        except BaseException:
            self.stop()
            raise

    def _start(self, wanted: Sequence[str]) -> None:
        home = service_home()
        _sweep(home)
        # The mark tells a later run whether this one still lives.
        folder = home.folder(f"{THROW_AWAY_PREFIX}{os.getpid()}-{process_start_mark(os.getpid())}")
        self._folder = folder
        self._prepared = [_prepared(name, ServiceHome(folder, home.user), programs=home) for name in wanted]
        specs = [server.spec() for server in self._prepared]
        self._running = [process_start(spec, log=folder / f"{spec.name}.log") for spec in specs]
        wait_all_ready(self._running)

    def restart(self, name: str, *, kill: bool) -> None:
        """Stop or kill the server of that name and start it again where it was, with the data it had kept.

        Raises:
            KeyError: this process has started no such server.
            StackError: it does not start again.
        """
        number = {process.spec.name: number for number, process in enumerate(self._running)}[name]
        process, server = self._running[number], self._prepared[number]
        (process.kill if kill else process.stop)()
        if isinstance(server, EmbeddedPostgres):
            server.clear_leftovers()
        self._running[number] = started = process_start(process.spec, log=process.log)
        started.wait_ready()

    def stop(self) -> None:
        """Stop the servers and remove their folder; a second call does nothing."""
        for process in self._running:
            process.ask_to_stop()
        for process in self._running:
            process.stop()
        self._running = []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _prepared(variable: str, place: ServiceHome, *, programs: ServiceHome) -> EmbeddedPostgres | EmbeddedValkey:
    folder = place.folder(variable.partition("_")[0].lower())
    port, password = port_free(), secrets.token_urlsafe(24)
    server: EmbeddedPostgres | EmbeddedValkey
    if variable == "DATABASE_URL":
        server = postgres_prepare(programs, folder=folder, port=port, password=password, throw_away=True)
    else:
        server = valkey_prepare(programs, folder=folder, port=port, password=password, throw_away=True)
    os.environ[variable] = server.url
    return server


def _sweep(home: ServiceHome) -> None:
    """Remove the folders of runs that were killed; their servers died with them."""
    for folder in home.directory.glob(f"{THROW_AWAY_PREFIX}*"):
        if throw_away_is_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def main(command: list[str]) -> int:
    """Run a command with servers of its own and return its exit code."""
    servers = ThrowAwayServers()
    try:
        servers.start()
        return subprocess.run(command, check=False).returncode
    except StackError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        servers.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
