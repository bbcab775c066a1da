"""The pool of database connections after the server went away: dead ones are thrown out together, not one per failure.

After a restart of the server every pooled connection is dead. Each would fail one request, or cost a worker one more
back-off. The pool's own check before each use waits longer after each dead one, so getting through many takes minutes.
"""

import psycopg
from django.db import InterfaceError, OperationalError, connection

from app.core.logging import get_logger

logger = get_logger(__name__)

_CONNECTION_ERRORS = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


def is_connection_error(error: BaseException) -> bool:
    """Say whether the connection or the server failed, and not what was asked of it: the same may work when repeated.

    A session that the server ended in the middle of a transaction, because its process stood still, counts as well,
    though PostgreSQL's class of that error is another (25P03).
    """
    ended = isinstance(error.__cause__, psycopg.errors.IdleInTransactionSessionTimeout)
    return ended or isinstance(error, _CONNECTION_ERRORS)


def pool_renew(error: BaseException) -> None:
    """Throw dead connections out of this process's pool where `error` says that there may be some. Never raises."""
    pool = getattr(connection, "pool", None)
    # A pool that was never opened holds nothing, and a check of it would fail and keep it from ever growing.
    if pool is None or pool.closed or not is_connection_error(error):
        return
    try:
        pool.check()
    except psycopg.Error as failure:
        logger.warning("pool_not_checked", error=str(failure).strip())
