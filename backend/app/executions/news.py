"""Order news over Redis: "something about this execution changed", ids only.

Published after the commit that changed it, by a thread of its own: no road waits for Redis. News is a hint, never the
truth: a reader subscribes first, then reads the rows, and reads them again on each piece of news and after a while
without any, so that a lost message delays nothing for long.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import redis
from django.conf import settings
from django.db import transaction

from app.core.logging import get_logger
from app.executions.messenger import Messenger

logger = get_logger(__name__)
MESSENGER = Messenger("news")
# Carries the id of every execution that changed: what a page that lists them subscribes to, however many it shows.
ALL_EXECUTIONS = "executions"
CLIENT_NAME = "order-news"  # What `CLIENT LIST` of the server shows.
_PAUSE = threading.Event()  # Never set: a wait on it is a pause that a signal can interrupt.


def channel_of(execution_id: int) -> str:
    """Return the name of the channel that carries this execution's news."""
    return f"execution:{execution_id}"


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, client_name=CLIENT_NAME, socket_connect_timeout=1, socket_timeout=2)


def publish_on_commit(*execution_ids: int) -> None:
    """Tell readers, once the current transaction is committed, that the executions changed."""
    if execution_ids:
        transaction.on_commit(lambda: MESSENGER.hand(lambda: _publish(execution_ids)))


def _publish(execution_ids: Sequence[int]) -> None:
    try:
        with _client().pipeline(transaction=False) as together:
            for execution_id in execution_ids:
                together.publish(channel_of(execution_id), str(execution_id))
                together.publish(ALL_EXECUTIONS, str(execution_id))
            together.execute()
    except redis.RedisError as error:
        # Readers poll as well: without Redis they see the change a little later.
        logger.warning("news_not_published", executions=list(execution_ids), error=str(error))


class NewsSubscription:
    """News of one execution, from the moment it was made."""

    def __init__(self, pubsub: "redis.client.PubSub | None", *, poll_seconds: float) -> None:
        self._pubsub = pubsub
        self._poll_seconds = poll_seconds

    def wait(self, *, seconds: float) -> None:
        """Return at the next piece of news, after `seconds`, or after the poll interval, whichever comes first."""
        limit = max(0.0, min(seconds, self._poll_seconds))
        if self._pubsub is not None:
            try:
                self._pubsub.get_message(ignore_subscribe_messages=True, timeout=limit)
            except redis.RedisError as error:
                logger.warning("news_lost", error=str(error))
                self._pubsub = None
            else:
                return
        _PAUSE.wait(limit)


@contextmanager
def subscription(execution_id: int, *, poll_seconds: float = 0.5) -> Iterator[NewsSubscription]:
    """Subscribe to an execution's news; without Redis the subscription only polls."""
    pubsub = None
    try:
        pubsub = _client().pubsub()  # type: ignore[no-untyped-call]  # redis has no stub for it
        pubsub.subscribe(channel_of(execution_id))
        # The confirmation is read here, so that what is published from now on is received.
        pubsub.get_message(timeout=1)
    except redis.RedisError as error:
        logger.warning("news_not_subscribed", execution=execution_id, error=str(error))
        pubsub = None
    try:
        yield NewsSubscription(pubsub, poll_seconds=poll_seconds)
    finally:
        if pubsub is not None:
            pubsub.close()
