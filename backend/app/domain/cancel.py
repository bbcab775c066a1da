"""Which orders of a bracket are to be cancelled, because of what was asked for or because the bracket is broken.

    an open entry     asked for; a leg of its bracket was refused; its stop is over: what it would fill has no stop;
                      its stop was hit on what had filled: it would sell at once what is entered from then on
    the other legs    once it is certain that their entry has filled nothing

A cancel is no proof that nothing was filled: a fill may be late, and its stop must be there then. So after a cancelled
entry the rest goes only when a complete answer, asked for since, has shown none. Plain rules, no I/O.
"""

from collections.abc import Iterable, Sequence

from app.domain.order_status import OrderStatus
from app.domain.protection import LegFacts
from app.domain.terms import Leg

_NEVER_LIVED = frozenset({OrderStatus.REJECTED, OrderStatus.NOT_PLACED})


def cancels_due(legs: Iterable[LegFacts], *, is_requested: bool, answered_since: bool) -> tuple[int, ...]:
    """Return the keys of the orders that are to be cancelled, of which the caller sends what is not on its way.

    `is_requested`: the entry's end was asked for. `answered_since`: a complete answer was asked for after it ended.
    """
    facts = list(legs)
    entry = next(leg for leg in facts if leg.leg is Leg.ENTRY)
    if not entry.is_over:
        is_broken = any(leg.status is OrderStatus.REJECTED or _is_stop_spent(leg) for leg in facts)
        return (entry.key,) if is_requested or is_broken else ()
    return _rest(facts) if _is_certainly_empty(entry, answered_since=answered_since) else ()


def _is_stop_spent(leg: LegFacts) -> bool:
    return leg.leg is Leg.STOP_LOSS and (leg.is_over or leg.filled > 0)


def _rest(facts: Sequence[LegFacts]) -> tuple[int, ...]:
    return tuple(leg.key for leg in facts if not leg.is_over)


def _is_certainly_empty(entry: LegFacts, *, answered_since: bool) -> bool:
    if entry.filled or entry.told_filled:
        return False
    return entry.status in _NEVER_LIVED or answered_since
