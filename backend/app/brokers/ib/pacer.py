"""Who may send next, and when: a priority queue in front of the socket that keeps the broker's message limit.

    turn(PROTECT) ──┐                        ┌─ a schedule: evenly spaced, but for a burst after a quiet moment;
    turn(ACCOUNT) ──┤                        │  PROTECT may be a slot ahead of it
    turn(ENTRY)   ──┼─> queue ─> one holder ─┤
    turn(QUERY)   ──┘   (priority, then FIFO)└─ as it really leaves: `late_messages` above the limit in any window

A turn is exclusive: order ids taken inside it reach the wire in the order they were taken. Who has something to do
before it sends (the write-ahead) asks for its turn `ahead_seconds` before its slot and waits for `cleared` before
the first byte: else each window would be longer by what is done in a turn. Spacing is what keeps a slot
within reach: were a window's messages all sent at its start, a protective order that comes next would wait for the
window's end. Spaced, the oldest message leaves the window within one slot, and PROTECT takes that slot first.
The burst is for who comes after a quiet moment. In a backlog there is none: each turn takes time, so a clump would
end late, and the lateness of every second would be lost.
What leaves late (a busy processor, a slow disk) counts in the schedule as of when it was due, else each lateness would
make all later windows longer, for good; `late_messages` bounds by how much a window can be fuller while that is made
up for. Only a little lateness is: after a long stall everything would be due at once, and the clump would fill the
window. The last of them is kept for PROTECT, which so need not wait for the oldest message to leave the window.
While `entries_wait` says so, no turn of an entry is granted, though it were due: its write-ahead would compete with
what protects shares that have no stop.
Source of the limit: IBKR Campus, "Pacing limitations": market data lines / 2 per second, 50 by default.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from app.brokers.base import EntriesWait, SendPriority
from app.brokers.errors import QueueFull
from app.core.errors import TradingError

# Comparing floats that were added up differently must not grant a slot one rounding error too early.
_ROUNDING_SECONDS = 1e-6
# A slot: the legs of a bracket. By so much PROTECT may be ahead of the schedule, and others late: what was due longer
# ago is due from then on.
_SLOT_MESSAGES = 3
# How soon it is asked again whether entries wait.
_ASK_AGAIN_SECONDS = 0.01


class TimerHandle(Protocol):
    """What a scheduled call can do."""

    def cancel(self) -> None:
        """Forget the call."""


class Clock(Protocol):
    """The part of an event loop that the pacer needs; a running loop fits, and so does a test's clock."""

    def time(self) -> float:
        """Return monotonic seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> TimerHandle:
        """Call back after `delay` seconds."""
        ...


@dataclass(order=True, slots=True)
class _Waiting:
    priority: int
    number: int
    messages: int
    ahead_seconds: Callable[[], float]
    asked_at: float
    granted: asyncio.Future[None]
    due: float = 0.0


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


class Pacer:
    """The one gate to the socket. Use `turn`; tell `record_sent` of every message that leaves, inside a turn or not.

    Inside a turn that was asked for ahead of its slot, await `cleared` before the first message.
    """

    def __init__(
        self,
        *,
        messages_per_window: int = 45,
        late_messages: int | None = None,
        window_seconds: float = 1.0,
        burst_messages: int | None = None,
        queue_length_max: int = 2000,
        entries_wait: EntriesWait = lambda: False,
        clock: Clock | None = None,
    ) -> None:
        if messages_per_window < 1:
            raise ValueError("messages_per_window must be at least 1.")
        if late_messages is not None and late_messages < 0:
            raise ValueError("late_messages must not be negative.")
        self.messages_per_window = messages_per_window
        self.late_messages = messages_per_window // 15 if late_messages is None else late_messages
        self.window_seconds = window_seconds
        self.burst_messages = messages_per_window // 3 if burst_messages is None else burst_messages
        self.queue_length_max = queue_length_max
        self._slot_seconds = _SLOT_MESSAGES / messages_per_window * window_seconds
        self._entries_wait = entries_wait
        self._clock = clock
        self._sent: deque[float] = deque(maxlen=messages_per_window + self.late_messages)
        self._burst: deque[float] = deque(maxlen=self.burst_messages)
        self._is_burst_open = False
        self._spaced_until = float("-inf")
        self._queue: list[_Waiting] = []
        self._counter = 0
        self._holder: _Waiting | None = None
        self._timer: TimerHandle | None = None

    @property
    def queue_length(self) -> int:
        """How many turns wait."""
        return sum(not waiting.granted.done() for waiting in self._queue)

    @asynccontextmanager
    async def turn(
        self, *, priority: SendPriority, messages: int = 1, ahead_seconds: Callable[[], float] = lambda: 0.0
    ) -> AsyncIterator[None]:
        """Wait until `messages` messages may be sent, or will be `ahead_seconds` later; hold the socket in the block.

        `ahead_seconds` is asked when the turn could be granted, because who waits long may know better by then.
        Raises QueueFull when `queue_length_max` turns wait already, ValueError when a window could never hold that many
        messages, and the error given to `drop_waiting`. Cancelling gives up the place in the queue.
        """
        if not 1 <= messages <= self.messages_per_window:
            raise ValueError(f"{messages} messages never fit a window of {self.messages_per_window}.")
        if self.queue_length >= self.queue_length_max:
            raise QueueFull(f"{self.queue_length_max} turns wait to be sent already; nothing was sent.")
        self._counter += 1
        waiting = _Waiting(
            priority=priority,
            number=self._counter,
            messages=messages,
            ahead_seconds=ahead_seconds,
            asked_at=self._now(),
            granted=asyncio.get_running_loop().create_future(),
        )
        heapq.heappush(self._queue, waiting)
        self._grant_next()
        try:
            await waiting.granted
            yield
        finally:
            self._leave(waiting)

    async def cleared(self) -> None:
        """Wait until the messages of the turn being held may leave."""
        head = self._holder
        while head is not None:
            delay = max(head.due, self._sent_room_at(head)) - self._now()
            if delay <= _ROUNDING_SECONDS:
                return
            due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            timer = self._time_source().call_later(delay, partial(_wake, due))
            try:
                await due
            finally:
                timer.cancel()

    def record_sent(self) -> None:
        """Count one message as leaving now, inside a turn or not."""
        self._sent.append(self._now())

    def drop_waiting(self, error: Callable[[], TradingError]) -> None:
        """Fail every turn that still waits with an error of its own; the turn being held is its holder's business."""
        for waiting in self._queue:
            if not waiting.granted.done():
                waiting.granted.set_exception(error())
        self._queue.clear()

    def _leave(self, waiting: _Waiting) -> None:
        if self._holder is waiting:
            self._holder = None
        else:
            waiting.granted.cancel()
        self._grant_next()

    def _grant_next(self) -> None:
        while self._queue and self._queue[0].granted.done():
            heapq.heappop(self._queue)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._holder is not None or not self._queue:
            return
        head = self._queue[0]
        if head.priority == SendPriority.ENTRY and self._entries_wait():
            self._timer = self._time_source().call_later(_ASK_AGAIN_SECONDS, self._grant_next)
            return
        now = self._now()
        due = self._due_at(head, now)
        delay = max(due, self._sent_room_at(head)) - now
        ahead = head.ahead_seconds()
        if delay > ahead + _ROUNDING_SECONDS:
            self._timer = self._time_source().call_later(delay - ahead, self._grant_next)
            return
        heapq.heappop(self._queue)
        self._holder = head
        head.due = due
        self._account_for(head)
        head.granted.set_result(None)

    def _due_at(self, head: _Waiting, now: float) -> float:
        """Return when the head's first message should leave, or should have left."""
        is_protect = head.priority == SendPriority.PROTECT
        due = self._spaced_until - (self._slot_seconds if is_protect else 0.0)
        if self._is_burst_open:
            due = min(due, self._burst_room_at(head))
        return max(due, head.asked_at, now if is_protect else now - self._slot_seconds)

    def _account_for(self, head: _Waiting) -> None:
        """Move the schedule on by a turn that is granted."""
        if head.due + _ROUNDING_SECONDS >= self._spaced_until:
            if self._comes_after_quiet(head):
                self._is_burst_open = True
                self._burst.clear()
                self._burst.extend([head.due] * head.messages)
            elif head.due > head.asked_at:
                self._is_burst_open = False
        elif self._is_burst_open and self._burst_room_at(head) <= head.due:
            self._burst.extend([head.due] * head.messages)
            return
        else:
            self._is_burst_open = False
        self._spaced_until = max(self._spaced_until, head.due) + self._step(head.messages, head.due)

    def _comes_after_quiet(self, head: _Waiting) -> bool:
        """Say whether nothing was due before the head for as long as a burst's messages take when they are spaced."""
        quiet_seconds = self.burst_messages / self.messages_per_window * self.window_seconds
        return head.asked_at >= self._spaced_until + quiet_seconds

    def _burst_room_at(self, head: _Waiting) -> float:
        """Return from when on the head may leave ahead of the schedule, in a burst."""
        return self._room_at(self._burst, head, limit=self.burst_messages)

    def _sent_room_at(self, head: _Waiting) -> float:
        """Return from when on a window really has room for the head's messages."""
        limit = self.messages_per_window + self.late_messages
        room = self._room_at(self._sent, head, limit=limit)
        if head.priority == SendPriority.PROTECT or not self.late_messages:
            return room
        # The last place is for PROTECT, but where the next one is free within a slot.
        return max(room, self._room_at(self._sent, head, limit=limit - 1) - self._slot_seconds)

    def _room_at(self, times: deque[float], head: _Waiting, *, limit: int) -> float:
        """Return from when on `times` leaves room for the head's messages in one window."""
        if head.messages > limit:
            return float("inf")
        surplus = len(times) + head.messages - limit
        if surplus <= 0:
            return float("-inf")
        return times[surplus - 1] + self.window_seconds + 2 * _ROUNDING_SECONDS

    def _step(self, messages: int, at: float) -> float:
        """Return the seconds that so many messages take in the schedule: more while a burst is in the window."""
        burst = sum(moment + self.window_seconds > at for moment in self._burst)
        share = messages / max(self.messages_per_window - burst, 1)
        return share * (self.window_seconds + 2 * _ROUNDING_SECONDS)

    def _now(self) -> float:
        return self._time_source().time()

    def _time_source(self) -> Clock:
        # The running loop is asked for late: a pacer may be made before its loop runs.
        return self._clock or asyncio.get_running_loop()
