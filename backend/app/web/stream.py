"""The stream that keeps an execution's page current: server-sent events, each a changed part of the page as HTML.

    subscribe to the news ──> read the rows, send ──> wait ──┬─ news: read the rows, send
                                                 ▲           ├─ 15 s of silence: ping, read the rows, send if changed
                                                 └───────────┘
    finished: send, say so, stop

News is a hint: the rows are read after subscribing, so nothing falls between, and again in silence, so lost news is
only late. No database connection is held while it waits.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from redis.exceptions import RedisError

from app.core.logging import get_logger
from app.executions.news import channel_of
from app.web.execution_pages import execution_fragment, execution_of

logger = get_logger(__name__)

PING_SECONDS = 15.0
POLL_SECONDS = 1.0  # Between looks at the rows where Redis is away.
# A browser opens a new stream by itself: who logged out or lost a role meanwhile is not let in again.
STREAM_SECONDS_MAX = 600.0
STREAMS_MAX = 500
_open_streams: set[object] = set()

Look = Callable[[], Awaitable["Seen"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What one look at the rows found: both parts of the page that change, and whether the execution is over."""

    execution: str
    banner: str
    finished: bool


async def execution_stream(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Follow one execution. Events `execution` and `banner` carry HTML, `finished` ends the stream."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse("Log in first.", status=401)
    request.user = user
    if len(_open_streams) >= STREAMS_MAX:
        return HttpResponse("Too many streams are open.", status=503)

    token = get_token(request)  # Once: it is written differently each time, and every look would seem a change.

    def look() -> Seen:
        try:
            execution = execution_of(request, pk=pk)
            return Seen(
                execution=execution_fragment(request, execution, csrf_token=token),
                banner=render_to_string("web/parts/banner.html", request=request),
                finished=execution.is_finished,
            )
        finally:
            if not connection.in_atomic_block:
                connection.close()

    read: Look = sync_to_async(look)
    try:
        await read()
    except Http404:
        return HttpResponse("There is no such execution.", status=404)
    response = StreamingHttpResponse(_follow(pk, read), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


async def _follow(execution_id: int, read: Look) -> AsyncIterator[bytes]:
    token = object()
    _open_streams.add(token)
    ends_at = asyncio.get_running_loop().time() + STREAM_SECONDS_MAX
    request = asyncio.current_task()
    try:
        async with _News(execution_id) as news:
            shown: Seen | None = None
            # The window was left: the cancel is asked for as well as awaited, because a library may lose it on its way
            # (asyncio.wait_for before Python 3.12, in which redis-py sends its commands).
            while not (request and request.cancelling()) and asyncio.get_running_loop().time() < ends_at:
                seen = await read()
                changed = b""
                if shown is None or seen.execution != shown.execution:
                    changed += _event("execution", seen.execution)
                if shown is None or seen.banner != shown.banner:
                    changed += _event("banner", seen.banner)
                if changed:
                    yield changed
                shown = seen
                if seen.finished:
                    yield _event("finished", "")
                    return
                if not await news.wait():
                    yield b": ping\n\n"
    finally:
        _open_streams.discard(token)


class _News:
    """News of one execution; where Redis is away, a pause."""

    def __init__(self, execution_id: int) -> None:
        self._channel = channel_of(execution_id)
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
        self._pubsub = client.pubsub()
        self._open = AsyncExitStack()
        self._open.push_async_callback(client.aclose)
        self._open.push_async_callback(self._pubsub.aclose)
        self._heard = False

    async def __aenter__(self) -> "_News":
        try:
            await self._pubsub.subscribe(self._channel)
            await self._pubsub.get_message(timeout=2)  # The confirmation: from here on everything is heard.
            self._heard = True
        except RedisError as error:
            logger.warning("stream_without_news", channel=self._channel, error=str(error))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def wait(self) -> bool:
        """Return at the next piece of news, or after the ping interval; say whether there was news."""
        if self._heard:
            try:
                message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=PING_SECONDS)
                while message and await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0):
                    pass  # Several pieces at once are one look at the rows.
            except RedisError as error:
                logger.warning("stream_lost_news", channel=self._channel, error=str(error))
                self._heard = False
            else:
                return message is not None
        await asyncio.sleep(POLL_SECONDS)
        return False


def _event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.splitlines()) or "data: \n"
    return f"event: {name}\n{lines}\n".encode()
