"""Every reachable state, breadth first, so that the first way that is found to a violation is a shortest one.

In each state the invariants of the moment are looked at (what was sent, what was filled). Then the world is left alone:
everything on its way arrives, people and the adversary rest, our threads go on, and where nothing changes any more the
invariants of rest must hold. Ways that run into each other are followed once.
"""

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from app.domain.terms import Leg
from tests.simulation.model import account, facts, ours
from tests.simulation.model.broker import can_wake, fill, oca_catches_up, receive, sealed, wake
from tests.simulation.model.recording import breath_heard, record
from tests.simulation.model.rest import broken_at_rest
from tests.simulation.model.sending import could_close_in_truth
from tests.simulation.model.state import LIVE, World
from tests.simulation.model.world_acts import Rules, judged_fill, race_of, successors

CALM_STEPS_MAX = 120


@dataclass(slots=True)
class Violation:
    """What was broken, and the shortest way to it: the events from the root, then what happened while all was calm."""

    what: str
    depth: int
    root: str
    way: list[str]
    calm: list[str]
    world: World


@dataclass(slots=True)
class Races:
    """Moments in which more could be closed than was open, because something was still on its way: allowed, counted."""

    states: dict[str, int] = field(default_factory=dict)
    largest: dict[str, int] = field(default_factory=dict)
    oversold: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What a search has seen."""

    depth: int = 0
    states: int = 0
    events: int = 0
    by_depth: list[int] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    races: Races = field(default_factory=Races)
    seconds: float = 0.0
    megabytes: int = 0
    is_whole: bool = True


class Search:
    """One search: its rules, what it has seen and how it came there."""

    def __init__(
        self, rules: Rules, *, stop_at_first: bool = True, progress: Callable[[str], None] | None = None
    ) -> None:
        self._rules = rules
        self._stop_at_first = stop_at_first
        self._progress = progress
        self._came_from: dict[World, tuple[World | None, str]] = {}
        self._rests_well: set[World] = set()
        self._kinds: set[str] = set()
        self._left = 0  # acts of the adversary that a root allows
        self.report = Report()

    def run(self, roots: Mapping[str, World], *, depth: int, seconds_max: float = float("inf")) -> Report:
        """Look at every state that is reachable within so many events."""
        facts.forget()
        account.forget()
        begun, report = time.monotonic(), self.report
        frontier = list(dict.fromkeys(roots.values()))
        self._left = max(world.left for world in frontier)
        self._came_from = {root: (None, name) for name, root in roots.items()}
        report.by_depth = [len(frontier)]
        for world in frontier:
            self._look(world, 0)
        for level in range(1, depth + 1):
            frontier = self._level(frontier, level, give_up_at=begun + seconds_max)
            report.by_depth.append(len(frontier))
            report.depth = level if report.is_whole else level - 1
            self._say(f"depth {level}: {len(frontier)} new states, {time.monotonic() - begun:.0f} s")
            if not frontier or not report.is_whole or (report.violations and self._stop_at_first):
                break
        report.states = len(self._came_from)
        report.seconds = time.monotonic() - begun
        report.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return report

    def _level(self, frontier: Sequence[World], level: int, *, give_up_at: float) -> list[World]:
        new: list[World] = []
        came_from, rules, report = self._came_from, self._rules, self.report
        for world in frontier:
            for label, after in successors(world, rules):
                report.events += 1
                if after in came_from:
                    continue
                came_from[after] = (world, label)
                if self._look(after, level):
                    new.append(after)
            if self._stop_at_first and report.violations:
                break
            if time.monotonic() > give_up_at:
                report.is_whole = False
                break
        return new

    def _look(self, world: World, level: int) -> bool:
        """Check a state, and say whether to go on from it."""
        if world.fault:
            self._found(world.fault, world, level, calm=[])
            return False
        excess = could_close_in_truth(world) - world.may_be_closed
        if excess > 0 or world.true_claim < 0:
            self._note_race(world, excess)
        broken, calm = self._calm_down(world)
        if broken:
            self._found(broken, world, level, calm=calm)
            return False
        return True

    def _note_race(self, world: World, excess: int) -> None:
        races, why = self.report.races, race_of(world) or "at rest, and told"
        if excess > 0:
            races.states[why] = races.states.get(why, 0) + 1
            races.largest[why] = max(races.largest.get(why, 0), excess)
        if world.true_claim < 0:
            races.oversold[why] = max(races.oversold.get(why, 0), -world.true_claim)

    def _calm_down(self, world: World) -> tuple[str, list[str]]:
        """Leave the world alone; return what does not hold when it rests, and what happened until then."""
        passed: list[World] = []
        labels: list[str] = []
        while world not in self._rests_well:
            if len(passed) > CALM_STEPS_MAX:
                return "it does not come to rest", labels
            passed.append(world)
            label, after = next_calm(world, self._rules)
            if after == world:
                broken = broken_at_rest(world, is_undisturbed=world.left == self._left)
                if broken:
                    return broken, labels
                break
            labels.append(label)
            if after.fault:
                return after.fault, labels
            world = after
        self._rests_well.update(passed)
        return "", labels

    def _found(self, what: str, world: World, level: int, *, calm: list[str]) -> None:
        if what in self._kinds:
            return
        self._kinds.add(what)
        root, way = self.root_of(world), self.way_to(world)
        violation = Violation(what=what, depth=level, root=root, way=way, calm=calm, world=world)
        self.report.violations.append(violation)

    def root_of(self, world: World) -> str:
        """Return where the way to a state begins."""
        while (before := self._came_from[world][0]) is not None:
            world = before
        return self._came_from[world][1]

    def way_to(self, world: World) -> list[str]:
        """Return the events that lead to a state."""
        labels: list[str] = []
        before: World | None = world
        while before is not None:
            came, label = self._came_from[before]
            if came is not None:
                labels.append(label)
            before = came
        return labels[::-1]

    def _say(self, line: str) -> None:
        if self._progress is not None:
            self._progress(line)


def next_calm(world: World, rules: Rules) -> tuple[str, World]:
    """Return what happens next where everybody rests but the broker and our own threads, and nothing goes wrong."""
    for label, after in _calm_events(world, rules):
        if after is not world and after != world:
            return label, after
    return "", world


def _calm_events(world: World, rules: Rules) -> Iterable[tuple[str, World]]:
    if world.up:
        label, after = next(iter(receive(world, faults=False)))
        yield label, sealed(after)
        return
    if world.down:
        yield "heard", breath_heard(world)
        return
    if world.late:
        yield "heard late", record(world._replace(late=world.late[1:]), world.late[0])
        return
    if world.oca_due:
        yield "the group is cut", sealed(oca_catches_up(world))
    if can_wake(world):
        yield "the children wake", sealed(wake(world))
    for index, order in enumerate(world.orders):
        if order.at == LIVE and (order.leg is Leg.CLOSE or order.is_market):
            yield "what is at the market fills", sealed(judged_fill(world, fill(world, index, order.rest), index))
    yield from _calm_of_ours(world, rules)


def _calm_of_ours(world: World, rules: Rules) -> Iterable[tuple[str, World]]:
    yield "cancels are sent", ours.sweep(world)
    yield from islice(ours.look(world, rules.road), 1)
    yield from islice(ours.step(world, rules.road), 1)
    yield "exits in doubt are asked for", ours.settle(world)
    yield from islice(ours.ask_everything(world, use=rules.use), 1)
    yield "time passes", ours.time_passes(world)
