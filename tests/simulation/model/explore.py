"""`scripts/simulate --exhaustive`: every reachable state of the small model, and what it could not have missed.

simulate --exhaustive                    every search of the table, to its depth
simulate --exhaustive --depth 6          the same, to that depth at most
simulate --exhaustive --mutations        each rule switched off in turn: exit 1 where one is not seen
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from app.domain.close import CloseRoad
from app.domain.exposure import AccountUse
from tests.simulation.model.mutations import MUTATIONS, Mutation, switched_off
from tests.simulation.model.roots import ROOTS
from tests.simulation.model.search import Report, Search, Violation
from tests.simulation.model.world_acts import Rules


class Plan(NamedTuple):
    """One search: where it begins, how many acts of people and the adversary a way may have, and how deep it goes."""

    name: str
    roots: tuple[str, ...]
    acts: int
    depth: int
    target: bool = False
    theirs: int = 0
    rules: Rules = Rules()


EVERY_ROOT = tuple(ROOTS)
EXCLUSIVE = Rules(use=AccountUse.EXCLUSIVE)
CANCEL_FIRST = Rules(road=CloseRoad.CANCEL_FIRST)
PLANS = (
    Plan("undisturbed, with a target", EVERY_ROOT, acts=0, depth=14, target=True),
    Plan("undisturbed, exclusive account", EVERY_ROOT, acts=0, depth=12, target=True, rules=EXCLUSIVE),
    Plan("one act, a lone stop", ("working",), acts=1, depth=10),
    Plan("one act, with a target", ("half", "open"), acts=1, depth=7, target=True),
    Plan("one act, beside two shares of others", ("half",), acts=1, depth=8, theirs=2),
    Plan("one act, beside a short of others", ("half",), acts=1, depth=8, theirs=-2),
    Plan("one act, closing by cancelling first", ("open",), acts=1, depth=8, target=True, rules=CANCEL_FIRST),
    Plan("two acts, a lone stop", ("half", "open"), acts=2, depth=6),
    Plan("two acts, with a target", EVERY_ROOT, acts=2, depth=4, target=True),
)


def searched(plan: Plan, *, depth: int | None = None, seconds_max: float = float("inf")) -> Report:
    """Carry out a plan."""
    roots = {name: ROOTS[name](target=plan.target, theirs=plan.theirs, faults=plan.acts) for name in plan.roots}
    return Search(plan.rules, stop_at_first=False).run(
        roots, depth=min(plan.depth, depth or plan.depth), seconds_max=seconds_max
    )


def seen(mutation: Mutation) -> Violation | None:
    """Search with a rule switched off; return the first violation by a shortest way."""
    with switched_off(mutation):
        found = Search(mutation.rules).run(mutation.roots(), depth=mutation.depth).violations
    return found[0] if found else None


def main(arguments: Sequence[str]) -> int:
    """Return 0 where no search found a violation (with `--mutations`: where each found one)."""
    parser = argparse.ArgumentParser(
        prog="simulate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--exhaustive", action="store_true", help="what this is")
    parser.add_argument("--depth", type=int, help="events after the begin, at most")
    parser.add_argument("--mutations", action="store_true", help="with each rule switched off in turn")
    options = parser.parse_args(arguments)
    return _mutations() if options.mutations else _plans(options.depth)


def _plans(depth: int | None) -> int:
    failed = False
    begun = time.monotonic()
    for plan in PLANS:
        cpu = time.process_time()
        report = searched(plan, depth=depth)
        print(
            f"{plan.name} (from {', '.join(plan.roots)}): {report.states} states, {report.events} events to depth "
            f"{report.depth}; {time.process_time() - cpu:.0f} s of a processor, {report.megabytes} MB at most so far"
        )
        for why, count in sorted(report.races.states.items()):
            print(f"  a race, {why}: {count} states, {report.races.largest[why]} shares at most")
        for why, shares in sorted(report.races.oversold.items()):
            print(f"  closed too much by a race, {why}: {shares} shares at most")
        for violation in report.violations:
            failed = True
            _say(violation)
        sys.stdout.flush()
    print(f"{'violations were found' if failed else 'every invariant held'} ({time.monotonic() - begun:.0f} s)")
    return 1 if failed else 0


def _say(violation: Violation) -> None:
    print(f"  VIOLATION {violation.what}")
    print(f"    from {violation.root!r}, {violation.depth} events: {' > '.join(violation.way)}")
    if violation.calm:
        print(f"    and then, by itself: {' > '.join(violation.calm)}")


def _mutations() -> int:
    unseen = 0
    for mutation in MUTATIONS:
        violation = seen(mutation)
        if violation is None:
            unseen += 1
            print(f"NOT SEEN: {mutation.name}")
            continue
        print(f"{mutation.name}: {violation.depth} events, then {len(violation.calm)} by itself: {violation.what}")
        print(f"    {' > '.join([*violation.way, *violation.calm])}")
    return 1 if unseen else 0
