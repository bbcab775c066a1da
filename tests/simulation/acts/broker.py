"""What the broker does to orders and to what it tells of them."""

import random
from decimal import Decimal
from typing import Any

from tests.simulation.acts.step import Act, attempt, later, live_orders
from tests.simulation.book import leg_of
from tests.simulation.world import World


def cancel_by_hand(world: World, chance: random.Random, _number: int) -> None:
    """Somebody cancels one of our orders in TWS."""
    orders = live_orders(world)
    if orders:
        attempt(lambda: world.peer.cancel_order(perm_id=chance.choice(orders)["perm_id"]))


def modify_by_hand(world: World, chance: random.Random, _number: int) -> None:
    """Somebody changes one of our orders in TWS: how large it is, or where it waits.

    An exit is made smaller only: one that is larger than what is held may fill before anybody can cut it.
    """
    orders = [order for order in live_orders(world) if order["order_ref"]]
    if not orders:
        return
    order = chance.choice(orders)
    most = 150 if leg_of(order) == "ENTRY" else int(Decimal(order["quantity"]))
    changes: list[dict[str, Any]] = [{"quantity": chance.randint(1, most)}]
    price = world.price + Decimal(chance.randrange(-150, 150)) / 100
    if order["order_type"] == "LMT":
        changes.append({"limit_price": price})
    elif order["order_type"] == "STP":
        changes.append({"stop_price": price})
    attempt(lambda: world.peer.modify_order(perm_id=order["perm_id"], **chance.choice(changes)))


def reject_next(world: World, chance: random.Random, _number: int) -> None:
    """The broker refuses the next order of a type."""
    world.peer.reject_next(
        code=201, text="Order rejected - reason:Refused.", order_type=chance.choice(("MKT", "LMT", "STP"))
    )


def switch(world: World, chance: random.Random, _number: int) -> None:
    """The broker behaves in another of the ways it has been seen to."""
    switches = {
        "children_activate": ("on_partial", "on_full"),
        "children_after_partial_cancel": ("keep_filled", "cancel", "keep_full"),
        "reject_sequence": ("error_then_inactive", "inactive_then_error", "error_then_cancelled", "error_only"),
        "cancel_sequence": ("direct", "pending_first"),
        "fill_sequence": ("execution_first", "status_first", "status_missing", "status_twice", "commission_late"),
        "second_cancel": ("refuse_161", "refuse_10148"),
        "outage_news": ("lost", "told_at_end"),
        "outage_orders": ("taken", "lost"),
        "outage_queries": ("answered", "silent"),
        "corrected_executions": ("both", "latest_only"),
        "duplicate_callbacks": ("on", "off"),
        "modify_child_after_parent_done": ("refuse_135", "accept"),
        "open_orders_on_connect": ("on", "off"),
        "oca_join": ("linked", "not_linked", "refused"),
        "lone_child_group": ("none", "parent"),
        "modify_during_outage": ("one_order", "two_orders"),
    }
    name = chance.choice(sorted(switches))
    world.peer.set_switch(name, chance.choice(switches[name]))


def slow_cancels(world: World, chance: random.Random, number: int) -> None:
    """Cancels wait at the broker for some steps; what they are about may still fill."""
    world.peer.hold_cancels()
    later(world, number + chance.randrange(2, 8), lambda: world.command("release_cancels"))


def correct_price(world: World, chance: random.Random, _number: int) -> None:
    """The exchange corrects the price of a deal: the same deal under a raised id."""
    deals = [deal for deal in world.peer.state()["executions"] if deal["order_ref"]]
    if deals:
        deal = chance.choice(deals)
        attempt(lambda: world.peer.correct_execution(deal["exec_id"], price=deal["price"]))


def farms(world: World, chance: random.Random, _number: int) -> None:
    """The Gateway speaks of its farms."""
    world.peer.farm(chance.choice(("broken", "ok", "inactive")), kind=chance.choice(("market", "history")))


def lose_messages(world: World, chance: random.Random, number: int) -> None:
    """Messages of a kind are lost for some steps."""
    names = [chance.choice(("orderStatus", "openOrder", "execDetails", "commissionReport", "openOrderEnd"))]
    world.peer.mute(messages=names)
    later(world, number + chance.randrange(2, 10), lambda: world.peer.unmute(messages=names))


def delay_messages(world: World, chance: random.Random, number: int) -> None:
    """Messages of a kind come late, after those that were told later."""
    names = [chance.choice(("orderStatus", "openOrder", "execDetails", "commissionReport", "error"))]
    world.peer.hold_answers(messages=names)
    later(world, number + chance.randrange(1, 6), lambda: world.peer.release_answers(messages=names))


def twist_messages(world: World, chance: random.Random, _number: int) -> None:
    """Some of the next messages of a kind come twice, late, after another, or not at all."""
    name = chance.choice(("orderStatus", "openOrder", "execDetails", "commissionReport"))
    count = chance.randrange(1, 5)
    kind = chance.choice(("duplicate", "delay", "reorder", "lose"))
    if kind == "duplicate":
        world.peer.duplicate([name], count=count)
    elif kind == "delay":
        world.peer.delay_messages([name], ms=chance.randrange(5, 400), count=count)
    elif kind == "reorder":
        other = chance.choice([one for one in ("orderStatus", "openOrder", "execDetails") if one != name])
        world.peer.reorder([name], after=other, count=count)
    else:
        world.peer.lose([name], count=count)


def lose_answer(world: World, chance: random.Random, _number: int) -> None:
    """The end of an answer is lost: the question never ends."""
    world.peer.lose([chance.choice(("openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "positionEnd"))], count=1)


def outage(world: World, chance: random.Random, number: int) -> None:
    """The Gateway loses IB for some steps (1100, then 1101 or 1102); what happens meanwhile is not told."""
    world.peer.outage(restored=chance.choice((1101, 1102)))
    later(world, number + chance.randrange(1, 10), lambda: world.command("end_outage"))


def nightly_reset(world: World, chance: random.Random, number: int) -> None:
    """IB resets its servers: reports come late and stops sleep."""
    world.peer.nightly_reset()
    later(world, number + chance.randrange(1, 8), lambda: world.command("end_reset"))


ACTS: dict[str, tuple[int, Act]] = {
    "cancel_by_hand": (5, cancel_by_hand),
    "modify_by_hand": (5, modify_by_hand),
    "reject_next": (2, reject_next),
    "switch": (5, switch),
    "lose_messages": (3, lose_messages),
    "delay_messages": (3, delay_messages),
    "twist_messages": (4, twist_messages),
    "lose_answer": (2, lose_answer),
    "outage": (2, outage),
    "nightly_reset": (1, nightly_reset),
    "slow_cancels": (2, slow_cancels),
    "correct_price": (1, correct_price),
    "farms": (1, farms),
}
