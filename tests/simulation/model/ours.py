"""Our side of the model: the judge is the product's own pure functions, called with facts from the model's rows.

    look      guard: `protection.assess` and what `services.guard` does with it; the account is asked before a stop
    step      closing: `close.plan_close`, with the account asked before
    sweep     cancels: `cancel.cancels_due`
    settle    exits in doubt are asked for (`services.exits_settle`)
    ask       everything is asked (`services.reconcile`), positions are compared (`exposure.compare`, `exposure.judge`)

The account is asked in every way that its reports may lag. Every order that closes is checked as it is sent: what our
rows say may still close, counted by the model itself and not by the product, is never more than what is open.
"""

from collections.abc import Iterator, Sequence

from app.domain import cancel
from app.domain.close import CloseRoad, CloseStep
from app.domain.exposure import AccountUse
from app.domain.order_status import TERMINAL, UNANSWERED, OrderEvent, OrderStatus
from app.domain.protection import Repair, RepairKind
from app.domain.terms import Leg
from tests.simulation.model.account import compared, doubts, reports
from tests.simulation.model.broker import status_of
from tests.simulation.model.facts import assessed, legs_of, planned, rows_of
from tests.simulation.model.recording import breath_heard, deals_known, moved, refusal_proved, told
from tests.simulation.model.sending import ASKS, send_cancel, send_change, send_new
from tests.simulation.model.state import ASLEEP, LIVE, OVER, PROTECTS_MAX, Order, World, flag

CLOSE_FAILED, CLOSE_WAITS, BOOKS_DIFFER = "close failed", "close waits", "books differ"
# What the broker may put right by itself gets a moment.
_AT_ONCE = frozenset({RepairKind.PLACE_STOP, RepairKind.SEND, RepairKind.DISCARD})
_PLACES = frozenset({RepairKind.PLACE_STOP, RepairKind.SEND})


def answers_taken(world: World) -> World:
    """Take in open orders, deals and completed orders, and conclude about what no answer knows (`reconcile`)."""
    while world.down:
        world = breath_heard(world)
    on_the_way = {command[1] for command in world.up if command[0] in ("place", "again")}
    for index, order in enumerate(world.orders):
        if order.at == OVER and order.is_over and order.filled == order.done == order.told:
            continue  # Nothing new is said of it.
        if order.at in (LIVE, ASLEEP, OVER):
            source = "completed" if order.at == OVER else "open"
            world = told(deals_known(world, index), status_of(index, order), source=source)
            now_is = world.orders[index]
            if order.at in (LIVE, ASLEEP) and now_is.is_over:
                world = flag(world, BOOKS_DIFFER)
        elif order.status not in TERMINAL and index not in on_the_way and order.status is not OrderStatus.CREATED:
            if order.status in UNANSWERED:
                world = moved(world, index, OrderEvent.PROVED_ABSENT)
            else:
                world = flag(world, BOOKS_DIFFER)
    if world.untold:
        world = world._replace(foreign=world.foreign + tuple((deal, True) for deal in world.untold), untold=())
    return world._replace(answered=True) if world.entry.is_over and not world.answered else world


def ask_everything(world: World, *, use: AccountUse) -> Iterator[tuple[str, World]]:
    """Ask the broker for everything, its positions in every way that they may lag."""
    world = answers_taken(world)
    for asked, reported, is_full in reports(world):
        label = (
            "everything is asked" if is_full else f"everything is asked, positions lag {len(asked.unreported)} deals"
        )
        yield label, compared(asked, reported, use=use)


def settle(world: World) -> World:
    """Ask for the exits of which only the broker's answer tells whether they live (`exits_settle`)."""
    in_doubt = assessed(world).in_doubt
    return _settled(world, in_doubt) if in_doubt else world


def _settled(world: World, keys: Sequence[int]) -> World:
    on_the_way = {command[1] for command in world.up if command[0] != "bracket"}
    whole = any(world.orders[key].status is not OrderStatus.REJECTED for key in keys)
    for key in keys:
        order = world.orders[key]
        is_refused = order.status is OrderStatus.REJECTED
        if order.at in (LIVE, ASLEEP) or (order.at == OVER and whole and (not is_refused or order.done)):
            world = deals_known(world, key) if whole else world
            source = "completed" if order.at == OVER else "open"
            world = told(world, status_of(key, world.orders[key]), source=source)
        elif is_refused or order.suspected:
            world = refusal_proved(world, key) if key not in on_the_way else world
        elif order.status is OrderStatus.SENT and key not in on_the_way and "bracket" not in {c[0] for c in world.up}:
            world = _absent(world, key)
    return world


def _absent(world: World, key: int) -> World:
    if not world.orders[key].leg.is_native:
        return world._replace(up=(*world.up, ("again", key)))
    others = [o for i, o in enumerate(world.orders) if i != key and o.leg.is_native]
    unheard = {*UNANSWERED, OrderStatus.NOT_PLACED}
    answered = any(other.status not in unheard for other in others)
    return moved(world, key, OrderEvent.PROVED_ABSENT) if answered else world


def look(world: World, road: CloseRoad) -> Iterator[tuple[str, World]]:
    """Let the guard look: with what is due at once, and with what gets a moment."""
    _plan, leaves = planned(world, road)
    found = assessed(world)
    if leaves is not None or world.acted or not found.repairs:
        return
    at_once = tuple(one for one in found.repairs if one.kind in _AT_ONCE)
    due_now = found.repairs if {one.kind for one in at_once} & _PLACES else at_once
    for due in dict.fromkeys((found.repairs, due_now)):
        if not due:
            continue
        if not any(one.kind in _PLACES for one in due):
            yield "the guard acts", _carried_out(world, due, road)
            continue
        rest = tuple(one for one in due if one.kind not in _PLACES)
        for asked, in_doubt, is_full in doubts(world):
            lag = "" if is_full else f" (positions lag {len(asked.unreported)} deals)"
            yield f"the guard acts{lag}", _carried_out(asked, rest if in_doubt else due, road)


def _carried_out(world: World, due: tuple[Repair, ...], road: CloseRoad) -> World:
    before = world
    for repair in due:
        if repair not in assessed(world).repairs or planned(world, road)[1] is not None:
            continue
        world = _repaired(world, repair)
    return world if world == before else world._replace(acted=True)


def _repaired(world: World, repair: Repair) -> World:
    key = repair.key
    if repair.kind is RepairKind.PLACE_STOP:
        if sum(order.leg is Leg.PROTECT for order in world.orders) >= PROTECTS_MAX:
            return flag(world, ASKS)
        new = Order(leg=Leg.PROTECT, quantity=int(repair.quantity or 0))
        world = world._replace(orders=(*world.orders, new))
        return send_new(world, len(world.orders) - 1, replaces=repair.cancels)
    if repair.kind is RepairKind.ASK or key is None:
        return flag(world, ASKS)
    if repair.kind is RepairKind.SEND:
        return send_new(world, key, replaces=repair.cancels)
    if repair.kind is RepairKind.DISCARD:
        return moved(world, key, OrderEvent.PROVED_ABSENT)
    if repair.kind is RepairKind.RESIZE:
        return send_change(world, key, size=int(repair.quantity or 0))
    if repair.kind is RepairKind.CANCEL_ENTRY:
        world = world._replace(is_cancelling=True)
    return send_cancel(world, key)


def sweep(world: World) -> World:
    """Send the cancels that are due (`cancel.orders_to_cancel`)."""
    rows = rows_of(world)
    due = cancel.cancels_due(
        legs_of(rows, world.elsewhere), is_requested=world.is_cancelling, answered_since=world.answered
    )
    for key in due:
        order = world.orders[key]
        if order.status not in TERMINAL and order.status not in (OrderStatus.CREATED, OrderStatus.PENDING_CANCEL):
            world = send_cancel(world, key)
    return world


def step(world: World, road: CloseRoad) -> Iterator[tuple[str, World]]:
    """Take the next step of closing (`execution_flatten_send`)."""
    if world.keep is None:
        return
    asked_worlds = doubts(world) if world.claim else iter([(world, False, True)])
    for asked, in_doubt, is_full in asked_worlds:
        lag = "" if is_full else f" (positions lag {len(asked.unreported)} deals)"
        if in_doubt:
            yield "the close waits", flag(asked, CLOSE_WAITS)
            continue
        refused = [
            i
            for i, order in enumerate(asked.orders)
            if order.is_exit and order.status is OrderStatus.REJECTED and not order.proved
        ]
        yield f"the close goes on{lag}", _stepped(_settled(asked, refused), road)


def _stepped(world: World, road: CloseRoad) -> World:
    plan, _leaves = planned(world, road)
    if plan is None:
        return world
    if plan.step is CloseStep.NOTHING:
        return world._replace(keep=None) if world.keep else world
    if plan.step is CloseStep.GIVE_UP:
        return flag(world, CLOSE_FAILED)
    if plan.step is CloseStep.MOVE_TARGET:
        return send_change(world, plan.keys[0])
    if plan.step is CloseStep.SEND:
        for key in plan.keys:
            world = send_new(world, key)
        return world
    if plan.step in (CloseStep.WAIT, CloseStep.FOREIGN):
        return world
    world = _discarded(world)
    if plan.step in (CloseStep.CLOSE, CloseStep.JOIN):
        new = Order(leg=Leg.CLOSE, quantity=int(plan.quantity))
        world = world._replace(orders=(*world.orders, new))
        return send_new(world, len(world.orders) - 1, joins=plan.step is CloseStep.JOIN)
    for key, size in plan.sizes:
        world = send_change(world, key, size=int(size))
    for key in plan.keys if plan.step in (CloseStep.CANCEL, CloseStep.CUT) else ():
        world = send_cancel(world, key)
    return world


def _discarded(world: World) -> World:
    for index, order in enumerate(world.orders):
        if order.is_exit and order.status is OrderStatus.CREATED:
            world = moved(world, index, OrderEvent.PROVED_ABSENT)
    return world


def time_passes(world: World) -> World:
    """Let so much time pass that nothing is on its way, no report lags, and what was done may be done again."""
    is_settled = not (world.acted or world.recent or world.unreported or (world.doubt and not world.doubt.is_old))
    if is_settled and not any(young for _, young in world.foreign) and not any(order.asked for order in world.orders):
        return world
    doubt = world.doubt if world.doubt is None else world.doubt._replace(is_old=True)
    orders = tuple(order._replace(asked="") if order.asked else order for order in world.orders)
    return world._replace(
        orders=orders,
        acted=False,
        recent=(),
        unreported=(),
        foreign=tuple((quantity, False) for quantity, _young in world.foreign),
        doubt=doubt,
    )
