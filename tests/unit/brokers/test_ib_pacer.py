"""The pacer's queue, on a clock that the test moves: the order of turns, and what a full or lost queue does."""

import asyncio

import pytest

from app.brokers.base import SendPriority
from app.brokers.errors import NotConnected, QueueFull
from app.brokers.ib.pacer import Pacer
from tests.unit.brokers.pacer_desk import LIMIT, Desk, run, settle


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


def test_while_entries_wait_all_else_is_served_and_then_they_are() -> None:
    async def story() -> None:
        # Given entries that give way
        desk = Desk(entries_wait=True)
        desk.send("entry")
        await desk.clock.advance(1)
        desk.send("protect", priority=SendPriority.PROTECT)
        desk.send("account", priority=SendPriority.ACCOUNT)
        await desk.clock.advance(1)
        assert desk.names == ["protect", "account"]
        # When they need not any more, nobody has to say so
        desk.entries_wait = False
        await desk.clock.advance(1)
        assert desk.names == ["protect", "account", "entry"]

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
