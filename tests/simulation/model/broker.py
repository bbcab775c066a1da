"""The broker's side of the model: what it does with what we send, what the market does, and what it tells.

    receive   the oldest thing on the line to the broker is carried out, or refused, truly or falsely, or swallowed
    fills     of the entry, of exits that are awake, of what is at the market: one share, or all that is left
    wake      the children of an entry that has filled: early (after its first share), late, or never

What is told goes into `World.down` in the order in which it happened: the status before the deal, as Interactive
Brokers does it. A child of an open entry fills at most what the entry has filled; a fill of one member of the exits'
group cuts the other by as many shares in the same moment, unless the adversary has both filled in one tick.
"""

from collections.abc import Iterator

from app.domain.order_status import OrderEvent
from app.domain.terms import Leg
from tests.simulation.model.state import ASLEEP, LIVE, OVER, UNSENT, Order, World, with_order

# A refused order: the broker does not know it.
VOID = "void"
_STOPS = (Leg.STOP_LOSS, Leg.PROTECT)


def status_of(index: int, order: Order) -> tuple:
    """Return what a status message, or a complete answer, says of an order that the broker knows."""
    if order.at == ASLEEP:
        event, waits = OrderEvent.HELD_TOLD, True
    elif order.at == LIVE:
        event, waits = (
            OrderEvent.HELD_TOLD if order.leg in _STOPS and not order.done else OrderEvent.WORKING_TOLD,
            False,
        )
    else:
        event, waits = OrderEvent.FILLED_TOLD if order.done >= order.size else OrderEvent.CANCELLED_TOLD, False
    return ("status", index, event, order.done, order.rest, waits, order.linked, order.is_market)


def tell(world: World, *messages: tuple) -> World:
    """Let the broker tell something; it is on the line to us when its act is over (see `sealed`)."""
    return world._replace(fresh=world.fresh + messages)


def sealed(world: World) -> World:
    """Put what one act of the broker told on the line to us, as one breath."""
    return world._replace(down=(*world.down, world.fresh), fresh=()) if world.fresh else world


def told_status(world: World, index: int) -> World:
    """Tell how the order stands."""
    return tell(world, status_of(index, world.orders[index]))


def room_to_fill(world: World, index: int) -> int:
    """Return how many shares the order can fill now."""
    order = world.orders[index]
    if order.at != LIVE:
        return 0
    if order.leg in (Leg.STOP_LOSS, Leg.TAKE_PROFIT) and world.entry.at == LIVE:
        closed = sum(other.done for other in world.orders[1:])
        return min(order.rest, max(world.entry.done - closed, 0))
    return order.rest


def fill(world: World, index: int, shares: int, *, oca_is_late: bool = False) -> World:
    """Fill shares of an order; its group is cut with it, unless `oca_is_late`."""
    order = world.orders[index]
    done = order.done + shares
    signed = -shares if order.is_exit else shares
    if not order.is_exit and world.true_claim < 0:
        # What others sold and an exit had sold by then was not the bracket's: more of it is open only from here on.
        world = world._replace(gone=max(world.gone + world.true_claim, 0))
    world = with_order(world, index, done=done, at=OVER if done >= order.size else order.at)
    world = world._replace(account=world.account + signed, unreported=(*world.unreported, signed))
    world = told_status(world, index)
    world = tell(world, ("deal", index, ((1 << shares) - 1) << order.done))
    if not order.is_exit or not order.linked:
        return world
    return world._replace(oca_due=shares) if oca_is_late else cut_group(world, index, shares)


def late_fill(world: World) -> World:
    """Fill one share of an entry that was cancelled: the exchange may fill what a cancel was on its way to."""
    world = fill(with_order(world, 0, at=LIVE), 0, 1)
    return with_order(world, 0, at=OVER)._replace(fresh=(*world.fresh[:-2], world.fresh[-1]))


def cut_group(world: World, filled: int, shares: int) -> World:
    """Cut the other members of the group by what one has filled."""
    for index, other in enumerate(world.orders):
        if index == filled or not other.linked or other.at not in (LIVE, ASLEEP):
            continue
        size = max(other.size - shares, other.done)
        is_over = size <= other.done or world.orders[filled].at == OVER
        # Cancelled, it keeps its size: what is left of it is not filled any more.
        world = with_order(world, index, at=OVER) if is_over else with_order(world, index, size=size)
        world = told_status(world, index)
    return world


def oca_catches_up(world: World) -> World:
    """Cut the group by what was filled in one tick with it."""
    filled = [i for i, order in enumerate(world.orders) if order.linked and order.done]
    shares, world = world.oca_due, world._replace(oca_due=0)
    return cut_group(world, filled[0], shares) if filled else world


def end(world: World, index: int, *, children_keep_size: bool = False) -> World:
    """Cancel an order at the broker; an entry's children go with it, or stay with what it has filled."""
    order = world.orders[index]
    if order.at not in (LIVE, ASLEEP):
        return world
    world = told_status(with_order(world, index, at=OVER), index)
    if order.leg is not Leg.ENTRY:
        return world
    left = max(order.done - sum(leg.done for leg in world.orders[1:]), 0)
    for child, leg in enumerate(world.orders):
        if leg.leg not in (Leg.STOP_LOSS, Leg.TAKE_PROFIT) or leg.at not in (LIVE, ASLEEP):
            continue
        if not order.done:
            world = told_status(with_order(world, child, at=OVER), child)
        elif not children_keep_size and leg.size > leg.done + left:
            at = leg.at if left else OVER
            world = told_status(with_order(world, child, size=leg.done + left if left else leg.size, at=at), child)
    return world


def wake(world: World) -> World:
    """Let the children of an entry that has filled something work."""
    for index, order in enumerate(world.orders):
        if order.at == ASLEEP:
            world = told_status(with_order(world, index, at=LIVE), index)
    return world


def can_wake(world: World) -> bool:
    """Say whether children still sleep though their entry has filled."""
    asleep = any(order.at == ASLEEP for order in world.orders)
    return asleep and world.entry.done > 0 and not world.never_wakes


def receive(world: World, *, faults: bool) -> Iterator[tuple[str, World]]:
    """Carry out the oldest command in every way that the broker may; each fault costs one act of the adversary."""
    command, world = world.up[0], world._replace(up=world.up[1:])
    verb = command[0]
    worse = world._replace(left=world.left - 1)
    faults = faults and world.left > 0
    if verb == "bracket":
        yield "the broker takes the bracket", _bracket_taken(world)
        if faults:
            yield "the broker refuses the stop of the bracket", _child_refused(_bracket_taken(worse), 1)
            yield (
                "the broker says that it refuses the stop, which lives",
                tell(_bracket_taken(worse), ("refused", 1, True)),
            )
            yield "the stop of the bracket is swallowed", _swallowed(_bracket_taken(worse), 1)
    elif verb in ("place", "again"):
        yield from _single(command, world, worse, faults=faults)
    elif verb == "cancel":
        yield f"the cancel of {_name(world, command[1])} arrives", end(world, command[1])
        if faults and command[1] == 0 and world.entry.done and world.entry.at == LIVE:
            yield "the entry is cancelled, its children keep their size", end(worse, 0, children_keep_size=True)
    elif verb == "size":
        yield f"the change of {_name(world, command[1])} arrives", _resized(world, command[1], command[2])
        if faults:
            yield "the broker refuses the change", tell(worse, ("change_refused", command[1]))
    elif verb == "market":
        yield "the change of the target to the market arrives", _at_market(world, command[1])
        if faults:
            yield "the broker refuses the change", tell(worse, ("change_refused", command[1]))


def _bracket_taken(world: World) -> World:
    linked = len(world.orders) > 2
    world = told_status(with_order(world, 0, at=LIVE), 0)
    for index in range(1, len(world.orders)):
        world = told_status(with_order(world, index, at=ASLEEP, linked=linked), index)
    return world


def _child_refused(world: World, index: int) -> World:
    fresh = tuple(message for message in world.fresh if message[1] != index)
    return tell(with_order(world, index, at=VOID)._replace(fresh=fresh), ("refused", index, True))


def _swallowed(world: World, index: int) -> World:
    fresh = tuple(message for message in world.fresh if message[1] != index)
    return with_order(world, index, at=VOID)._replace(fresh=fresh)


def _single(command: tuple, world: World, worse: World, *, faults: bool) -> Iterator[tuple[str, World]]:
    index = command[1]
    order, name = world.orders[index], _name(world, command[1])
    if order.at not in (UNSENT, VOID):
        yield f"{name} arrives again", told_status(world, index)
        return
    joins = command[0] == "place" and command[2]
    if joins and not any(other.linked and other.at == LIVE for other in world.orders):
        yield f"{name} joins a group that is over", tell(with_order(world, index, at=VOID), ("refused", index, True))
        return
    lives = with_order(world, index, at=LIVE, linked=joins, size=order.quantity)
    yield f"the broker takes {name}", told_status(lives, index)
    if not faults:
        return
    refused = with_order(worse, index, at=VOID)
    yield f"the broker refuses {name}", tell(refused, ("refused", index, True))
    yield f"the broker answers {name} with a code that may be a refusal", tell(refused, ("refused", index, False))
    lives = lives._replace(left=worse.left)
    yield f"the broker says that it refuses {name}, which lives", tell(lives, ("refused", index, True))
    yield f"{name} is swallowed", refused


def _resized(world: World, index: int, size: int) -> World:
    order = world.orders[index]
    if order.at not in (LIVE, ASLEEP):
        return world
    size = max(size, order.done)
    return told_status(with_order(world, index, size=size, at=OVER if size == order.done else order.at), index)


def _at_market(world: World, index: int) -> World:
    if world.orders[index].at != LIVE:
        return world
    return told_status(with_order(world, index, is_market=True), index)


def _name(world: World, index: int) -> str:
    order = world.orders[index]
    number = sum(other.leg is order.leg for other in world.orders[: index + 1])
    return f"{order.leg}{number if number > 1 else ''}"


def name_of(world: World, index: int) -> str:
    """Return what people call the order: its leg, with a number from the second on."""
    return _name(world, index)
