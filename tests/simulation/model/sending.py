"""What we send, and the check of invariant 10 at the moment of sending, by the model's own count.

    by our rows      what is not proved gone could close, with the new order, no more than is open by the known deals
    by the account   where the account was asked and its report lags nothing: no more than is truly open

Members of the bracket's group count once, by the largest; a child that waits for its entry closes nothing; a child of
an open entry closes at most what that has filled; what leaves with its cancel in the same breath does not count.
"""

from collections.abc import Iterable, Sequence

from app.domain import protection
from app.domain.order_status import TERMINAL, OrderEvent, OrderStatus
from app.domain.terms import Leg
from tests.simulation.model.broker import room_to_fill
from tests.simulation.model.facts import legs_of, rows_of
from tests.simulation.model.recording import moved
from tests.simulation.model.state import LIVE, Order, World, with_order

ASKS = "a person is asked"
_NATIVE = (Leg.STOP_LOSS, Leg.TAKE_PROFIT)


def could_close_by_rows(world: World, *, leaving: Sequence[int] = ()) -> int:
    """Return how many shares our rows say may still be closed."""
    own_stop = world.orders[1]
    linked: list[int] = []
    apart: list[int] = []
    for index, order in enumerate(world.orders):
        if not order.is_exit or index in leaving or not _may_live(order) or order.waits:
            continue
        rest = max(order.quantity - max(order.filled, order.told), 0)
        if order.leg in _NATIVE and not world.entry.is_over:
            rest = min(rest, max(world.claim, 0))
        if order.leg is Leg.TAKE_PROFIT and not own_stop.is_over:
            # What is left of its own stop: it is cut to that next (`protection`), counted apart.
            rest = min(rest, max(own_stop.quantity - own_stop.filled, 0))
        (linked if order.leg in _NATIVE or order.linked else apart).append(rest)
    return max(linked, default=0) + sum(apart)


def _may_live(order: Order) -> bool:
    if order.status is OrderStatus.CREATED:
        return False
    return order.status not in TERMINAL or (order.status is OrderStatus.REJECTED and not order.proved)


def could_close_in_truth(world: World, *, cancels_count: bool = False) -> int:
    """Return how many shares the exits at the broker, and those on their way there, can truly close.

    With `cancels_count`, what has a cancel on its way closes nothing.
    """
    leaving = {command[1] for command in world.up if command[0] == "cancel"} if cancels_count else set()
    rooms = [(o, room_to_fill(world, i)) for i, o in enumerate(world.orders) if o.is_exit and i not in leaving]
    coming = [
        world.orders[command[1]].quantity
        for command in world.up
        if command[0] == "place" and not command[2] and world.orders[command[1]].at != LIVE
    ]
    if cancels_count and world.orders[1].at == LIVE:
        # What is left of its own stop: the target is cut to that next (`protection`), counted apart.
        stop = room_to_fill(world, 1)
        rooms = [(o, min(room, stop) if o.leg is Leg.TAKE_PROFIT else room) for o, room in rooms]
    linked = max((room for order, room in rooms if order.linked), default=0)
    return linked + sum(room for order, room in rooms if not order.linked) + sum(coming)


def send_new(world: World, index: int, *, replaces: Iterable[int] = (), joins: bool = False) -> World:
    """Send an order outside the native bracket, with the cancels of what it replaces, unless the permit refuses it."""
    legs = legs_of(rows_of(world), world.elsewhere)
    if protection.could_close(legs[index], legs) > world.claim:
        return world
    leaving = tuple(replaces)
    world = moved(world, index, OrderEvent.SENT)
    world = world._replace(up=(*world.up, ("place", index, joins)))
    for other in leaving:
        world = send_cancel(world, other)
    if not joins and could_close_by_rows(world, leaving=leaving) > world.claim:
        return world._replace(fault="(10) our rows say that more could be closed than is open")
    if not joins and not world.unreported and could_close_in_truth(world, cancels_count=True) > world.may_be_closed:
        return world._replace(fault="(10) sent though the account, which was asked, does not hold it")
    return world


def send_cancel(world: World, index: int) -> World:
    """Send a cancel, unless one is on its way."""
    order = world.orders[index]
    if "C" in order.asked:
        return world
    world = with_order(world, index, asked=order.asked + "C")
    return world._replace(up=(*world.up, ("cancel", index)))


def send_change(world: World, index: int, *, size: int | None = None) -> World:
    """Send another size, or the change to the market, unless that change is on its way."""
    order = world.orders[index]
    command = ("market", index) if size is None else ("size", index, size)
    if "M" in order.asked or command in world.up:
        return world
    world = with_order(world, index, asked=order.asked + "M")
    world = world._replace(up=(*world.up, command))
    if size is not None and size > order.quantity and could_close_by_rows(world) + size - order.quantity > world.claim:
        return world._replace(fault="(10) an exit was made larger than what is open")
    return world
