"""The pool of database connections after the server went away: dead ones are thrown out together, not one per failure.

After a restart of the server every pooled connection is dead. Each would fail one request, or cost a worker one more
back-off. The pool's own check before each use waits longer after each dead one, so getting through many takes minutes.
"""

import psycopg
from django.db import InterfaceError, OperationalError, connection

from app.core.logging import get_logger

logger = get_logger(__name__)

CONNECTION_ERRORS = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)


def pool_renew(error: BaseException) -> None:
    """Throw dead connections out of this process's pool where `error` says that there may be some. Never raises."""
    pool = getattr(connection, "pool", None)
    if pool is None or not isinstance(error, CONNECTION_ERRORS):
        return
    try:
        pool.check()
    except psycopg.Error as failure:
        logger.warning("pool_not_checked", error=str(failure).strip())
