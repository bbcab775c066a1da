"""The only place that sends tasks to the data worker."""

from typing import Any

from celery import current_app
from celery.exceptions import TimeoutError as ResultTimeout
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.core.errors import RetryLater

LOOK_UP_SECONDS_MAX = 6.0


def look_up(symbol: str) -> dict[str, Any]:
    """Ask the data worker for the symbol's description and price; wait for its answer.

    Returns the task's answer (see `worker.tasks.look_up`). Raises RetryLater `market_data_unavailable`.
    """
    try:
        pending = current_app.send_task(
            "market.look_up", args=[symbol], queue="data", expires=LOOK_UP_SECONDS_MAX, ignore_result=False, retry=False
        )
        answer: dict[str, Any] = pending.get(timeout=LOOK_UP_SECONDS_MAX, interval=0.01)
    except ResultTimeout as error:
        raise RetryLater(
            f"The data worker did not answer about {symbol} within {LOOK_UP_SECONDS_MAX:g} s.",
            code="market_data_unavailable",
        ) from error
    except (OperationalError, RedisError, RuntimeError) as error:  # Celery's word for a lost result store is the last.
        raise RetryLater("The task queue is away.", code="task_queue_unavailable") from error
    return answer
