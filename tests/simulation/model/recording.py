"""Our rows, as the recorder moves them: the table is the product's (`domain.order_status`), the rest an image of it.

What is not pure in the product stands here in a few lines, so that the rules beside it can be explored: an order's
quantity follows the broker's word, told shares are kept apart from deals, a refusal that is only suspected is a doubt.
"""

from app.domain.order_status import NEVER_AT_WORK, TERMINAL, OrderEvent, OrderStatus, transition
from tests.simulation.model.state import Order, World, flag, with_order

OVERSOLD = "more closed than opened"


def moved(world: World, index: int, event: OrderEvent) -> World:
    """Let something heard of an order move it, as `order_moves.order_move` does."""
    order = world.orders[index]
    result = transition(order.status, event)
    if result.flag:
        world = flag(world, "unexpected")
    if result.status is order.status:
        return world
    return with_order(
        world,
        index,
        status=result.status,
        proved=False,
        suspected=order.suspected and result.status in NEVER_AT_WORK,
        asked="" if result.status in TERMINAL else order.asked,
    )


def breath_heard(world: World) -> World:
    """Take in what the broker told in one act."""
    breath, world = world.down[0], world._replace(down=world.down[1:])
    for message in breath:
        world = record(world, message)
    return world


def record(world: World, message: tuple) -> World:
    """Take one message in."""
    kind = message[0]
    if kind == "status":
        return told(world, message)
    if kind == "deal":
        return _dealt(world, message[1], message[2])
    if kind == "refused":
        return _refused(world, message[1], is_sure=message[2])
    if kind == "change_refused":
        order = world.orders[message[1]]
        return flag(with_order(world, message[1], asked=order.asked.replace("M", "")), "change refused")
    return world._replace(foreign=(*world.foreign, (message[1], True)))


def told(world: World, message: tuple, *, source: str = "status") -> World:
    """Take in how an order stands, by a status message or by a complete answer (`apply._order_told`)."""
    _kind, index, event, filled, rest, waits, linked, is_market = message
    order = world.orders[index]
    changes: dict[str, object] = {"waits": waits}
    if source != "open":
        changes["told"] = filled
    if order.status not in TERMINAL:
        changes |= _size_follows(order, event, filled=filled, rest=rest)
        if event in (OrderEvent.HELD_TOLD, OrderEvent.WORKING_TOLD):
            changes |= {"grouped": linked, "as_market": is_market}
    changed = order._replace(**changes)  # type: ignore[arg-type]
    if changed.asked and (changed.quantity, changed.as_market) != (order.quantity, order.as_market):
        changes["asked"] = changed.asked.replace("M", "")
    if any(getattr(order, name) != value for name, value in changes.items()):
        world = with_order(world, index, **changes)
    world = moved(world, index, event)
    order = world.orders[index]
    if order.filled and order.filled >= order.quantity and order.status not in TERMINAL:
        world = moved(world, index, OrderEvent.FULLY_FILLED)
    return world


def _size_follows(order: Order, event: OrderEvent, *, filled: int, rest: int) -> dict[str, object]:
    if not order.is_exit or event is OrderEvent.CANCELLED_TOLD:
        return {}
    size = filled if event is OrderEvent.FILLED_TOLD else filled + rest
    is_said = event is OrderEvent.FILLED_TOLD or rest > 0
    return {"quantity": size} if is_said and size >= order.filled and size > 0 else {}


def _dealt(world: World, index: int, deals: int) -> World:
    order = world.orders[index]
    new = (deals & ~order.deals).bit_count()
    if not new:
        return world  # Told twice: the database keeps one.
    world = with_order(world, index, deals=order.deals | deals)
    world = world._replace(recent=(*world.recent, -new if order.is_exit else new))
    full = world.orders[index].filled >= order.quantity
    world = moved(world, index, OrderEvent.FULLY_FILLED if full else OrderEvent.PARTLY_FILLED)
    return flag(world, OVERSOLD) if world.claim < 0 else world


def _refused(world: World, index: int, *, is_sure: bool) -> World:
    if is_sure:
        return moved(world, index, OrderEvent.REFUSED)
    if world.orders[index].status in NEVER_AT_WORK:
        return with_order(world, index, suspected=True)
    return flag(world, "unknown code")


def refusal_proved(world: World, index: int) -> World:
    """Note that the broker's open orders lack what it refused (`RefusalProved`)."""
    if world.orders[index].suspected:
        world = moved(world, index, OrderEvent.REFUSED)
    return with_order(world, index, proved=world.orders[index].status is OrderStatus.REJECTED)


def deals_known(world: World, index: int) -> World:
    """Take in all deals of an order, as a complete answer tells them."""
    order = world.orders[index]
    missing = ((1 << order.done) - 1) & ~order.deals
    return _dealt(world, index, missing) if missing else world
