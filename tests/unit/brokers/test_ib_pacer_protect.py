"""How soon the pacer lets protective orders leave, alone or many at once, and what they cost the others."""

import pytest

from app.brokers.base import SendPriority
from tests.unit.brokers.pacer_desk import BROKERS_LIMIT, LATE, LIMIT, Desk, run, settle


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
        await desk.give_up()

    run(story())


@pytest.mark.parametrize("every_seconds", [0.45, 0.9])
def test_protective_orders_among_many_entries_cost_no_rate(every_seconds: float) -> None:
    async def story() -> None:
        # Given brackets of two and three messages in turn, more than ten seconds' worth
        desk = Desk()
        for number in range(250):
            desk.send(str(number), messages=2 + number % 2, hold_seconds=0.01, ahead_seconds=0.01)
        # When protective orders come among them for ten seconds
        for number in range(int(10 / every_seconds)):
            desk.send(f"protect-{number}", priority=SendPriority.PROTECT)
            await desk.clock.advance(every_seconds)
        # Then both together used the limit: a whole bracket's room is not lost for each
        assert len(desk.sent) >= 0.99 * (desk.clock.time() - 1000) * LIMIT
        assert desk.most_in_a_window() <= LIMIT + LATE
        await desk.give_up()

    run(story())


def test_many_protective_orders_at_once_do_not_leave_in_clumps() -> None:
    async def story() -> None:
        # Given a quiet connection
        desk = Desk()
        # When 200 protective orders come at once
        for number in range(200):
            desk.send(str(number), priority=SendPriority.PROTECT)
        await desk.clock.advance(6)
        # Then a few leave at once and the others evenly: a receiver that is a moment late counts no fuller second
        assert len(desk.sent) == 200
        assert desk.most_in_a_window(0.05) <= LIMIT // 3 + 5
        assert desk.most_in_a_window(1.02) <= BROKERS_LIMIT

    run(story())


def test_a_full_second_keeps_room_for_one_protective_order() -> None:
    async def story() -> None:
        # Given a second that holds as much as entries may send, lateness made up for
        desk = Desk()
        for _ in range(LIMIT + LATE - 1):
            desk.pacer.record_sent()
        # When an entry and then a protective order come
        desk.send("entry")
        desk.send("protect", priority=SendPriority.PROTECT)
        await desk.clock.advance(0.9)
        # Then the entry waits, and the protective order has left
        assert desk.names == ["protect"]

    run(story())


@pytest.mark.parametrize("later_seconds", [0.0, 0.01, 0.03, 0.05, 0.1])
def test_a_protective_order_in_an_even_backlog_does_not_wait_for_the_next_slot(later_seconds: float) -> None:
    async def story() -> None:
        # Given brackets that leave evenly
        desk = Desk()
        for number in range(100):
            desk.send(str(number), messages=3)
        await desk.clock.advance(2 + later_seconds)
        # When a protective order comes
        desk.send("protect", priority=SendPriority.PROTECT)
        await settle()
        # Then it leaves at once
        assert desk.names[-1] == "protect"
        await desk.give_up()

    run(story())


@pytest.mark.parametrize("stalled_seconds", [0.3, 0.5, 1.0])
def test_many_protective_orders_after_a_stall_do_not_come_back_as_a_clump(stalled_seconds: float) -> None:
    async def story() -> None:
        # Given a backlog, and a process that stood still
        desk = Desk()
        for number in range(50):
            desk.send(str(number), messages=3)
        await desk.clock.advance(2)
        desk.clock.now += stalled_seconds
        # When 200 protective orders come
        for number in range(200):
            desk.send(f"protect-{number}", priority=SendPriority.PROTECT)
        await desk.clock.advance(10)
        # Then hardly more leave in a little more than a second than in a second
        assert desk.most_in_a_window() <= LIMIT + LATE
        assert desk.most_in_a_window(1.02) <= BROKERS_LIMIT + 2

    run(story())


def test_many_protective_orders_behind_a_long_turn_do_not_come_back_as_a_clump() -> None:
    async def story() -> None:
        # Given an entry whose write-ahead takes two seconds, and 200 protective orders that wait for it
        desk = Desk()
        desk.send("entry", messages=3, hold_seconds=2)
        await desk.clock.advance(0.5)
        for number in range(200):
            desk.send(f"protect-{number}", priority=SendPriority.PROTECT)
        # When all have left
        await desk.clock.advance(10)
        # Then those of the first moment are not followed by as many a second later
        assert len(desk.sent) == 203
        assert desk.most_in_a_window(1.02) <= BROKERS_LIMIT + 1

    run(story())


def test_protective_orders_with_their_cancels_find_a_slot_each_after_a_stall() -> None:
    async def story() -> None:
        # Given a process that stood still for a second early in a backlog
        desk = Desk()
        for number in range(100):
            desk.send(str(number), messages=3)
        await desk.clock.advance(0.1)
        desk.clock.now += 1.0
        await desk.clock.advance(0.84)
        # When three protective orders come, each with the cancel of what it replaces
        asked_at = desk.clock.time()
        for number in range(3):
            desk.send(f"protect-{number}", priority=SendPriority.PROTECT, messages=2)
        await desk.clock.advance(1)
        # Then each waits for no more than its own place
        waited = [moment - asked_at for moment, name in desk.sent if name.startswith("protect")]
        assert len(waited) == 6
        assert max(waited) <= 6 / LIMIT
        await desk.give_up()

    run(story())
