"""When the pacer lets messages leave, on a clock that the test moves: the limit, used in full and never broken."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.brokers.base import SendPriority
from tests.unit.brokers.pacer_desk import LATE, LIMIT, Desk, run, settle

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
        desk = Desk(late=0)
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
        await desk.give_up()

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
        await desk.give_up()

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
        await desk.give_up()

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


def test_a_full_queue_is_sent_evenly_after_its_first_second() -> None:
    async def story() -> None:
        # Given brackets of two and three messages in turn
        desk = Desk()
        for number in range(250):
            desk.send(str(number), messages=2 + number % 2)
        # When five seconds pass
        await desk.clock.advance(5)
        # Then no second began with a burst again: each bracket left as long after the last as its slot is
        moments = sorted({moment for moment, _ in desk.sent if moment > 1001.2})
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert min(gaps) >= 2 / LIMIT - 0.001
        assert max(gaps) <= 3 / LIMIT + 0.001
        await desk.give_up()

    run(story())


@pytest.mark.parametrize(("quiet_seconds", "at_once"), [(0.1, 1), (0.5, 5)])
def test_a_burst_is_for_who_comes_after_a_quiet_moment(quiet_seconds: float, at_once: int) -> None:
    async def story() -> None:
        # Given a queue that was full for longer than a second, and is empty now
        desk = Desk()
        for number in range(30):
            desk.send(str(number), messages=3)
        while len(desk.sent) < 90:
            await desk.clock.advance(0.001)
        desk.sent.clear()
        # When five brackets come together, after a moment
        await desk.clock.advance(3 / LIMIT + quiet_seconds)
        for number in range(5):
            desk.send(str(number), messages=3)
        await settle()
        # Then they leave together after a quiet one, and one by one after a short one
        assert len(desk.sent) == 3 * at_once
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
        assert desk.most_in_a_window(0.95) <= LIMIT + LATE

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
