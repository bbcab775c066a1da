"""A pacer on a clock that the test moves, and a record of what it let leave when."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from app.brokers.base import SendPriority
from app.brokers.ib.pacer import Pacer

LIMIT = 45
BROKERS_LIMIT = 50
LATE = 3


class Handle:
    """A call that waits on the test's clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class HandClock:
    """Time stands still until `advance` moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._calls: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Handle:
        handle = Handle(callback)
        heapq.heappush(self._calls, (self.now + delay, next(self._numbers), handle))
        return handle

    async def advance(self, seconds: float) -> None:
        """Move on, stopping at each call that falls due and letting everybody run there."""
        end = self.now + seconds
        await settle()
        while self._calls and self._calls[0][0] <= end:
            due, _, handle = heapq.heappop(self._calls)
            self.now = max(self.now, due)
            if handle.callback:
                handle.callback()
            await settle()
        self.now = end


async def settle() -> None:
    """Let everybody run until nobody has anything to do at this moment."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:
        await asyncio.sleep(0)


@dataclass
class Desk:
    """A pacer, its clock, and a record of what was sent when."""

    clock: HandClock = field(default_factory=HandClock)
    limit: int = LIMIT
    late: int = LATE
    queue_length_max: int = 2000
    entries_wait: bool = False
    sent: list[tuple[float, str]] = field(default_factory=list)
    holders: int = 0
    holders_max: int = 0

    def __post_init__(self) -> None:
        self.pacer = Pacer(
            messages_per_window=self.limit,
            late_messages=self.late,
            queue_length_max=self.queue_length_max,
            entries_wait=lambda: self.entries_wait,
            clock=self.clock,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def send(
        self,
        name: str,
        *,
        priority: SendPriority = SendPriority.ENTRY,
        messages: int = 1,
        hold_seconds: float = 0.0,
        ahead_seconds: float | Callable[[], float] = 0.0,
    ) -> asyncio.Task[None]:
        ahead = ahead_seconds if callable(ahead_seconds) else lambda: ahead_seconds
        task = asyncio.create_task(self._send(name, priority, messages, hold_seconds, ahead))
        self.tasks.append(task)
        return task

    async def _send(
        self, name: str, priority: SendPriority, messages: int, hold_seconds: float, ahead: Callable[[], float]
    ) -> None:
        async with self.pacer.turn(priority=priority, messages=messages, ahead_seconds=ahead):
            self.holders += 1
            self.holders_max = max(self.holders_max, self.holders)
            if hold_seconds:
                until = asyncio.Event()
                self.clock.call_later(hold_seconds, until.set)
                await until.wait()
            await self.pacer.cleared()
            for _ in range(messages):
                self.pacer.record_sent()
                self.sent.append((self.clock.time(), name))
            self.holders -= 1

    async def give_up(self) -> None:
        """Cancel what still waits."""
        for task in self.tasks:
            task.cancel()
        await settle()

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.sent]

    def most_in_a_window(self, seconds: float = 1.0) -> int:
        times = [moment for moment, _ in self.sent]
        return max(sum(start <= moment <= start + seconds for moment in times) for start in times)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)
