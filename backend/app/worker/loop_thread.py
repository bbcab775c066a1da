"""One asyncio loop in one thread: where a connection lives while Celery's threads come and go.

`ib_async` is not thread-safe; nothing of it is touched outside this loop.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import psycopg
from django.db import DatabaseError, connections

from app.accounts.pool import pool_renew
from app.brokers.errors import BrokerTimeout, NotConnected

T = TypeVar("T")


class LoopThread:
    """Starts the loop, hands it coroutines from other threads with a time limit, and stops it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._is_stopping = False

    def start(self) -> None:
        """Start the thread; the loop runs until `stop`."""
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine in the loop and return its future."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, T], *, seconds_max: float) -> T:
        """Run a coroutine in the loop and wait for its result. Raises what it raises, and BrokerTimeout.

        After a BrokerTimeout the coroutine is cancelled; whether what it asked for happened is unknown.
        """
        if self._is_stopping or not self._thread.is_alive():
            coroutine.close()
            raise NotConnected("The connection's thread is not running.")
        future = self.submit(coroutine)
        try:
            return future.result(timeout=seconds_max)
        except TimeoutError as error:
            if future.done():  # The coroutine's own TimeoutError, not ours.
                raise
            future.cancel()
            raise BrokerTimeout(f"No result within {seconds_max:g} s.") from error

    def stop(self, *, seconds_max: float) -> None:
        """Cancel what still runs, stop the loop and wait for the thread, and for what it still does in the database."""
        if not self._thread.is_alive():
            return
        if not self._is_stopping:  # A second call only waits: the loop runs once more, for what must still end.
            self._is_stopping = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=seconds_max)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            running = asyncio.all_tasks(self._loop)
            for task in running:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*running, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            # A cancelled task leaves its database work running in another thread. Whoever stops us takes it that we
            # touch no row any more, so the thread ends with that work; `stop` bounds how long it is waited for.
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()


async def in_database_thread(work: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Run database work beside the loop, and give its connection back afterwards."""
    return await asyncio.to_thread(with_own_connection, work, *args, **kwargs)


def with_own_connection(work: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Run database work in this thread, and give its connection back to the pool afterwards."""
    try:
        return work(*args, **kwargs)
    except (DatabaseError, psycopg.Error) as error:
        pool_renew(error)
        raise
    finally:
        connections.close_all()
