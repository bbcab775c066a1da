"""Rules that are switched off one at a time, to show that the search can see it: what is wrong then, and where to look.

Each names functions of the product and what takes their place. A search that finds nothing with one of them could not
have seen the fault that the rule is there for.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from app.domain import cancel, close, exposure, protection
from app.domain.exposure import AccountUse, Comparison, Finding
from app.domain.order_status import OrderStatus
from app.domain.protection import LegFacts
from app.domain.terms import Leg
from tests.simulation.model.roots import ROOTS
from tests.simulation.model.state import World
from tests.simulation.model.world_acts import Rules

SHARED = Rules()
EXCLUSIVE = Rules(use=AccountUse.EXCLUSIVE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """`name` says which rule is off; it is searched from `root` with so many acts of the adversary, to that depth."""

    name: str
    changes: tuple[tuple[Any, str, Callable[[Any], Any]], ...]
    root: str = "open"
    faults: int = 1
    depth: int = 5
    target: bool = True
    theirs: int = 0
    rules: Rules = SHARED

    def roots(self) -> dict[str, World]:
        """Return where it is searched from."""
        begin = ROOTS[self.root]
        return {self.root: begin(target=self.target, theirs=self.theirs, faults=self.faults)}


@contextmanager
def switched_off(mutation: Mutation) -> Iterator[None]:
    """Let the product do without one rule."""
    with ExitStack() as stack:
        for owner, attribute, instead in mutation.changes:
            stack.enter_context(patch.object(owner, attribute, instead(getattr(owner, attribute))))
        yield


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda _original: lambda *_args, **_named: value


def _replaced_by(value: Any) -> Callable[[Any], Any]:
    return lambda _original: value


def _without_cancels(original: Any) -> Any:
    def repair(*args: Any, **named: Any) -> Any:
        return [replace(one, cancels=()) for one in original(*args, **named)]

    return repair


def _stop_of_the_orders_size(original: Any) -> Any:
    def repair(entry: LegFacts, *args: Any, **named: Any) -> Any:
        return original(entry, *args, **named | {"missing": entry.quantity})

    return repair


def _deaf_to_told(original: Any) -> Any:
    def assess(legs: Any) -> Any:
        return original([replace(leg, told_filled=Decimal(0)) for leg in legs])

    return assess


def _awake(original: Any) -> Any:
    def assess(legs: Any) -> Any:
        return original([replace(leg, waits_for_entry=False) for leg in legs])

    return assess


def _proved(original: Any) -> Any:
    def assess(legs: Any) -> Any:
        refused = OrderStatus.REJECTED
        return original([replace(leg, refusal_proved=leg.status is refused) for leg in legs])

    return assess


def _close_beside_exits(original: Any) -> Any:
    def plan(known: Any) -> Any:
        gone = [leg for leg in known.exits if leg.leg is Leg.CLOSE]
        return original(replace(known, exits=gone))

    return plan


def _ours_do_not_count(original: Any) -> Any:
    def is_doubtful(**known: Any) -> Any:
        return original(**known | {"exits_dealt": False})

    return is_doubtful


def _never_theirs(original: Any) -> Any:
    def judge(**known: Any) -> Any:
        found = original(**known)
        if found.finding is not Finding.CLOSED_ELSEWHERE:
            return found
        taken = sum(one.quantity for one in found.reductions)
        return replace(found, finding=Finding.OTHERS_CHANGED, others=found.others - taken, reductions=())

    return judge


def _exact(original: Any) -> Any:
    def agrees(*, reported: Decimal, expected: Decimal, recent: Any) -> bool:
        return reported == expected

    return agrees


def _at_once(original: Any) -> Any:
    def compare(**known: Any) -> Any:
        found = original(**known)
        return Comparison.CONFIRMED if found is Comparison.NEW_DOUBT else found

    return compare


MUTATIONS = (
    Mutation(
        name="a target stays beside the stop that takes the place of its own",
        changes=((protection, "_repair", _without_cancels),),
    ),
    Mutation(
        name="a stop is sized by the entry's order, not by what is open",
        changes=((protection, "_repair", _stop_of_the_orders_size), (protection, "could_close", _constant(Decimal(0)))),
        root="half",
    ),
    Mutation(
        name="a refusal is believed at once",
        changes=((protection, "assess", _proved), (close, "_is_not_known", _constant(False))),
        faults=2,
        depth=8,
        target=False,
    ),
    Mutation(
        name="an order whose fate is not known is taken for gone",
        changes=(
            (protection, "_FATE_UNKNOWN", _replaced_by(frozenset())),
            (protection, "could_close", _constant(Decimal(0))),
        ),
        faults=2,
        depth=7,
        target=False,
    ),
    Mutation(
        name="a child that sleeps is taken for a stop",
        changes=((protection, "assess", _awake),),
        root="working",
    ),
    Mutation(
        name="what a status said is filled is not heard",
        changes=((protection, "assess", _deaf_to_told), (exposure, "is_doubtful", _ours_do_not_count)),
    ),
    Mutation(
        name="what the stops close beyond what is open is not cut",
        changes=((protection, "_reduce", _constant(())),),
        root="half",
    ),
    Mutation(
        name="exits of what is closed are left",
        changes=((protection, "_cancels", _constant(())),),
    ),
    Mutation(
        name="an entry of which others closed a part goes on",
        changes=((protection, "_exits_reach_too_far", _constant(False)),),
        root="half",
    ),
    Mutation(
        name="a CLOSE is sent beside the exits",
        changes=((close, "plan_close", _close_beside_exits),),
    ),
    Mutation(
        name="closing a part waits for a stop that never wakes",
        changes=((close, "_without_idle", _constant(None)),),
        root="working",
        faults=2,
    ),
    Mutation(
        name="the account is not asked before what closes is sent",
        changes=((exposure, "is_doubtful", _constant(False)),),
        faults=2,
        target=False,
    ),
    Mutation(
        name="a deal of an exit that is not recorded yet is no reason to wait",
        changes=((exposure, "is_doubtful", _ours_do_not_count),),
    ),
    Mutation(
        name="what others closed stays our claim",
        changes=((exposure, "judge", _never_theirs),),
    ),
    Mutation(
        name="a report that lags is judged, and by one answer (exclusive account)",
        changes=((exposure, "agrees", _exact), (exposure, "compare", _at_once)),
        root="working",
        rules=EXCLUSIVE,
        faults=0,
    ),
    Mutation(
        name="the rest of a bracket goes with its entry, filled or not",
        changes=((cancel, "_is_certainly_empty", _constant(True)),),
        root="working",
        faults=0,
    ),
)
