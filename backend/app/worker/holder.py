"""One holder of a client id: a PostgreSQL advisory lock that a second worker waits for.

The lock belongs to a connection of its own and dies with the process that holds it.
"""

import hashlib

import psycopg
from django.db import connection as default_connection

from app.core.logging import get_logger

logger = get_logger(__name__)


class HolderLock:
    """The right to hold this client id on this account."""

    def __init__(self, *, account_id: str, client_id: int) -> None:
        name = f"broker-connection/{account_id}/{client_id}"
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def try_acquire(self) -> bool:
        """Take the lock where it is free, and say whether it is ours now. Raises psycopg.OperationalError."""
        if self.is_held():
            return True
        self.release()
        parameters = default_connection.get_connection_params()
        parameters.pop("cursor_factory", None)
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
