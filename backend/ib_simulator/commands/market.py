"""Commands that move the market."""

from typing import TYPE_CHECKING

from ib_simulator.arguments import Arguments
from ib_simulator.commands.command import Answer, find_instrument, named
from ib_simulator.errors import CommandError

if TYPE_CHECKING:
    from ib_simulator.gateway import Gateway

STEPS_MAX = 100_000


def set_price(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Pin a symbol's last price."""
    instrument, price = find_instrument(gateway, arguments), arguments.positive("price")
    if price % instrument.tick:
        raise CommandError(code="bad_value", message=f"{price} is not a multiple of the tick {instrument.tick}")
    gateway.set_price(instrument, price)
    return {"symbol": instrument.symbol, "price": format(price, "f")}


def release_price(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Let a pinned price move again."""
    instrument = find_instrument(gateway, arguments)
    gateway.market.path(instrument).release()
    return {"symbol": instrument.symbol}


def step(gateway: "Gateway", arguments: Arguments) -> Answer:
    """Move all prices by n steps."""
    count = arguments.integer("n", default=1)
    if not 0 < count <= STEPS_MAX:
        raise CommandError(code="bad_value", message=f"n must be 1 to {STEPS_MAX}")
    for _ in range(count):
        gateway.step()
    return {"prices": {symbol: format(price, "f") for symbol, price in gateway.market.prices().items()}}


COMMANDS = named(set_price, release_price, step)
