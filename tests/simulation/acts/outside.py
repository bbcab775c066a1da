"""What others do in the account: people in TWS, another program, the issuer of the shares."""

import random
from decimal import Decimal
from typing import Any

from tests.simulation.acts import analyst
from tests.simulation.acts.step import Act, attempt, later, live_orders
from tests.simulation.book import bracket_of, held_by_bracket, is_exit, side_of
from tests.simulation.setting import OTHER_PROGRAM
from tests.simulation.world import SYMBOL, World

# Well below what the workers allow for (see setting): their clock begins when they hear of a deal.
LAG_SECONDS_MAX = 4.5


def trade_by_hand(world: World, chance: random.Random, _number: int) -> None:
    """Somebody buys the same symbol in TWS, now or far below the market, or sells what they have bought."""
    quantity = chance.randrange(1, 20)
    kind = chance.choice(("far", "buy", "sell"))
    if kind == "far":
        _place(world, "BUY", quantity, order_type="LMT", limit_price=str(world.price / 2))
    elif kind == "buy":
        _place(world, "BUY", quantity)
    else:
        _place(world, "SELL", min(quantity, max(int(world.outsiders.theirs), 1)))


def other_program(world: World, chance: random.Random, _number: int) -> None:
    """Another program trades the symbol under its client id, long or short, beside ours."""
    if OTHER_PROGRAM in world.setting.others_client_ids:
        _place(world, chance.choice(("BUY", "SELL")), chance.randrange(1, 40), client_id=OTHER_PROGRAM)


def close_in_tws(world: World, chance: random.Random, _number: int) -> None:
    """Somebody closes in TWS what a bracket of ours holds, or a part of it, and perhaps cancels its stop, too."""
    orders = world.peer.orders()
    held = {name: quantity for name, quantity in held_by_bracket(orders).items() if quantity > 0}
    if not held:
        return
    name = chance.choice(sorted(held))
    of_it = [order for order in orders if order["order_ref"] and bracket_of(order) == name]
    exits = [order for order in of_it if is_exit(order) and order["live"]]
    quantity = chance.choice((int(held[name]), chance.randint(1, int(held[name]))))
    steps: list[Any] = [lambda: _place(world, "SELL" if side_of(of_it[0]) == "LONG" else "BUY", quantity)]
    if exits and chance.random() < 0.6:
        cancelled = chance.choice(exits)["perm_id"]
        steps.append(lambda: attempt(lambda: world.peer.cancel_order(perm_id=cancelled)))
    chance.shuffle(steps)
    for step in steps:
        step()


def correct_others(world: World, chance: random.Random, _number: int) -> None:
    """The exchange corrects the size of a deal of others, or busts it, judged or not."""
    state = world.peer.state()
    world.outsiders.read(state)
    last = {deal["exec_id"].rpartition(".")[0]: deal for deal in state["executions"] if not deal["order_ref"]}
    standing = [deal for deal in last.values() if Decimal(deal["quantity"])]
    if not standing or not world.setting.unexplained:
        return
    deal, before = chance.choice(standing), _held(world)
    quantity = chance.choice((0, chance.randint(1, 2 * int(Decimal(deal["quantity"])))))
    attempt(lambda: world.peer.correct_execution(deal["exec_id"], quantity=quantity))
    if changed := _held(world) - before:
        world.outsiders.changed_without_deal(changed)


def transfer(world: World, chance: random.Random, _number: int) -> None:
    """Shares come into the account or leave it without a deal: a transfer, an assignment."""
    if not world.setting.unexplained:
        return
    quantity = chance.choice((-20, -10, -3, 3, 10, 20))
    world.peer.transfer(symbol=SYMBOL, quantity=quantity)
    world.outsiders.changed_without_deal(Decimal(quantity))


def split(world: World, chance: random.Random, _number: int) -> None:
    """The shares are split; what becomes of the orders is one of the things that are not known."""
    if not world.setting.unexplained:
        return
    before = _held(world)
    world.splits.append({bracket_of(order) for order in world.peer.orders() if order["order_ref"]})
    world.peer.set_switch("split_orders", chance.choice(("cancelled", "adjusted", "kept")))
    world.peer.split(SYMBOL, ratio=2)
    world.scale /= 2
    world.price = (world.price / 2).quantize(Decimal("0.01"))
    world.peer.set_price(SYMBOL, str(world.price))
    world.outsiders.changed_without_deal(_held(world) - before)


def lag_positions(world: World, chance: random.Random, number: int) -> None:
    """Positions are reported later than they change, for some steps; the line may break after a setup was executed.

    Who comes back then asks for everything, and the complete answer lacks the newest deals.
    """
    until = number + chance.randrange(5, 30)
    breaks = chance.random() < 0.5
    longest = breaks or chance.random() < 0.5
    world.peer.lag_positions(LAG_SECONDS_MAX if longest else round(chance.uniform(0.1, LAG_SECONDS_MAX), 2))
    if breaks:  # Soon enough for the deal to be in no report yet, late enough for it to be made.
        analyst.execute(world, chance, number)
        until = number + chance.randrange(12, 30)
        later(world, number + chance.randrange(4, 9), lambda: world.command("drop_connections"))
    later(world, until, lambda: world.peer.lag_positions(0))


def pull_stop(world: World, chance: random.Random, _number: int) -> None:
    """Somebody cancels one exit of ours after the other in TWS, though it is replaced."""
    exits = [order for order in live_orders(world) if order["order_ref"] and is_exit(order)]
    for order in chance.sample(exits, min(len(exits), 2)):
        attempt(lambda perm_id=order["perm_id"]: world.peer.cancel_order(perm_id=perm_id))


def _place(world: World, action: str, quantity: int, **more: Any) -> None:
    attempt(
        lambda: world.peer.place_external(
            symbol=SYMBOL, action=action, quantity=quantity, **{"order_type": "MKT", **more}
        )
    )


def _held(world: World) -> Decimal:
    return world.held_in_book(world.peer.state())


ACTS: dict[str, tuple[int, Act]] = {
    "trade_by_hand": (4, trade_by_hand),
    "other_program": (3, other_program),
    "close_in_tws": (5, close_in_tws),
    "transfer": (2, transfer),
    "correct_others": (2, correct_others),
    "split": (2, split),
    "lag_positions": (5, lag_positions),
    "pull_stop": (2, pull_stop),
}
