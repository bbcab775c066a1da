"""The one stream of a page: server-sent events that say that we live, and what changed on the page.

    subscribe to the news ──> look at the rows, send what differs ──> wait ──┬─ news: look again
                                                 ▲                          ├─ 2 s: send a beat
                                                 └──────────────────────────┴─ 5 s of silence: look again

    snapshot   all that can change on the page; always the first event
    change     what differs from what was sent before: one row, not the page
    beat       nothing changed, and the rows can be read; the page shows amber where it stays away
    ended      the session, the roles or the thing itself is gone; the page must not go on as if nothing were

News is a hint: the rows are read after subscribing, so nothing falls between, and again in silence, so lost news is
only late. Each look reads session, user and roles as well, so a stream outlives none of them by more than one look. A
beat is sent only between looks that succeeded: where the database does not answer, the beats stay away. No database
connection is held while the stream waits.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from app.core.logging import get_logger
from app.web.live_looks import Asked, Seen, look_of, topic_of
from app.web.login import client_address
from app.web.stream_slots import NoSlot, Slot, slot_take
from app.web.visitor import ENDING_SENTENCES, Ended, Ending, visitor_read_again

logger = get_logger(__name__)

BEAT_SECONDS = 2.0
LOOK_SECONDS = 5.0
POLL_SECONDS = 1.0  # Between looks at the rows where Redis is away.
# After a look the next one waits eight times as long as that one took: many changes at once, in many windows, leave
# most of the processor to whoever trades.
PAUSE_FACTOR = 8
PAUSE_SECONDS_MAX = 2.0
# A browser opens a new stream by itself; no window is served by the same one for ever.
STREAM_SECONDS_MAX = 600.0

Look = Callable[[], Awaitable[Seen]]


@csrf_exempt
@require_GET
async def live_stream(request: HttpRequest) -> HttpResponseBase:
    """Follow what one page shows; see this module's docstring."""
    user = await request.auser()
    if not isinstance(user, User):
        return _logged_out()
    try:
        slot = slot_take(user_id=user.pk, address=client_address(request))
    except NoSlot as full:
        return _refused(full.code, str(full), status=full.status)
    asked = Asked(request=request, query=request.GET, csrf_token=get_token(request))
    try:
        follow = _follow(slot, topic_of(asked), _look(asked), csrf_token=asked.csrf_token)
    except Http404:
        slot.release()
        return _refused("page_unknown", "There is no such page to follow.", status=HTTPStatus.NOT_FOUND)
    response = StreamingHttpResponse(follow, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@csrf_exempt
@require_GET
async def live_now(request: HttpRequest) -> HttpResponseBase:
    """Return the stream's first event and no more, for a page whose stream cannot be had."""
    if not isinstance(await request.auser(), User):
        return _logged_out()
    asked = Asked(request=request, query=request.GET, csrf_token=get_token(request))
    try:
        seen = await _look(asked)()
    except Ended as ended:
        return _events(_ended(ended.ending))
    return _events(_event("snapshot", seen.all() | {"csrf": asked.csrf_token}))


def _look(asked: Asked) -> Look:
    session_key, standing = asked.request.session.session_key, asked.query.get("standing", "")

    def look() -> Seen:
        try:
            visitor_read_again(asked.request, session_key=session_key, standing=standing)
            return look_of(asked)
        except Http404:
            raise Ended(Ending.GONE) from None
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return sync_to_async(look)


async def _follow(slot: Slot, topic: str, look: Look, *, csrf_token: str) -> AsyncIterator[bytes]:
    slot.begin()
    request, now = asyncio.current_task(), asyncio.get_running_loop().time
    ends_at, shown = now() + STREAM_SECONDS_MAX, None
    try:
        async with _News(topic) as news:
            # The window was left: the cancel is asked for as well as awaited, because a library may lose it on its way
            # (asyncio.wait_for before Python 3.12, in which redis-py sends its commands).
            while not (request and request.cancelling()) and now() < ends_at:
                began = now()
                seen = await look()
                pause_until = now() + min(PAUSE_SECONDS_MAX, PAUSE_FACTOR * (now() - began))
                if shown is None:
                    yield _event("snapshot", seen.all() | {"csrf": csrf_token})
                elif changes := seen.since(shown):
                    yield _event("change", changes)
                else:
                    yield _event("beat", {})
                shown, look_at = seen, now() + LOOK_SECONDS
                while now() < look_at and not await news.wait(min(BEAT_SECONDS, look_at - now())):
                    yield _event("beat", {})
                await asyncio.sleep(max(0.0, pause_until - now()))
    except Ended as ended:
        yield _ended(ended.ending)
    finally:
        slot.release()


class _News:
    """News of one topic; where Redis is away, a pause."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
        self._pubsub = client.pubsub()
        self._open = AsyncExitStack()
        self._open.push_async_callback(client.aclose)
        self._open.push_async_callback(self._pubsub.aclose)
        self._heard = False

    async def __aenter__(self) -> "_News":
        if not self._topic:
            return self
        try:
            await self._pubsub.subscribe(self._topic)
            await self._pubsub.get_message(timeout=2)  # The confirmation: from here on everything is heard.
            self._heard = True
        except RedisError as error:
            logger.warning("stream_without_news", topic=self._topic, error=str(error))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def wait(self, seconds: float) -> bool:
        """Return at the next piece of news, or after `seconds`; say whether to look at the rows."""
        if not self._topic:
            await asyncio.sleep(seconds)
            return False
        if self._heard:
            try:
                message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=seconds)
                while message and await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0):
                    pass  # Several pieces at once are one look at the rows.
            except RedisError as error:
                logger.warning("stream_lost_news", topic=self._topic, error=str(error))
                self._heard = False
            else:
                return message is not None
        await asyncio.sleep(POLL_SECONDS)
        return True


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


def _ended(ending: Ending) -> bytes:
    return _event("ended", {"why": ending.value, "message": ENDING_SENTENCES[ending]})


def _events(content: bytes) -> HttpResponse:
    return HttpResponse(content, content_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _logged_out() -> HttpResponse:
    return _refused("session_ended", ENDING_SENTENCES[Ending.SESSION], status=HTTPStatus.UNAUTHORIZED)


def _refused(code: str, message: str, *, status: int) -> HttpResponse:
    answer = JsonResponse({"code": code, "message": message, "details": {}}, status=status)
    answer["Cache-Control"] = "no-store"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        answer["Retry-After"] = "5"
    return answer
