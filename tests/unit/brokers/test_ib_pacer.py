"""The pacer on a clock that the test moves: the limit, the order of turns, and what a full or lost queue does."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.brokers.base import SendPriority
from app.brokers.errors import NotConnected, QueueFull
from app.brokers.ib.pacer import Pacer

LIMIT = 45
LATE = 2


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
    sent: list[tuple[float, str]] = field(default_factory=list)
    holders: int = 0
    holders_max: int = 0

    def __post_init__(self) -> None:
        self.pacer = Pacer(
            messages_per_window=self.limit,
            late_messages=self.late,
            queue_length_max=self.queue_length_max,
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
        ahead_seconds: float = 0.0,
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._send(name, priority, messages, hold_seconds, ahead_seconds))
        self.tasks.append(task)
        return task

    async def _send(
        self, name: str, priority: SendPriority, messages: int, hold_seconds: float, ahead_seconds: float
    ) -> None:
        async with self.pacer.turn(priority=priority, messages=messages, ahead_seconds=ahead_seconds):
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

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.sent]

    def most_in_a_window(self, seconds: float = 1.0) -> int:
        times = [moment for moment, _ in self.sent]
        return max(sum(start <= moment <= start + seconds for moment in times) for start in times)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


arrivals = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=0.4, allow_nan=False),
        st.sampled_from(list(SendPriority)),
        st.integers(min_value=1, max_value=3),
        st.floats(min_value=0, max_value=0.2, allow_nan=False),
        st.floats(min_value=0, max_value=0.1, allow_nan=False),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(arrivals=arrivals, limit=st.integers(min_value=3, max_value=12), late=st.integers(min_value=0, max_value=3))
def test_no_window_ever_holds_more_than_the_limit_and_what_is_late(
    arrivals: list[tuple[float, SendPriority, int, float, float]], limit: int, late: int
) -> None:
    async def story() -> None:
        # Given a pacer with a small limit
        desk = Desk(limit=limit, late=late)
        # When turns of all kinds and lengths arrive at any time, and hold it for any time, some ahead of their slot
        for number, (pause, priority, messages, hold_seconds, ahead_seconds) in enumerate(arrivals):
            desk.send(
                str(number),
                priority=priority,
                messages=messages,
                hold_seconds=hold_seconds,
                ahead_seconds=ahead_seconds,
            )
            await desk.clock.advance(pause)
        await desk.clock.advance(300)
        # Then everybody has sent, one at a time, and never more than the limit and what was late in any second
        assert all(task.done() for task in desk.tasks)
        assert len(desk.sent) == sum(messages for _, _, messages, _, _ in arrivals)
        assert desk.most_in_a_window() <= limit + late
        assert desk.holders_max == 1

    run(story())


def test_messages_outside_a_turn_count_too() -> None:
    async def story() -> None:
        # Given a window already full of messages that nobody asked the pacer for
        desk = Desk()
        for _ in range(LIMIT):
            desk.pacer.record_sent()
        # When a turn is asked for
        desk.send("entry")
        await desk.clock.advance(0.99)
        # Then it waits for the window to move on
        assert desk.names == []
        await desk.clock.advance(0.02)
        assert desk.names == ["entry"]

    run(story())


def test_a_protective_turn_overtakes_all_waiting_entries_and_queries() -> None:
    async def story() -> None:
        # Given a holder, and entries and queries waiting behind it
        desk = Desk()
        desk.send("holder", hold_seconds=0.01)
        await settle()
        desk.send("query", priority=SendPriority.QUERY)
        desk.send("entry-1")
        desk.send("entry-2")
        # When protective turns come last
        desk.send("protect-1", priority=SendPriority.PROTECT)
        desk.send("protect-2", priority=SendPriority.PROTECT)
        await desk.clock.advance(5)
        # Then they are first, each kind in the order it came, and the holder was not disturbed
        assert desk.names == ["holder", "protect-1", "protect-2", "entry-1", "entry-2", "query"]

    run(story())


@pytest.mark.parametrize("arrives_after_seconds", [0.0, 0.2, 0.5, 0.9, 1.0, 1.7, 4.3])
def test_a_protective_turn_waits_at_most_one_slot_behind_a_full_queue(arrives_after_seconds: float) -> None:
    async def story() -> None:
        # Given 200 brackets that were all asked for at once, of three messages, so that they can fill a window
        desk = Desk()
        for number in range(200):
            desk.send(f"bracket-{number}", messages=3)
        await desk.clock.advance(arrives_after_seconds)
        # When a cancel comes at any time
        desk.send("cancel", priority=SendPriority.PROTECT)
        asked_at = desk.clock.time()
        await desk.clock.advance(1.5)
        # Then it waits for one slot: a bracket's messages at the spaced rate
        sent_at = next(moment for moment, name in desk.sent if name == "cancel")
        assert sent_at - asked_at <= 3 / (LIMIT - LIMIT // 3) + 0.001

    run(story())


def test_a_full_queue_uses_the_whole_limit() -> None:
    async def story() -> None:
        # Given more than ten seconds' worth of single messages
        desk = Desk()
        for number in range(12 * LIMIT):
            desk.send(str(number))
        # When ten seconds pass
        await desk.clock.advance(10)
        # Then at least 98 % of the limit was used, and never more than it
        assert len(desk.sent) >= 0.98 * 10 * LIMIT
        assert desk.most_in_a_window() <= LIMIT
        for task in desk.tasks:
            task.cancel()
        await settle()

    run(story())


@pytest.mark.parametrize("hold_seconds", [0.01, 0.03])
def test_what_is_done_ahead_of_its_slot_costs_no_rate(hold_seconds: float) -> None:
    async def story() -> None:
        # Given brackets of two and three messages in turn, each written ahead before it is sent
        desk = Desk()
        for number in range(250):
            desk.send(str(number), messages=2 + number % 2, hold_seconds=hold_seconds, ahead_seconds=hold_seconds)
        # When ten seconds pass
        await desk.clock.advance(10)
        # Then at least 98 % of the limit was used; only the first burst, one behind the other, made a second fuller
        assert len(desk.sent) >= 0.98 * 10 * LIMIT
        assert desk.most_in_a_window() <= LIMIT + LATE
        for task in desk.tasks:
            task.cancel()
        await settle()

    run(story())


def test_what_leaves_late_is_made_up_for() -> None:
    async def story() -> None:
        # Given brackets of two and three messages in turn, of which every tenth is written ahead 60 ms too slowly
        desk = Desk()
        for number in range(250):
            desk.send(
                str(number),
                messages=2 + number % 2,
                hold_seconds=0.08 if number % 10 == 0 else 0.02,
                ahead_seconds=0.02,
            )
        # When ten seconds pass
        await desk.clock.advance(10)
        # Then the limit was used all the same, no second was fuller than allowed, and no time was gained on the limit
        assert len(desk.sent) >= 0.98 * 10 * LIMIT
        assert desk.most_in_a_window() <= LIMIT + LATE
        assert len(desk.sent) <= 10 * LIMIT + LIMIT
        for task in desk.tasks:
            task.cancel()
        await settle()

    run(story())


@pytest.mark.parametrize("stalled_seconds", [0.2, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("later_seconds", [0.05, 0.1, 0.3, 0.9, 1.2])
def test_after_a_stall_protective_orders_find_a_slot_each(stalled_seconds: float, later_seconds: float) -> None:
    async def story() -> None:
        # Given more brackets than can be sent
        desk = Desk()
        for number in range(400):
            desk.send(f"bracket-{number}", messages=2 + number % 2)
        await desk.clock.advance(2)
        # When the process stands still, and five protective orders come soon after it goes on
        desk.clock.now += stalled_seconds
        await desk.clock.advance(later_seconds)
        asked_at = desk.clock.time()
        for number in range(5):
            desk.send(f"protect-{number}", priority=SendPriority.PROTECT)
        await desk.clock.advance(2)
        # Then what was late has not filled the second before them
        waited = [moment - asked_at for moment, name in desk.sent if name.startswith("protect")]
        assert len(waited) == 5
        assert max(waited) <= 5 / (LIMIT - LIMIT // 3)
        assert desk.most_in_a_window() <= LIMIT + LATE
        for task in desk.tasks:
            task.cancel()
        await settle()

    run(story())


def test_a_turn_held_ahead_waits_for_messages_that_left_meanwhile() -> None:
    async def story() -> None:
        # Given a holder that got its turn ahead of its slot, and others that filled the window meanwhile
        desk = Desk()
        for _ in range(LIMIT - 1):
            desk.pacer.record_sent()
        desk.send("held", hold_seconds=0.01, ahead_seconds=0.05)
        await settle()
        for _ in range(1 + LATE):
            desk.pacer.record_sent()
        # When it has done what it had to do
        await desk.clock.advance(0.5)
        # Then it still waits, and sends once there is room
        assert desk.names == []
        await desk.clock.advance(0.6)
        assert desk.names == ["held"]

    run(story())


def test_an_idle_pacer_lets_a_few_brackets_through_at_once() -> None:
    async def story() -> None:
        # Given nothing sent so far
        desk = Desk()
        # When five brackets of three legs come together
        for number in range(5):
            desk.send(f"bracket-{number}", messages=3)
        await settle()
        # Then none of them waits
        assert len(desk.sent) == 15

    run(story())


def test_a_full_queue_refuses_and_a_cancelled_turn_makes_room() -> None:
    async def story() -> None:
        # Given a queue of two that is full
        desk = Desk(queue_length_max=2)
        desk.send("holder", hold_seconds=10)
        await settle()
        waiting = desk.send("waiting")
        desk.send("also-waiting")
        await settle()
        # When one more comes
        refused = desk.send("one-too-many")
        await settle()
        # Then it is refused
        assert isinstance(refused.exception(), QueueFull)
        # And when a waiting one is cancelled, there is room again, and the cancelled one never sends
        waiting.cancel()
        await settle()
        desk.send("next")
        await desk.clock.advance(11)
        assert desk.names == ["holder", "also-waiting", "next"]

    run(story())


def test_a_lost_connection_fails_what_waits_but_not_the_holder() -> None:
    async def story() -> None:
        # Given a holder and a waiting turn
        desk = Desk()
        holder = desk.send("holder", hold_seconds=0.5)
        await settle()
        waiting = desk.send("waiting")
        await settle()
        # When the connection is lost
        desk.pacer.drop_waiting(lambda: NotConnected("lost"))
        await desk.clock.advance(1)
        # Then the waiting one is told so, and a later one is served
        assert isinstance(waiting.exception(), NotConnected)
        assert holder.exception() is None
        desk.send("later")
        await desk.clock.advance(1)
        assert desk.names == ["holder", "later"]

    run(story())


def test_a_turn_that_fails_gives_the_socket_back() -> None:
    async def story() -> None:
        # Given a turn whose holder raises
        desk = Desk()
        with pytest.raises(ZeroDivisionError):
            async with desk.pacer.turn(priority=SendPriority.ENTRY):
                raise ZeroDivisionError
        # When another comes, then it is served
        desk.send("next")
        await desk.clock.advance(1)
        assert desk.names == ["next"]

    run(story())


@pytest.mark.parametrize("messages", [0, LIMIT + 1])
def test_a_turn_that_can_never_be_granted_is_refused(messages: int) -> None:
    async def story() -> None:
        desk = Desk()
        with pytest.raises(ValueError, match="never fit"):
            async with desk.pacer.turn(priority=SendPriority.ENTRY, messages=messages):
                pass

    run(story())


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Pacer(messages_per_window=0)
    with pytest.raises(ValueError, match="not be negative"):
        Pacer(late_messages=-1)


async def test_without_a_clock_the_running_loop_is_used() -> None:
    # Given a window that is short enough to wait for
    pacer = Pacer(messages_per_window=1, late_messages=0, window_seconds=0.05)
    loop = asyncio.get_running_loop()
    started = loop.time()
    # When two messages are sent
    for _ in range(2):
        async with pacer.turn(priority=SendPriority.QUERY):
            pacer.record_sent()
    # Then the second waited
    assert loop.time() - started >= 0.05
