"""What happens to the connection: the line, and the Gateway's end of it."""

import random

from tests.simulation.acts.step import Act, later
from tests.simulation.world import SYMBOL, World


def bad_line(world: World, chance: random.Random, number: int) -> None:
    """What the Gateway sends is late, jittered and in small pieces for some steps."""
    world.peer.set_line(delay_ms=chance.randrange(0, 60), jitter_ms=chance.randrange(0, 40), piece_min=1, piece_max=9)
    later(world, number + chance.randrange(2, 12), lambda: world.command("clear_faults"))


def drop(world: World, _chance: random.Random, _number: int) -> None:
    """The Gateway closes the connection."""
    world.peer.drop_connections()


def refuse(world: World, chance: random.Random, number: int) -> None:
    """The Gateway is away for some steps."""
    world.peer.refuse_connections()
    world.peer.drop_connections()
    later(world, number + chance.randrange(2, 12), lambda: world.command("accept_connections"))


def restart_gateway(world: World, chance: random.Random, _number: int) -> None:
    """The Gateway is killed and starts again, calm, perhaps giving out order ids once more."""
    world.read_book()  # What was sent to this one is known to no other.
    world.simulator.restart(kill=True)
    world.peer.set_price(SYMBOL, str(world.price))
    if chance.random() < 0.7:
        world.peer.roll_back_next_id(by=chance.randrange(1, 12))


def freeze_gateway(world: World, chance: random.Random, number: int) -> None:
    """The Gateway hangs with its sockets open, for some steps."""
    world.peer.freeze()
    later(world, number + chance.randrange(2, 15), lambda: world.command("thaw"))


def fail_connect(world: World, chance: random.Random, _number: int) -> None:
    """The next connection goes wrong in the middle of its beginning."""
    kind = chance.choice(("close_at_once", "no_handshake", "close_after_start", "empty_accounts"))
    world.peer.fail_connect(kind, count=chance.randrange(1, 3))
    world.peer.drop_connections()


def hold_client_id(world: World, chance: random.Random, number: int) -> None:
    """The Gateway has not noticed that the old socket is gone: the client id is in use, for a while."""
    world.peer.hold_client_id(1, seconds=chance.randrange(1, 20) / 10)
    world.peer.drop_connections()


def cut_wire(world: World, chance: random.Random, _number: int) -> None:
    """The line breaks, at once or in the middle of what is sent next."""
    if chance.random() < 0.3:
        world.wire.cut()
    else:
        world.wire.cut_after(direction=chance.choice(("up", "down")), count=chance.randrange(0, 900))


def freeze_wire(world: World, chance: random.Random, number: int) -> None:
    """The line goes silent without closing, for some steps."""
    world.wire.freeze()
    later(world, number + chance.randrange(2, 15), world.wire.heal)


ACTS: dict[str, tuple[int, Act]] = {
    "bad_line": (2, bad_line),
    "drop": (2, drop),
    "refuse": (2, refuse),
    "restart_gateway": (3, restart_gateway),
    "cut_wire": (3, cut_wire),
    "freeze_wire": (1, freeze_wire),
    "freeze_gateway": (1, freeze_gateway),
    "fail_connect": (2, fail_connect),
    "hold_client_id": (1, hold_client_id),
}
