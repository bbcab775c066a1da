"""`scripts/simulate`: run seeds until one breaks an invariant, then look for the shortest list of steps that does.

simulate --seeds 1-200 --steps 100         every seed once; exit 1 when any failed
simulate --seed 17 --steps 100             one seed
simulate --forever                         new seeds until one fails or it is stopped
simulate --sabotage guard --seeds 1-50     with a rule switched off: succeeds when a seed fails
simulate --exhaustive                      every reachable state of a small model (see tests.simulation.model)
"""

import argparse
import itertools
import logging
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.simulation import fuzz
from tests.simulation.account_invariants import race_told
from tests.simulation.acts import Step, carry_out, plan
from tests.simulation.model import explore
from tests.simulation.story import story
from tests.simulation.world import World

# A reconcile comes every 60 s; what only it can find takes that long where the connection was not lost.
CALM_SECONDS_MAX = 100.0
QUIET_SECONDS = 0.7
# How often a person looks at what was left to one, once all is calm.
ANSWER_EVERY_SECONDS = 5.0
WATCH_EVERY_SECONDS = 1.0
LOOK_EVERY_SECONDS = 0.3
SABOTAGE_NAMES = (
    "claim, id_floor, dedupe_key, reconcile, guard, fencing, exposure, joined_close, settle_by_evidence, lag"
)
_ACTS = ("CLOSED_ELSEWHERE", "NOT_OURS", "TAKE_OVER", "PROTECT", "CLOSE_SURPLUS")


def main(arguments: list[str]) -> int:
    """Return 0 when every invariant held (with a sabotage: when one did not)."""
    if "--fuzz" in arguments:
        return fuzz.main()
    if "--exhaustive" in arguments:
        return explore.main(arguments)
    options = _options(arguments)
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ended like by Ctrl-C: nothing is left running.
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        world = World(folder=Path(options.keep or folder), sabotage=options.sabotage)
        world.folder.mkdir(parents=True, exist_ok=True)
        try:
            world.open()
            return _run_all(world, options)
        except KeyboardInterrupt:
            return 130
        finally:
            world.close()


def _run_all(world: World, options: argparse.Namespace) -> int:
    failed: list[int] = []
    for seed in options.seeds:
        begun = time.monotonic()
        steps = plan(seed, options.steps)
        found = run(world, seed, steps)
        told = "ok" if not found else "; ".join(found)
        told += f", {raced}" if (raced := race_told(world)) else ""
        print(f"seed {seed}: {told} ({happened()}, {time.monotonic() - begun:.1f} s)", flush=True)
        if not found:
            continue
        failed.append(seed)
        if options.keep:
            (world.folder / f"story-{seed}.txt").write_text(story(world))
        if options.sabotage and not has_sent():
            print(f"without {options.sabotage!r} nothing was sent: the sabotage is broken, which proves nothing")
            return 2
        if options.sabotage:
            print(f"without {options.sabotage!r} seed {seed} fails: {found[0]}")
            return 0
        if options.shrink:
            shortest = shrink(world, seed, steps, seconds_max=options.shrink)
            print(f"  shortest found: {' '.join(map(str, shortest))}")
        if options.forever:
            break
    if options.sabotage:
        print(f"without {options.sabotage!r} every seed passes: the run cannot see it")
        return 1
    print(f"{len(failed)} seeds failed: {failed}" if failed else "every invariant held")
    return 1 if failed else 0


def happened() -> str:
    """Say in a few words how much a run has moved, so that one that moved nothing is seen."""
    from app.executions.models import BrokerEvent, Decision, Execution, Fill, Order

    placed = Order.objects.filter(sent_at__isnull=False).count()
    repairs = Decision.objects.filter(actor="GUARD").exclude(action="ASK").count()
    closing = Order.objects.filter(sent_at__isnull=False)
    closes = closing.filter(leg="CLOSE").count() + closing.filter(leg="TAKE_PROFIT", order_type="MARKET").count()
    elsewhere = BrokerEvent.objects.filter(kind="closed_elsewhere").count()
    acts = Decision.objects.filter(actor="PERSON", action__in=_ACTS).count()
    return (
        f"{Execution.objects.count()} executions, {placed} orders sent, {Fill.objects.count()} fills, "
        f"{repairs} repairs, {closes} closes, {elsewhere} closed elsewhere, {acts} settled by a person"
    )


def has_sent() -> bool:
    """Say whether anything reached the broker."""
    from app.executions.models import Order

    return Order.objects.filter(sent_at__isnull=False).exists()


def run(world: World, seed: int, steps: Sequence[Step]) -> list[str]:
    """Run these steps of a seed in a new world and return what does not hold."""
    from tests.simulation import invariants

    world.begin(seed)
    for step in steps:
        try:
            carry_out(world, step)
        except Exception as error:  # What the analyst's process cannot bear is a finding like any other.
            traceback.print_exc()
            return [f"{step} failed: {type(error).__name__}: {error}".splitlines()[0]]
        time.sleep(step.pause_ms / 1000)
        found = invariants.always(world)
        if found:
            return [f"after {step}: {line}" for line in found]
    return _come_to_rest(world, seed)


def _come_to_rest(world: World, seed: int) -> list[str]:
    """Take all faults back and wait until every invariant holds for a while; return what still does not."""
    from tests.simulation import invariants
    from tests.simulation.account_invariants import left_to_a_person
    from tests.simulation.acts import person, processes

    world.heal()
    give_up_at = time.monotonic() + CALM_SECONDS_MAX
    quiet_since = None
    chance, answer_at = random.Random(seed), time.monotonic() + ANSWER_EVERY_SECONDS
    watch_at = time.monotonic()
    while True:
        found = [] if world.is_ready() else ["no worker is READY"]
        found = found or invariants.at_rest(world)
        if not found and world.setting.answers and left_to_a_person():
            found = ["it was left to a person, and no act of theirs has settled it"]
        now = time.monotonic()
        if now > watch_at:
            watch_at = now + WATCH_EVERY_SECONDS
            processes.watchdog(world, chance, 0)
        if found and world.setting.answers and now > answer_at:
            person.answer_all(world, chance)
            answer_at = time.monotonic() + ANSWER_EVERY_SECONDS
        if not found:
            quiet_since = quiet_since or now
            if now - quiet_since > QUIET_SECONDS:
                found = [*invariants.too_fast(world), *invariants.audited(world, with_replay=True)]
                if not found or now > give_up_at:
                    return [f"at rest: {line}" for line in found]
                quiet_since = None
        else:
            quiet_since = None
            if now > give_up_at:
                return [f"at rest: {line}" for line in found]
        time.sleep(LOOK_EVERY_SECONDS)


def shrink(world: World, seed: int, steps: Sequence[Step], *, seconds_max: float) -> list[Step]:
    """Leave out as many steps as possible with the run still failing, halves first, then fewer and fewer."""
    give_up_at = time.monotonic() + seconds_max
    kept = list(steps)
    size = max(1, len(kept) // 2)
    while size and time.monotonic() < give_up_at:
        position = 0
        while position < len(kept) and time.monotonic() < give_up_at:
            without = kept[:position] + kept[position + size :]
            if without and run(world, seed, without):
                kept = without
            else:
                position += size
        size //= 2
    return kept


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="simulate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", default="1-10", help="a range of seeds, FIRST-LAST (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=100, help="steps per seed (default: %(default)s)")
    parser.add_argument("--forever", action="store_true", help="go on with new seeds until one fails")
    parser.add_argument("--shrink", type=float, default=120.0, help="seconds to look for a shorter run, 0 = not at all")
    parser.add_argument("--sabotage", default="", help=f"switch off: {SABOTAGE_NAMES}")
    parser.add_argument("--keep", default="", help="keep logs and books in this folder")
    options = parser.parse_args(arguments)
    options.seeds = _seeds(options)
    return options


def _seeds(options: argparse.Namespace) -> Iterable[int]:
    first, _, last = str(options.seed or options.seeds).partition("-")
    if options.forever:
        return itertools.count(int(first))
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
