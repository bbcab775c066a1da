"""One holder of a client id: a PostgreSQL advisory lock that a second worker waits for, and a fence that it raises.

    stand-by ── lock free ──> holder ── hold: fence raised ──> its writes pass, and every older holder's are refused
        └── lock held, and no sign of life for HOLDER_SILENT_SECONDS ──> depose it (accounts.fencing), then the lock

The lock belongs to a database connection of its own and dies with the process that holds it. A process that is stopped
keeps it, which is why silence is watched too.
"""

import hashlib
import secrets
import socket
import time
from typing import Protocol

import psycopg
from django.db import connection as default_connection

from app.accounts.fencing import (
    HolderSeen,
    Holding,
    fence_raise,
    fence_require,
    holder_depose,
    holder_seen,
    process_identity,
)
from app.brokers.errors import NotConnected
from app.core import clock
from app.core.logging import get_logger

logger = get_logger(__name__)

HOLDER_SILENT_SECONDS = 10.0


def session_name_make() -> str:
    """Return a name for the database sessions of this process: those of a holder that is deposed are ended by it."""
    return f"broker-worker {socket.gethostname()[:30]} {secrets.token_hex(4)}"


class OnHolding(Protocol):
    """Hears that we became the holder, raised the fence (`holding`), or are none any more."""

    def __call__(self, holding: Holding | None, *, is_holder: bool) -> None: ...


class Holder:
    """Whether this worker may hold the client id on the account, and by which fence. Used from one thread at a time.

    With a `session_name` this process can be deposed by the next holder: its sessions carry the name.
    """

    def __init__(
        self, *, account_id: str, client_id: int, session_name: str, silent_seconds: float, on_change: OnHolding
    ) -> None:
        self._account_id, self._client_id = account_id, client_id
        self._session_name = session_name
        self._silent_seconds = silent_seconds
        self._on_change = on_change
        self._lock = HolderLock(account_id=account_id, client_id=client_id, session_name=session_name)
        self._holding: Holding | None = None
        self._is_holder = False
        self._seen: HolderSeen | None = None
        self._seen_at = 0.0
        self.standing_by = False

    @property
    def is_holder(self) -> bool:
        """Whether we have the lock; the fence follows once the connection's row is known."""
        return self._is_holder

    @property
    def fence(self) -> int:
        """The number by which we hold the connection; 0 while we don't."""
        return self._holding.fence if self._holding is not None else 0

    def try_acquire(self) -> bool:
        """Take the lock where it is free, and say whether it is ours now. Raises psycopg.OperationalError."""
        if self._lock.is_held():
            return True
        self._set(None, is_holder=False)
        is_holder = self._lock.try_acquire()
        self.standing_by = not is_holder
        if is_holder:
            self._set(None, is_holder=True)
        return is_holder

    def hold(self, connection_id: int) -> None:
        """Raise the fence of the connection's row, once for each time that the lock was taken."""
        if self._holding is None or self._holding.connection_id != connection_id:
            process = process_identity() if self._session_name else ""
            holding = fence_raise(
                connection_id=connection_id, name=self._session_name, process=process, now=clock.now()
            )
            self._set(holding, is_holder=True)

    def require(self) -> Holding:
        """Return by which right we write; raise Fenced, or NotConnected where there is none. Before what has no row."""
        if self._holding is None:
            raise NotConnected("This worker does not hold the connection now.")
        fence_require(self._holding)
        return self._holding

    def check(self) -> Holding:
        """Return by which right we write; raise Fenced, or NotConnected where the lock was lost."""
        holding = self.require()
        if not self._lock.is_held():
            raise NotConnected("The holder's lock was lost with its database connection.")
        return holding

    def depose_if_silent(self) -> bool:
        """Depose the present holder where it has shown no life for too long, by our own clock; say whether it was."""
        seen = holder_seen(account_id=self._account_id, client_id=self._client_id)
        now = time.monotonic()
        if seen is None or seen != self._seen:
            self._seen, self._seen_at = seen, now
            return False
        if now - self._seen_at < self._silent_seconds:
            return False
        holder_depose(seen)
        self._seen = None
        return True

    def release(self) -> None:
        """Give the lock to whoever waits for it."""
        self._lock.release()
        self._set(None, is_holder=False)

    def _set(self, holding: Holding | None, *, is_holder: bool) -> None:
        if (holding, is_holder) != (self._holding, self._is_holder):
            self._holding, self._is_holder = holding, is_holder
            self._on_change(holding, is_holder=is_holder)


class HolderLock:
    """The right to hold this client id on this account."""

    def __init__(self, *, account_id: str, client_id: int, session_name: str = "") -> None:
        name = f"broker-connection/{account_id}/{client_id}"
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._session_name = session_name
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def try_acquire(self) -> bool:
        """Take the lock where it is free, and say whether it is ours now. Raises psycopg.OperationalError."""
        if self.is_held():
            return True
        self.release()
        parameters = default_connection.get_connection_params()
        parameters.pop("cursor_factory", None)
        if self._session_name:
            parameters["application_name"] = self._session_name
        connection = psycopg.connect(**parameters, autocommit=True, connect_timeout=5)
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
        if row is None or row[0] is not True:
            connection.close()
            return False
        self._connection = connection
        return True

    def is_held(self) -> bool:
        """Say whether the lock is still ours: whether its connection lives."""
        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            logger.warning("holder_lock_lost")
            self._connection = None
            return False
        return True

    def release(self) -> None:
        """Give the lock to whoever waits for it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
