"""When the pacer lets messages leave, on a clock that the test moves: the limit, used in full and never broken."""

from itertools import pairwise
from random import Random

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


@pytest.mark.parametrize("messages", [1, 2, 3])
def test_brackets_of_one_kind_that_all_leave_late_use_the_limit_too(messages: int) -> None:
    async def story() -> None:
        # Given brackets of one kind, none of which asks ahead for the time that its write-ahead takes
        desk = Desk()
        for number in range(28 * LIMIT):
            desk.send(str(number), messages=messages, hold_seconds=0.01 * messages)
        # When twenty seconds pass
        await desk.clock.advance(20)
        # Then the limit was used, though what may be made up for in a second is not a whole bracket of each kind
        assert len(desk.sent) >= 0.98 * 20 * LIMIT
        assert desk.most_in_a_window() <= LIMIT + LATE
        await desk.give_up()

    run(story())


def test_brackets_that_come_now_and_then_do_not_wait() -> None:
    async def story() -> None:
        # Given five brackets a second at random moments, a third of what is allowed
        desk, moments = Desk(), Random(5)  # noqa: S311 - the same moments in each run
        asked: dict[str, float] = {}
        for number in range(200):
            asked[str(number)] = desk.clock.time()
            desk.send(str(number), messages=3)
            await desk.clock.advance(moments.expovariate(5))
        await desk.clock.advance(2)
        # Then nearly all of them left at once
        waits = sorted(moment - asked[name] for moment, name in desk.sent)
        assert waits[int(len(waits) * 0.97)] <= 0.05
        assert waits[-1] <= 0.2

    run(story())


def test_one_bracket_takes_little_from_the_burst_of_those_that_come_later() -> None:
    async def story() -> None:
        # Given one bracket half a second ago
        desk = Desk()
        desk.send("first", messages=3)
        await desk.clock.advance(0.5)
        # When five come together
        for number in range(5):
            desk.send(str(number), messages=3)
        await settle()
        # Then none of them waits
        assert len(desk.sent) == 18

    run(story())


def test_who_waits_is_asked_late_how_far_ahead_it_needs_its_turn() -> None:
    async def story() -> None:
        # Given an entry that waits for its slot, and knew of nothing to do ahead when it came
        desk, ahead_seconds = Desk(), 0.0
        for name in ("first", "second"):
            desk.send(name, messages=LIMIT // 3, ahead_seconds=lambda: ahead_seconds, hold_seconds=0.2)
        await settle()
        # When it turns out, while the second waits, that there is
        ahead_seconds = 0.2
        await desk.clock.advance(4)
        # Then it is begun that much ahead of its slot, half a second after the first's, and leaves in it
        left = {name: moment - 1000 for moment, name in desk.sent}
        assert left["second"] == pytest.approx(0.5, abs=0.01)

    run(story())
