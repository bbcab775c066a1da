"""Visitors of the pages' stream: they log in, open it, and read its events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient

from app.web.visitor import standing_of

T = TypeVar("T")
Event = tuple[str, dict[str, Any]]
STREAM = "/live/stream"


async def in_database(work: Callable[[], T]) -> T:
    """Do `work` in the thread that stands for the database, and give its connection back."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return await sync_to_async(run)()


async def logged_in(user: User) -> AsyncClient:
    client = AsyncClient()
    await in_database(lambda: client.force_login(user))
    return client


async def asked(user: User, view: str, **filters: Any) -> dict[str, Any]:
    standing = await in_database(lambda: standing_of(get_user_model().objects.get(pk=user.pk)))
    return {"view": view, "standing": standing, **filters}


async def opened(user: User, view: str, **filters: Any) -> Any:
    client = await logged_in(user)
    return await client.get(STREAM, await asked(user, view, **filters))


def events_in(text: str) -> list[Event]:
    """Return the events of a piece of the stream; each is two lines and an empty one."""
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        first, second = block.split("\n")
        events.append((first.removeprefix("event: "), json.loads(second.removeprefix("data: "))))
    return events


@asynccontextmanager
async def followed(answer: Any) -> AsyncIterator[Callable[..., Any]]:
    """The next event of an opened stream, or the next of this kind."""
    async with aclosing(aiter(answer.streaming_content)) as pieces:

        async def following(kind: str = "") -> Event:
            async with asyncio.timeout(10):
                while True:
                    [event] = events_in((await anext(pieces)).decode())
                    if kind in ("", event[0]):
                        return event

        yield following
