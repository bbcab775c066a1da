"""What may happen next: the broker, the market, the line, our own threads, people, and the adversary.

Each act of the adversary takes one from `World.left`, so that every way has at most so many of them; all others are
free. What changes nothing is no event.
"""

from collections.abc import Iterator
from typing import NamedTuple

from app.domain.close import CloseRoad
from app.domain.exposure import AccountUse
from app.domain.terms import Leg
from tests.simulation.model import ours
from tests.simulation.model.broker import (
    can_wake,
    end,
    fill,
    late_fill,
    name_of,
    oca_catches_up,
    receive,
    room_to_fill,
    sealed,
    tell,
    wake,
)
from tests.simulation.model.recording import breath_heard, record
from tests.simulation.model.state import ASLEEP, LIVE, OVER, World

_NATIVE = (Leg.STOP_LOSS, Leg.TAKE_PROFIT)
FOREIGN_DEALS = (-3, -1, 2)


class Rules(NamedTuple):
    """The settings that a run explores."""

    use: AccountUse = AccountUse.SHARED
    road: CloseRoad = CloseRoad.AUTO


def successors(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """Yield every event and the world after it."""
    if world.up:
        for label, after in receive(world, faults=True):
            yield label, sealed(after)
    yield from _line(world)
    for label, after in _market(world):
        yield label, sealed(after)
    yield from _ours(world, rules)
    yield from _people(world)
    if world.left:
        for label, after in _adversary(world):
            yield label, sealed(after)
        if world.down:
            yield from _line_disturbed(world)


def _line(world: World) -> Iterator[tuple[str, World]]:
    if world.down:
        yield f"heard: {'; '.join(say(world, message) for message in world.down[0])}", breath_heard(world)
    if world.late:
        late = world.late[0]
        yield f"heard late: {say(world, late)}", record(world._replace(late=world.late[1:]), late)


def say(world: World, message: tuple) -> str:
    """Return a message in words."""
    if message[0] == "foreign":
        return f"others traded {message[1]:+d}"
    name = name_of(world, message[1])
    if message[0] == "deal":
        return f"{name} dealt {message[2].bit_count()}"
    if message[0] == "status":
        return f"{name} {message[2].removesuffix('_TOLD')}, {message[3]} filled"
    return f"{name} {message[0].replace('_', ' ')}"


def _market(world: World) -> Iterator[tuple[str, World]]:
    if can_wake(world):
        yield "the children wake", wake(world)
    if world.oca_due:
        yield "the group is cut", oca_catches_up(world)
    for index, order in enumerate(world.orders):
        room = room_to_fill(world, index)
        for shares in sorted({1, room}) if room else ():
            filled = fill(world, index, shares)
            yield f"{name_of(world, index)} fills {shares}", judged_fill(world, filled, index)
            if world.left and order.is_exit and order.linked and not world.oca_due:
                late = fill(world._replace(left=world.left - 1), index, shares, oca_is_late=True)
                yield (
                    f"{name_of(world, index)} fills {shares}, its group in the same tick",
                    judged_fill(world, late, index),
                )


def judged_fill(before: World, after: World, index: int) -> World:
    """Check invariant 3: an exit that closes more than is open must have been overtaken within a round trip."""
    if not before.orders[index].is_exit or after.true_claim >= min(before.true_claim, 0):
        return after
    if race_of(before):
        return after
    return after._replace(fault="(3) an exit closed more than was open, and nothing was on its way")


def race_of(world: World) -> str:
    """Return why more may be about to be closed than is open, without a fault of the rules; "" where nothing says so.

    others       they closed shares of ours, and the judgement of it is not over
    one tick     the broker filled two members of a group
    on its way   a command, its answer (which may be lost: it is asked for), a message, or a report of the position
    due          a repair that is to be sent now
    """
    if world.gone > world.elsewhere or world.untold or world.foreign or world.doubt is not None or world.is_split:
        return "others"
    if world.oca_due:
        return "one tick"
    if world.up or world.down or world.late or world.unreported or any(order.asked for order in world.orders):
        return "on its way"
    found = ours.assessed(world)
    return "due" if found.repairs or found.asks_broker or world.keep is not None else ""


def _ours(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    made: list[tuple[str, World]] = list(ours.look(world, rules.road))
    made += ours.step(world, rules.road)
    made.append(("cancels are sent", ours.sweep(world)))
    made.append(("exits in doubt are asked for", ours.settle(world)))
    made += ours.ask_everything(world, use=rules.use)
    if not world.up and not world.down:
        made.append(("time passes", ours.time_passes(world)))
    for label, after in made:
        if after is not world and after != world:
            yield label, after


def _people(world: World) -> Iterator[tuple[str, World]]:
    if world.persons or not world.left:
        return
    world = world._replace(left=world.left - 1)
    if not world.entry.is_over:
        yield "a person cancels", world._replace(is_cancelling=True, persons=frozenset({"cancel"}))
    if world.claim > 0:
        kill = world._replace(is_cancelling=not world.entry.is_over, keep=0, persons=frozenset({"kill"}))
        yield "kill switch, closing", kill
    if world.claim > 1 and world.entry.is_over:
        yield "a person closes all but one", world._replace(keep=1, persons=frozenset({"part"}))


def _adversary(world: World) -> Iterator[tuple[str, World]]:
    worse = world._replace(left=world.left - 1)
    for index, order in enumerate(world.orders):
        if order.at in (LIVE, ASLEEP):
            yield f"{name_of(world, index)} is cancelled by hand", end(worse, index)
    if world.entry.at == OVER and world.entry.done < world.entry.size:
        yield "the cancelled entry fills 1 all the same", late_fill(worse)
    for shares in FOREIGN_DEALS:
        traded = foreign_deal(worse, shares)
        yield f"others trade {shares:+d}, told", tell(traded, ("foreign", shares))
        yield f"others trade {shares:+d}, not told", traded._replace(untold=(*traded.untold, shares))
    if world.account and not world.is_split:
        more = world.account
        yield "a split", worse._replace(account=2 * more, unreported=(*world.unreported, more), is_split=True)
    if can_wake(world):
        yield "the children never wake", worse._replace(never_wakes=True)


def _line_disturbed(world: World) -> Iterator[tuple[str, World]]:
    """Part what was told in one breath, lose one message of it, hear one late, or twice."""
    worse, breath = world._replace(left=world.left - 1), world.down[0]
    if len(breath) > 1:
        parted = record(worse._replace(down=(breath[1:], *world.down[1:])), breath[0])
        yield f"heard alone: {say(world, breath[0])}", parted
    for position, message in enumerate(breath):
        rest = breath[:position] + breath[position + 1 :]
        without = worse._replace(down=((rest,) if rest else ()) + world.down[1:])
        # A deal of others is in every later answer all the same.
        untold = without.untold + ((message[1],) if message[0] == "foreign" else ())
        yield f"lost: {say(world, message)}", without._replace(untold=untold)
        if not world.late:
            yield f"comes late: {say(world, message)}", without._replace(late=(message,))
        if not world.late and message[0] != "foreign":  # The database keeps one of each deal of others.
            yield f"comes twice: {say(world, message)}", worse._replace(late=(message,))


def foreign_deal(world: World, shares: int) -> World:
    """Let others trade. What they sold beyond all that they held and bought is what they closed of the bracket.

    In which order their deals count may be seen either way; this is the way that leaves most of the bracket open.
    """
    theirs = world.theirs + shares
    short = max(-theirs, 0)
    gone = min(world.gone + min(max(-shares, 0), max(world.true_claim, 0)), short)
    account = world.account + shares
    world = world._replace(account=account, unreported=(*world.unreported, shares), theirs=theirs, gone=gone)
    return world._replace(sold=world.sold + max(-shares, 0))
