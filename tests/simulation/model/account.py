"""What the account holds, as the broker reports it with its lag, against our books: the rules of `domain.exposure`."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache

from app.domain import exposure
from app.domain.exposure import AccountUse, Claim, Comparison, Finding, ForeignDeal
from tests.simulation.model.state import Doubt, World, flag

LEFT_TO_A_PERSON = "position differs"


def reports(world: World) -> Iterator[tuple[World, int, bool]]:
    """Yield every position that the broker may report now, and whether it lags nothing."""
    if not world.unreported:
        yield world, world.account, True
        return
    for known in range(len(world.unreported), -1, -1):
        rest = world.unreported[known:]
        yield world._replace(unreported=rest), world.account - sum(rest), not rest


@cache
def _disagreement(reported: int, expected: int, recent: tuple, unrecorded: tuple, foreign: tuple) -> int:
    return int(
        exposure.disagreement(
            reported=Decimal(reported),
            expected=Decimal(expected),
            recent=[Decimal(one) for one in recent],
            unrecorded=[Decimal(one) for one in unrecorded],
            young=[Decimal(one) for one, is_young in foreign if is_young],
            unjudged=[Decimal(one) for one, _is_young in foreign],
        )
    )


def doubts(world: World) -> Iterator[tuple[World, bool, bool]]:
    """Ask what the account holds (`exposure_doubts`); yield whether it is in doubt, and whether nothing lagged."""
    if world.doubt is not None:
        yield world, True, True
        return
    missing = [(order.is_exit, ((1 << order.done) - 1) & ~order.deals) for order in world.orders]
    unrecorded = tuple(-m.bit_count() if is_exit else m.bit_count() for is_exit, m in missing if m)
    unheard = bool(world.untold) or any(m[0] == "foreign" for breath in (*world.down, world.late) for m in breath)
    for asked, reported, is_full in reports(world):
        difference = _disagreement(reported, world.others + world.claim, world.recent, unrecorded, world.foreign)
        in_doubt = exposure.is_doubtful(
            difference=Decimal(difference), others_dealt=unheard, exits_dealt=any(one < 0 for one in unrecorded)
        )
        yield asked, in_doubt, is_full


@cache
def _judged(reported: int, claim: int, others: int, deals: tuple[int, ...], use: AccountUse) -> tuple:
    judgement = exposure.judge(
        reported=Decimal(reported),
        claims=[Claim(key=1, quantity=Decimal(claim))] if claim else [],
        others=Decimal(others),
        deals=[ForeignDeal(client_id=0, quantity=Decimal(deal)) for deal in deals],
        use=use,
    )
    shares = sum(int(one.quantity) for one in judgement.reductions)
    return judgement.finding, int(judgement.others), shares if claim > 0 else -shares


def compared(world: World, reported: int, *, use: AccountUse) -> World:
    """Take in a position of a complete answer (`positions_settle`)."""
    claim = world.claim
    if not claim and not world.recent:
        if world.others == reported and not world.foreign and world.doubt is None:
            return world
        return world._replace(others=reported, foreign=(), doubt=None)
    expected = world.others + claim
    if reported == expected and not world.foreign and world.doubt is None:
        return world
    difference = _disagreement(reported, expected, world.recent, (), world.foreign)
    noted = world.doubt
    found = exposure.compare(
        difference=Decimal(difference),
        lags=exposure.lags(
            reported=Decimal(reported), expected=Decimal(expected), recent=[Decimal(one) for one in world.recent]
        ),
        disputed=None if noted is None else Decimal(noted.difference),
        is_confirmed=noted is not None and noted.is_old,
        unexplained=Decimal(noted.difference if noted is not None and noted.is_left else 0),
        explained=exposure.is_explained(
            reported=Decimal(reported),
            expected=Decimal(expected),
            recent=[Decimal(one) for one in world.recent],
            unjudged=[Decimal(one) for one, _is_young in world.foreign],
        ),
    )
    if found is Comparison.SETTLED:
        return world._replace(doubt=None, foreign=())
    if found is Comparison.LAGS:
        return world
    if found is Comparison.NEW_DOUBT:
        return world._replace(doubt=Doubt(difference))
    if found is not Comparison.CONFIRMED:
        return world
    deals = tuple(quantity for quantity, _young in world.foreign)
    finding, others, reduced = _judged(reported, world.claim, world.others, deals, use)
    if finding is Finding.UNEXPLAINED:
        return flag(world._replace(doubt=Doubt(difference, is_old=True, is_left=True)), LEFT_TO_A_PERSON)
    world = world._replace(others=others, doubt=None, foreign=(), elsewhere=world.elsewhere + reduced)
    return flag(world, "closed elsewhere") if reduced else world


def forget() -> None:
    """Forget what was judged: a rule was changed."""
    _disagreement.cache_clear()
    _judged.cache_clear()
