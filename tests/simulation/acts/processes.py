"""What happens to our own processes and to the servers they need."""

import random
import signal

from django.db import DatabaseError

from tests.simulation.acts.step import Act, later
from tests.simulation.world import World

# The workers of a run take over from a holder that is silent for less long than real ones do.
TAKE_OVER_SECONDS = 4.0


def kill_worker(world: World, chance: random.Random, number: int) -> None:
    """A worker is killed; another starts some steps later."""
    names = world.living()
    if names:
        world.signal_worker(chance.choice(names), signal.SIGKILL)
    later(world, number + chance.randrange(0, 6), world.ensure_worker)


def pause_worker(world: World, chance: random.Random, number: int) -> None:
    """A worker is stopped for some steps, and goes on as if nothing had happened."""
    names = [name for name in world.living() if name not in world.paused]
    if not names:
        return
    name = chance.choice(names)
    world.signal_worker(name, signal.SIGSTOP)
    world.paused.add(name)
    later(world, number + chance.randrange(2, 30), lambda: world.go_on(name))


def hang_worker(world: World, chance: random.Random, number: int) -> None:
    """The holder of the connection hangs until a stand-by has taken over, and wakes some steps later."""
    if len(world.living()) < 2:
        world.start_worker()
    name = world.holder()
    if name is None or name in world.paused:
        return
    fence = world.fence()
    world.signal_worker(name, signal.SIGSTOP)
    world.paused.add(name)
    # Whether or not somebody takes over in time: the run goes on.
    world.wait_at_most(lambda: world.fence() > fence, seconds=TAKE_OVER_SECONDS)
    later(world, number + chance.randrange(0, 20), lambda: world.go_on(name))


def second_worker(world: World, _chance: random.Random, _number: int) -> None:
    """Another worker starts beside the first."""
    if len(world.living()) < 3:
        world.start_worker()


def flush_queue(world: World, _chance: random.Random, _number: int) -> None:
    """Redis forgets everything."""
    world.redis().flushall()


def cut_database(world: World, _chance: random.Random, _number: int) -> None:
    """The database ends every session."""
    world.cut_database()


def restart_database(world: World, chance: random.Random, _number: int) -> None:
    """The database server is stopped, or killed, and starts again with what it had committed."""
    world.restart_server("postgres", kill=chance.random() < 0.5)


def restart_queue(world: World, chance: random.Random, _number: int) -> None:
    """Redis is stopped, or killed, and starts again with nothing in it."""
    world.restart_server("valkey", kill=chance.random() < 0.5)


def jump_clock(world: World, chance: random.Random, number: int) -> None:
    """The clock of the workers' machine jumps, ahead or back, and is set right some steps later."""
    world.clock_jumped = True
    world.set_clock_ahead(chance.choice((-7200, -90, -5, 5, 90, 7200)))
    later(world, number + chance.randrange(2, 20), lambda: world.set_clock_ahead(0))


def watchdog(world: World, _chance: random.Random, _number: int) -> None:
    """The watchdog, on a worker of its own, looks once."""
    from app.core import clock
    from app.core.errors import TradingError
    from app.worker.watchdog import watchdog_look

    try:
        watchdog_look(now=clock.now())
    except (TradingError, DatabaseError):  # The next look comes in a second.
        world.forget_connections()


ACTS: dict[str, tuple[int, Act]] = {
    "kill_worker": (4, kill_worker),
    "pause_worker": (2, pause_worker),
    "hang_worker": (2, hang_worker),
    "second_worker": (2, second_worker),
    "flush_queue": (1, flush_queue),
    "cut_database": (1, cut_database),
    "restart_database": (1, restart_database),
    "restart_queue": (1, restart_queue),
    "jump_clock": (1, jump_clock),
    "watchdog": (4, watchdog),
}
