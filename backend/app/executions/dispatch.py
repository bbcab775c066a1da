"""The only place that sends execution tasks.

The row is the outbox: a task that cannot be sent, or is lost with Redis, is sent again by the sweep. Nobody waits for
Redis: a thread hands it the tasks. In the process that holds the connection to the broker they are run without it.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import ClassVar

import redis
from celery import Celery, current_app
from celery.app import app_or_default
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.core.logging import get_logger
from app.executions.messenger import Messenger

logger = get_logger(__name__)
MESSENGER = Messenger("tasks")

BROKER_QUEUE = "broker"
DEFAULT_QUEUE = "default"
# The sweep repeats what nobody takes: without an end to each message the queue would grow as long as a worker is away.
MESSAGE_SECONDS_MAX = 60
FLATTEN_SECONDS_MAX = 5  # Every sweep sends the next one.


# How long the sweep waits for the length of the queue, and for how long it does not ask a Redis that did not answer.
LENGTH_SECONDS_MAX, NOT_ASKED_SECONDS = 0.5, 10.0


class _Process:
    """What holds for this process: who runs the broker worker's tasks here, until when Redis is not asked."""

    runs_here: Callable[[str, int], None] | None = None
    not_asked_until: ClassVar[dict[str, float]] = {}


def run_here(take: Callable[[str, int], None] | None) -> None:
    """Have the broker worker's tasks that this process asks for run by `take`, and not sent; None: sent again."""
    _Process.runs_here = take


@cache
def _queues(url: str) -> "redis.Redis":
    limits = {"socket_connect_timeout": LENGTH_SECONDS_MAX, "socket_timeout": LENGTH_SECONDS_MAX}
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **limits)


def broker_queue_length() -> int:
    """Return how many tasks wait for the broker worker; 0 also where Redis does not tell, and then none can be sent."""
    url: str = current_app.conf.broker_url
    if time.monotonic() < _Process.not_asked_until.get(url, 0.0):
        return 0
    try:
        return int(_queues(url).llen(BROKER_QUEUE))
    except RedisError as error:
        _Process.not_asked_until[url] = time.monotonic() + NOT_ASKED_SECONDS
        logger.warning("queue_not_read", error=str(error))
        return 0


def submit_on_commit(execution_id: int) -> None:
    """Ask the broker worker to submit the execution, once the current transaction is committed."""
    transaction.on_commit(lambda: submit(execution_id))


def submit(execution_id: int) -> None:
    """Ask the broker worker to submit the execution."""
    _send("executions.submit", execution_id, queue=BROKER_QUEUE, expires=MESSAGE_SECONDS_MAX)


def cancel_on_commit(execution_id: int) -> None:
    """Ask the broker worker to send the execution's cancel, once the current transaction is committed."""
    transaction.on_commit(lambda: cancel(execution_id))


def cancel(execution_id: int) -> None:
    """Ask the broker worker to send the cancels that are due on the execution."""
    _send("executions.cancel", execution_id, queue=BROKER_QUEUE, expires=MESSAGE_SECONDS_MAX)


def changes_on_commit(execution_id: int) -> None:
    """Ask the broker worker to send the execution's moves, once the current transaction is committed."""
    transaction.on_commit(lambda: changes(execution_id))


def changes(execution_id: int) -> None:
    """Ask the broker worker to send the moves of the execution's orders that were not sent yet."""
    _send("executions.changes", execution_id, queue=BROKER_QUEUE, expires=MESSAGE_SECONDS_MAX)


def flatten_on_commit(execution_id: int) -> None:
    """Ask the broker worker to close what the execution holds, once the current transaction is committed."""
    transaction.on_commit(lambda: flatten(execution_id))


def flatten(execution_id: int) -> None:
    """Ask the broker worker to take the next step of closing what the execution holds."""
    _send("executions.flatten", execution_id, queue=BROKER_QUEUE, expires=FLATTEN_SECONDS_MAX)


def wait_for_fill(execution_id: int) -> None:
    """Have a worker watch the execution until its entry is filled, refused or past its deadline."""
    _send("executions.wait_for_fill", execution_id, queue=DEFAULT_QUEUE)


def _send(task: str, execution_id: int, *, queue: str, expires: float | None = None) -> None:
    if queue == BROKER_QUEUE and _Process.runs_here is not None:
        _Process.runs_here(task, execution_id)
        return
    app = app_or_default()  # The thread that sends has a current one of its own.
    MESSENGER.hand(lambda: _send_now(app, task, execution_id, queue=queue, expires=expires))


def _send_now(app: Celery, task: str, execution_id: int, *, queue: str, expires: float | None) -> None:
    try:
        # Without `ignore_result` the sender listens for an answer that nobody reads, and fails where Redis is away.
        app.send_task(task, args=[execution_id], queue=queue, expires=expires, ignore_result=True)
    except (OperationalError, RedisError) as error:
        logger.warning("task_not_sent", task=task, execution=execution_id, error=str(error))
