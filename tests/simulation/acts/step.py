"""What a step is: the name of an act and numbers drawn before the run, so that a run can be repeated without some."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.world import World

Act = Callable[[World, random.Random, int], None]


@dataclass(frozen=True)
class Step:
    """One step of a run: `draw` seeds what the act draws, `pause_ms` is waited afterwards."""

    number: int
    act: str
    draw: int
    pause_ms: int

    def __str__(self) -> str:
        return f"{self.number}:{self.act}"


def later(world: World, number: int, undo: Callable[[], object]) -> None:
    """Have something undone when step `number` is reached, or at the end."""
    world.later.append((number, undo))


def live_orders(world: World) -> list[dict[str, Any]]:
    """Return the orders that live at the broker, in placing order."""
    return [order for order in world.peer.orders() if order["live"]]


def attempt(act: Callable[[], object]) -> None:
    """Do something that the broker may refuse because the order has changed since the look."""
    from ib_simulator.client import ControlError

    try:
        act()
    except ControlError:
        return
