"""What the market does."""

import random
from decimal import Decimal

from tests.simulation.acts.step import Act, attempt, later, live_orders
from tests.simulation.book import bracket_of, held_by_bracket
from tests.simulation.world import SYMBOL, World


def price(world: World, chance: random.Random, _number: int) -> None:
    """The price moves by some ticks."""
    _move(world, Decimal(chance.randrange(-40, 41)) / 100)


def gap(world: World, chance: random.Random, _number: int) -> None:
    """The price jumps through what is in its way."""
    _move(world, Decimal(chance.choice((-400, -250, 250, 400))) / 100)


def fill_part(world: World, chance: random.Random, _number: int) -> None:
    """A part of a live order is filled, of an exit too, but never more of it than is held: a child has that limit."""
    orders = [order for order in live_orders(world) if Decimal(order["remaining"]) > 1]
    if orders:
        order = chance.choice(orders)
        part = max(1, int(Decimal(order["remaining"]) * chance.randrange(1, 10) // 10))
        if order["order_ref"] and not order["order_ref"].endswith("-ENTRY"):
            part = min(part, int(held_by_bracket(world.peer.orders()).get(bracket_of(order), 0)))
        if part <= 0:
            return
        attempt(lambda: world.peer.fill(perm_id=order["perm_id"], quantity=part))


def pause_fills(world: World, chance: random.Random, number: int) -> None:
    """Nothing trades for some steps."""
    world.peer.pause_fills()
    later(world, number + chance.randrange(2, 8), lambda: world.command("resume_fills"))


def thin_market(world: World, chance: random.Random, number: int) -> None:
    """There are few shares to be had at each price, for some steps."""
    world.peer.set_liquidity(SYMBOL, chance.randrange(1, 60))
    later(world, number + chance.randrange(2, 12), lambda: world.peer.set_liquidity(SYMBOL, None))


def halt(world: World, chance: random.Random, number: int) -> None:
    """The exchange halts the symbol for some steps; when it goes on, the price has moved."""
    world.peer.halt(SYMBOL)

    def go_on() -> None:
        world.peer.resume(SYMBOL)
        _move(world, Decimal(chance.choice((-150, 150))) / 100)

    later(world, number + chance.randrange(2, 6), go_on)


def _move(world: World, by: Decimal) -> None:
    # After a split the prices stay near half of what they were.
    lowest, highest = 150 * world.scale, 230 * world.scale
    world.price = min(max(world.price + by, lowest), highest).quantize(Decimal("0.01"))
    world.peer.set_price(SYMBOL, str(world.price))


ACTS: dict[str, tuple[int, Act]] = {
    "price": (24, price),
    "gap": (5, gap),
    "fill_part": (8, fill_part),
    "pause_fills": (2, pause_fills),
    "thin_market": (2, thin_market),
    "halt": (1, halt),
}
