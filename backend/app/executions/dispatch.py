"""The only place that sends execution tasks.

The row is the outbox: a task that cannot be sent, or is lost with Redis, is sent again by the sweep.
"""

from functools import cache

import redis
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.core.logging import get_logger

logger = get_logger(__name__)

BROKER_QUEUE = "broker"
DEFAULT_QUEUE = "default"
# The sweep repeats what nobody takes: without an end to each message the queue would grow as long as a worker is away.
MESSAGE_SECONDS_MAX = 60
FLATTEN_SECONDS_MAX = 5  # Every sweep sends the next one.


@cache
def _queues(url: str) -> "redis.Redis":
    return redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=2)


def broker_queue_length() -> int:
    """Return how many tasks wait for the broker worker; 0 also where Redis does not tell, and then none can be sent."""
    try:
        return int(_queues(current_app.conf.broker_url).llen(BROKER_QUEUE))
    except RedisError as error:
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
    try:
        # Without `ignore_result` the sender listens for an answer that nobody reads, and fails where Redis is away.
        current_app.send_task(task, args=[execution_id], queue=queue, expires=expires, ignore_result=True)
    except (OperationalError, RedisError) as error:
        logger.warning("task_not_sent", task=task, execution=execution_id, error=str(error))
