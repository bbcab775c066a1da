"""Each order's row as the rules want it, and what they say of it: judged once, because many worlds share their rows."""

from decimal import Decimal
from functools import cache

from app.domain import close, protection
from app.domain.close import CloseFacts, ClosePlan, CloseRoad, CloseStep, ExitFacts
from app.domain.order_status import TERMINAL
from app.domain.protection import LegFacts, Protection
from app.domain.terms import Leg, OrderType
from tests.simulation.model.state import CLOSES_MAX, World


def rows_of(world: World) -> tuple[tuple, ...]:
    """Return what of the rows decides, as a key."""
    return tuple(
        (o.leg, o.status, o.quantity, o.filled, o.told, o.waits, o.proved, o.suspected, o.grouped, o.as_market)
        for o in world.orders
    )


@cache
def leg_facts(key: int, row: tuple, elsewhere: int) -> LegFacts:
    """Return an order's row for `domain.protection`."""
    leg, status, quantity, filled, told_filled, waits, proved, suspected, _grouped, _market = row
    return LegFacts(
        key=key,
        leg=leg,
        status=status,
        quantity=Decimal(quantity),
        filled=Decimal(filled),
        told_filled=Decimal(told_filled),
        waits_for_entry=waits,
        refusal_proved=proved,
        refusal_suspected=suspected,
        closed_elsewhere=Decimal(elsewhere if leg is Leg.ENTRY else 0),
    )


def legs_of(rows: tuple[tuple, ...], elsewhere: int) -> list[LegFacts]:
    """Return the bracket for `domain.protection`."""
    return [leg_facts(key, row, elsewhere) for key, row in enumerate(rows)]


@cache
def _assess(rows: tuple[tuple, ...], elsewhere: int) -> Protection:
    return protection.assess(legs_of(rows, elsewhere))


def assessed(world: World) -> Protection:
    """Judge the bracket by its rows."""
    return _assess(rows_of(world), world.elsewhere)


@cache
def _close_facts(rows: tuple[tuple, ...], claim: int, keep: int, change_refused: bool, road: CloseRoad) -> CloseFacts:
    entry, exits = rows[0], rows[1:]
    closes = sum(row[0] is Leg.CLOSE for row in exits)
    return CloseFacts(
        held=Decimal(claim),
        keep=Decimal(keep),
        exits=[_exit_facts(key, row) for key, row in enumerate(exits, start=1)],
        road=road,
        entry_is_over=entry[1] in TERMINAL,
        entry_told_more=entry[4] > entry[3],
        gateway_group="gateway",
        tries=closes if closes < CLOSES_MAX else close.CLOSES_MAX,
        change_refused=change_refused,
    )


def _exit_facts(key: int, row: tuple) -> ExitFacts:
    leg, status, quantity, filled, told_filled, waits, proved, _suspected, grouped, as_market = row
    types = {Leg.TAKE_PROFIT: OrderType.LIMIT, Leg.CLOSE: OrderType.MARKET}
    return ExitFacts(
        key=key,
        leg=leg,
        status=status,
        order_type=OrderType.MARKET if as_market else types.get(leg, OrderType.STOP),
        quantity=Decimal(quantity),
        filled=Decimal(filled),
        told_filled=Decimal(told_filled),
        refusal_proved=proved,
        waits_for_entry=waits,
        group="gateway" if grouped else "",
        group_type=3 if grouped else 0,
    )


@cache
def _planned(rows: tuple[tuple, ...], claim: int, keep: int, refused: bool, road: CloseRoad) -> tuple:
    facts = _close_facts(rows, claim, keep, refused, road)
    return close.plan_close(facts), close.closing_step(facts)


def planned(world: World, road: CloseRoad) -> tuple[ClosePlan | None, CloseStep | None]:
    """Return the next step of closing, and that step where it takes the stop away."""
    if world.keep is None:
        return None, None
    return _planned(rows_of(world), world.claim, world.keep, "change refused" in world.flags, road)


def forget() -> None:
    """Forget what was judged: a rule was changed."""
    for cached in (leg_facts, _assess, _close_facts, _planned):
        cached.cache_clear()
