"""The pool of database connections, after the server has ended them all."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from app.accounts.models import Account
from app.accounts.pool import is_connection_error, pool_renew
from app.accounts.services import account_ensure
from app.worker.loop_thread import with_own_connection

pytestmark = pytest.mark.django_db(transaction=True)

CONNECTIONS = 5


def ask() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def ask_at_once() -> list[int]:
    """Ask in several threads, each with a connection of its own; return the answers."""
    together = threading.Barrier(CONNECTIONS)

    def ask_together() -> int:
        answer = ask()
        together.wait(timeout=10)
        return answer

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        asked = [threads.submit(with_own_connection, ask_together) for _ in range(CONNECTIONS)]
        return [future.result() for future in asked]


def test_dead_connections_fail_once_and_not_each() -> None:
    # Given a pool with several connections that were in use at once
    assert ask_at_once() == [1] * CONNECTIONS
    # When the server ends them all, as a restart does
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
        ended = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
            [connection.settings_dict["NAME"], connection.connection.info.backend_pid if connection.connection else 0],
        ).fetchone()
    assert ended is not None
    assert ended[0] >= CONNECTIONS
    # Then one fails, and with it all of them are gone
    answers = []
    with ThreadPoolExecutor(1) as threads:
        for _ in range(CONNECTIONS):
            try:
                answers.append(threads.submit(with_own_connection, ask).result())
            except OperationalError:
                answers.append(0)
    assert answers == [0, 1, 1, 1, 1]


def test_a_pool_that_was_never_opened_survives_a_failure_and_can_grow() -> None:
    # Given a process that has not asked the database for anything yet
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    # When what it does first fails, by a way of its own, because the server is just starting
    pool_renew(OperationalError("the database system is starting up"))
    # Then several of its threads can work at once as soon as the server answers
    assert ask_at_once() == [1] * CONNECTIONS


def test_a_row_that_a_stopped_process_has_locked_is_free_after_a_while(idle_in_transaction_max: str) -> None:
    # Given a transaction that has locked a row, and goes on only when somebody else has had it
    account, locked, had = account_ensure("DU1234567"), threading.Event(), threading.Event()

    def stand_still() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{idle_in_transaction_max}'")
            Account.objects.select_for_update().get(pk=account.pk)
            locked.set()
            had.wait(60)
            Account.objects.count()

    def lock() -> float:
        begun = time.monotonic()
        with transaction.atomic():
            Account.objects.select_for_update().get(pk=account.pk)
        return time.monotonic() - begun

    with ThreadPoolExecutor(2) as threads:
        stopped = threads.submit(with_own_connection, stand_still)
        assert locked.wait(10)
        # Then whoever waits for it gets it, and the one that stood still hears that its transaction is over
        assert threads.submit(with_own_connection, lock).result(timeout=50) > 0
        had.set()
        with pytest.raises(DatabaseError) as ended:
            stopped.result(timeout=10)
        assert is_connection_error(ended.value)
