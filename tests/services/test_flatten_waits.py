"""Closing that waits is tried ever more rarely, and told once."""

import pytest
import structlog

from app.brokers.errors import QueueFull
from app.executions.models import Actor
from app.executions.services.flatten import execution_flatten_request
from app.worker.flatten_waits import FlattenWaits
from tests.services.book import Book
from tests.services.heard import at
from tests.services.world import World, stop_gone

pytestmark = [pytest.mark.django_db, pytest.mark.case("S73")]


@pytest.fixture
def waits() -> FlattenWaits:
    return FlattenWaits()


def begin(held: Book, world: World) -> None:
    execution_flatten_request(
        execution_id=held.execution_id, actor=Actor.KILL_SWITCH, user=None, reason="stop", now=at(world.seconds)
    )


def tries(held: Book, world: World, waits: FlattenWaits, *, seconds: int) -> list[int]:
    """Take the next step once a second, as the sweep does; return the seconds after which the broker was asked."""
    begun, asked = world.seconds, []
    for second in range(seconds):
        world.seconds = begun + second
        if waits.step(held.execution_id, broker=world.broker, now=at(world.seconds)):
            asked.append(second)
    return asked


def test_a_close_in_doubt_is_tried_ever_more_rarely_and_told_once(
    held: Book,
    world: World,
    waits: FlattenWaits,
) -> None:
    # Given shares that the account does not hold and no deal explains
    world.holds(0)
    begin(held, world)
    # When the sweep asks for the close every second, it is tried after growing pauses, and nothing is sent
    with structlog.testing.capture_logs() as lines:
        assert tries(held, world, waits, seconds=100) == [0, 1, 3, 7, 15, 31, 61, 91]
    assert (world.broker.singles, world.broker.cancelled) == ([], [])
    # Then one line says so, and a person is told once
    assert [line["reason"] for line in lines if line["event"] == "flatten_waits"] == ["position_in_doubt"]
    assert held.execution.attention.count("it is to be closed and waits: the account may not hold it") == 1
    assert held.execution.flags.count() == 1


def test_a_doubt_that_is_settled_ends_the_pause(
    held: Book,
    world: World,
    waits: FlattenWaits,
) -> None:
    world.holds(0)
    begin(held, world)
    world.reconcile()
    world.reconcile(after=10)
    assert tries(held, world, waits, seconds=40)[-1] == 31
    world.holds(10)
    world.reconcile()
    world.seconds += 1

    with structlog.testing.capture_logs() as lines:
        assert waits.step(held.execution_id, broker=world.broker, now=at(world.seconds)) is False

    assert world.broker.cancelled, "the stop goes first"
    assert [line["waited_for"] for line in lines if line["event"] == "flatten_goes_on"] == ["position_in_doubt"]


def test_what_costs_the_broker_nothing_is_tried_at_every_sweep_and_logged_once(
    held: Book,
    world: World,
    waits: FlattenWaits,
) -> None:
    begin(held, world)
    waits.step(held.execution_id, broker=world.broker, now=at(world.seconds))
    stop_gone(held, world.broker)
    world.broker.place_order_fails = QueueFull("Too much waits.")
    with structlog.testing.capture_logs() as lines:
        assert tries(held, world, waits, seconds=3) == []
    assert [line["reason"] for line in lines if line["event"] == "flatten_waits"] == ["send_queue_full"]
