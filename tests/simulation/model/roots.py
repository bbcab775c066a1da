"""Where the search begins: the same bracket at moments of its life, so that few events lead far."""

from app.domain.order_status import OrderStatus
from app.domain.terms import Leg
from tests.simulation.model import ours
from tests.simulation.model.broker import fill, receive, sealed, wake
from tests.simulation.model.recording import breath_heard
from tests.simulation.model.state import SIZE, Order, World


def sent(*, target: bool, theirs: int = 0, faults: int) -> World:
    """A bracket that was written ahead and is on its way to the broker."""
    legs = [Leg.ENTRY, Leg.STOP_LOSS, *([Leg.TAKE_PROFIT] if target else [])]
    orders = tuple(Order(leg=leg, status=OrderStatus.SENT) for leg in legs)
    return World(orders=orders, up=(("bracket",),), account=theirs, theirs=theirs, others=theirs, left=faults)


def working(*, target: bool, theirs: int = 0, faults: int) -> World:
    """The entry works, and its children wait for it."""
    world = sent(target=target, theirs=theirs, faults=faults)
    return _heard(next(iter(receive(world, faults=False)))[1])


def half(*, target: bool, theirs: int = 0, faults: int) -> World:
    """One share of the entry is filled, and its children work."""
    return _quiet(wake(fill(working(target=target, theirs=theirs, faults=faults), 0, 1)))


def opened(*, target: bool, theirs: int = 0, faults: int) -> World:
    """All shares are filled, and the exits work."""
    return _quiet(wake(fill(working(target=target, theirs=theirs, faults=faults), 0, SIZE)))


def _heard(world: World) -> World:
    world = sealed(world)
    while world.down:
        world = breath_heard(world)
    return world


def _quiet(world: World) -> World:
    return ours.time_passes(_heard(world))


ROOTS = {"sent": sent, "working": working, "half": half, "open": opened}
