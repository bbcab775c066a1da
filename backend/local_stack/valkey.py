"""The embedded Valkey (a Redis):

On loopback only, with a password, append-only file on, so that queued work survives a restart.
"""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from local_stack.binaries import valkey_program
from local_stack.home import ServiceHome
from local_stack.ports import LOOPBACK
from local_stack.process import ProcessSpec, ServiceUser

NAME = "valkey"
ANSWER_TIMEOUT_SECONDS = 1
MEMORY_MAX = "256mb"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, kw_only=True)
class EmbeddedValkey:
    """One server with its data folder. `valkey_prepare` makes one."""

    program: Path
    configuration: Path
    port: int
    password: str
    user: ServiceUser | None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def spec(self) -> ProcessSpec:
        """Return how to start the server."""
        return ProcessSpec(
            name=NAME,
            argv=[str(self.program), str(self.configuration)],
            environment=ENVIRONMENT,
            # The server keeps its files where it is started: a path in its configuration would be split at blanks.
            directory=self.configuration.parent,
            ready=lambda _pid, _log: _answers(self.port, self.password),
            death_signal=signal.SIGTERM,
            user=self.user,
        )


def valkey_prepare(
    home: ServiceHome, *, folder: Path, port: int, password: str, throw_away: bool = False
) -> EmbeddedValkey:
    """Write the server's configuration beside its data.

    Raises:
        BinaryMissingError: there is no server program for this machine.
    """
    program = valkey_program(home)
    settings = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        'save ""',
        f"appendonly {'no' if throw_away else 'yes'}",
        # A queue that silently forgets is worse than one that refuses.
        f"maxmemory {MEMORY_MAX}",
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    configuration = folder / "valkey.conf"
    configuration.unlink(missing_ok=True)
    # A file, because a password among the arguments could be read by every user of the machine.
    descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write("\n".join([*settings, ""]))
        if home.user is not None:
            os.fchown(stream.fileno(), home.user.uid, home.user.gid)
    return EmbeddedValkey(program=program, configuration=configuration, port=port, password=password, user=home.user)


def _answers(port: int, password: str) -> bool:
    """Say whether the server takes our password and answers a PING; while it loads its file it refuses."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=ANSWER_TIMEOUT_SECONDS) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\n") < 2 and (more := connection.recv(256)):
                answer += more
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
