"""Everything that can happen in one step: what people, the market, the world outside and the adversary do."""

import random

from tests.simulation.acts import analyst, broker, line, market, oddities, outside, person, processes
from tests.simulation.acts.step import Act, Step
from tests.simulation.world import World

ACTS: dict[str, tuple[int, Act]] = {
    **analyst.ACTS,
    **person.ACTS,
    **market.ACTS,
    **broker.ACTS,
    **outside.ACTS,
    **oddities.ACTS,
    **line.ACTS,
    **processes.ACTS,
}
# So that there is something to lose from the start.
EXECUTIONS_FIRST = 3


def plan(seed: int, count: int) -> list[Step]:
    """Return the steps of a seed."""
    chance = random.Random(seed)
    names, weights = zip(*((name, weight) for name, (weight, _act) in ACTS.items()), strict=True)
    drawn = [
        Step(number, chance.choices(names, weights)[0], chance.randrange(1 << 30), chance.choice((0, 5, 20, 60, 150)))
        for number in range(count)
    ]
    return [Step(step.number, "execute", step.draw, step.pause_ms) for step in drawn[:EXECUTIONS_FIRST]] + drawn[
        EXECUTIONS_FIRST:
    ]


def carry_out(world: World, step: Step) -> None:
    """Do one step, and what earlier steps have left to be undone now."""
    due = [undo for at, undo in world.later if at <= step.number]
    world.later = [(at, undo) for at, undo in world.later if at > step.number]
    for undo in due:
        undo()
    world.note(str(step))
    _weight, act = ACTS[step.act]
    act(world, random.Random(step.draw), step.number)
