"""Runs what the connection's own process asks itself to do, without the task queue.

    sweep, guard, kill switch ── dispatch ──> LocalTasks ──> the task, in a thread here
    web, commands             ── dispatch ──> Redis ──> this worker's consumer

A cancel, a close or a deadline that the broker worker's own sweep finds due does not wait for Redis: it is carried out
where it was found, also while Redis hangs, refuses or is away. Every task is safe to repeat.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.core.logging import get_logger
from app.worker.loop_thread import with_own_connection

logger = get_logger(__name__)

THREADS = 4


class LocalTasks:
    """A few threads; what waits already is not taken twice."""

    def __init__(self, run: Callable[[str, int], object], *, threads: int = THREADS) -> None:
        self._do = run
        self._waiting: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="local-task")

    def take(self, task: str, execution_id: int) -> None:
        """Have the task run soon. Never blocks."""
        with self._lock:
            if (task, execution_id) in self._waiting:
                return
            self._waiting.add((task, execution_id))
            self._threads.submit(self._run, task, execution_id)

    def stop(self) -> None:
        """Begin no more; what runs is finished."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, task: str, execution_id: int) -> None:
        with self._lock:  # What is asked for from here on is asked for anew.
            self._waiting.discard((task, execution_id))
        try:
            with_own_connection(self._do, task, execution_id)
        except Exception:  # As for a task of the queue: the sweep asks again.
            logger.exception("local_task_failed", task=task, execution=execution_id)
