"""Messages that are odd: deals told twice or at unreadable times, figures that are not there, 1100 without an end."""

import random

from tests.simulation.acts.step import Act
from tests.simulation.world import World

_ODD_TIMES = ("20261127 07:29:51 JST", "20261127 07:29:51", "20261127-12:29:51", "", "yesterday")
_UNSET = ("1.7976931348623157E308", "", "nan", "-")
_ODD_FIGURES = (
    ("position", "avgCost", _UNSET),
    ("commissionReport", "realizedPNL", _UNSET),
    ("commissionReport", "commission", _UNSET),
    ("orderStatus", "avgFillPrice", _UNSET),
    ("orderStatus", "lastFillPrice", _UNSET),
    ("orderStatus", "filled", ("?",)),
    ("openOrder", "auxPrice", ("?",)),
    ("execDetails", "price", ("?", "")),
    ("execDetails", "shares", ("?",)),
    ("execDetails", "cumQty", ("?", "")),
    ("position", "position", ("?",)),
    ("error", "errorCode", ("?",)),
)


def odd_times(world: World, chance: random.Random, _number: int) -> None:
    """Some of the next deals have a time in a zone that nobody knows, without a zone, or none."""
    world.peer.garble(["execDetails"], field="time", text=chance.choice(_ODD_TIMES), count=chance.randrange(1, 4))


def odd_figures(world: World, chance: random.Random, _number: int) -> None:
    """A figure of one of the next messages is not there, or nobody can read it."""
    message, field, texts = chance.choice(_ODD_FIGURES)
    world.peer.garble([message], field=field, text=chance.choice(texts), count=chance.randrange(1, 3))


def deals_twice(world: World, chance: random.Random, _number: int) -> None:
    """The next deals and costs are told twice."""
    for name in ("execDetails", "commissionReport"):
        world.peer.duplicate([name], count=chance.randrange(1, 4))


def endless_1100(world: World, _chance: random.Random, _number: int) -> None:
    """The Gateway says that it lost IB, never says that it is back, and goes on as if nothing had been."""
    world.peer.send_error(code=1100, text="Connectivity between IBKR and Trader Workstation has been lost.", id=-1)


ACTS: dict[str, tuple[int, Act]] = {
    "odd_times": (2, odd_times),
    "odd_figures": (3, odd_figures),
    "deals_twice": (2, deals_twice),
    "endless_1100": (1, endless_1100),
}
