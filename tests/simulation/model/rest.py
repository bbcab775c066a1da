"""What must hold where nothing moves any more: invariants 3, 4 and 10; our rows are true, or a person was told."""

from app.domain.terms import Leg
from tests.simulation.model.account import LEFT_TO_A_PERSON
from tests.simulation.model.broker import room_to_fill
from tests.simulation.model.ours import BOOKS_DIFFER, CLOSE_FAILED, CLOSE_WAITS
from tests.simulation.model.recording import OVERSOLD
from tests.simulation.model.sending import ASKS, could_close_in_truth
from tests.simulation.model.state import World

_STOPS = (Leg.STOP_LOSS, Leg.PROTECT)
# What tells a person that shares may be bare, or that the account is not what our rows say.
_TOLD = frozenset({LEFT_TO_A_PERSON, BOOKS_DIFFER, CLOSE_FAILED, CLOSE_WAITS, ASKS})


def broken_at_rest(world: World, *, is_undisturbed: bool) -> str:
    """Return the first invariant that does not hold, "" where all do. `is_undisturbed`: the adversary did nothing."""
    # A stop of ours and the target that it replaces may both fill in one round trip: a race, counted, and told.
    if is_undisturbed and OVERSOLD not in world.flags and world.flags & (_TOLD - {CLOSE_WAITS}):
        return "a person is asked though nothing went wrong"
    if world.elsewhere > world.sold:
        return "(10) shares are taken for closed elsewhere that nobody has closed"
    told = bool(world.flags & _TOLD)
    unexplained = LEFT_TO_A_PERSON in world.flags
    if any(order.filled != order.done for order in world.orders) and not unexplained:
        return "(3) our rows and the broker's book differ on what is filled, and nobody was told"
    if world.true_claim + world.gone < 0 and not world.flags & {OVERSOLD, *_TOLD}:
        return "(3) more was closed than opened, and nobody was told"
    if could_close_in_truth(world) > world.may_be_closed and not unexplained:
        return "(10) exits are left that could close more than is open"
    if world.others + world.claim != world.account and not unexplained:
        return "(10) claims and others' are not what the account holds, and nobody was told"
    if unexplained and not world.is_split and world.others + world.claim == world.account and world.doubt is None:
        return ""
    return _bare(world, told=told)


def _bare(world: World, *, told: bool) -> str:
    if world.true_claim <= 0:
        return ""
    # What others closed before the entry filled on may be counted either way.
    open_surely = min(world.true_claim, world.claim)
    if world.keep is not None and open_surely > world.keep and not told:
        return "a close that was asked for does not end, and nobody was told"
    covered = sum(room_to_fill(world, i) for i, order in enumerate(world.orders) if order.leg in _STOPS)
    if covered < open_surely and not told:
        return "(4) shares have no working stop, no step is due, and nobody was told"
    return ""
