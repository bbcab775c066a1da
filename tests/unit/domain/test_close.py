"""What is sent next to close a bracket: a table of facts and steps, and what holds of every plan."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.close import (
    CLOSES_MAX,
    CloseFacts,
    ClosePlan,
    CloseRoad,
    CloseStep,
    ExitFacts,
    Share,
    keeps_its_stop,
    plan_close,
    shares_to_close,
)
from app.domain.order_status import OrderStatus
from app.domain.terms import Leg, OrderType

S = OrderStatus
TEN = Decimal(10)
GROUP = "1007000001"  # As the Gateway names it: the entry's permId.


def leg(key: int, of: Leg, status: OrderStatus = S.WORKING, **more: Any) -> ExitFacts:
    types = {Leg.TAKE_PROFIT: OrderType.LIMIT, Leg.CLOSE: OrderType.MARKET}
    values = {"order_type": types.get(of, OrderType.STOP), "quantity": TEN, **more}
    return ExitFacts(key=key, leg=of, status=status, **values)


def stop(status: OrderStatus = S.HELD, **more: Any) -> ExitFacts:
    return leg(1, Leg.STOP_LOSS, status, **{"group": GROUP, "group_type": 3, **more})


def target(status: OrderStatus = S.WORKING, **more: Any) -> ExitFacts:
    values = {"group": GROUP, "group_type": 3, "limit_price": Decimal(200), **more}
    return leg(2, Leg.TAKE_PROFIT, status, **values)


def protect(status: OrderStatus = S.HELD, **more: Any) -> ExitFacts:
    return leg(3, Leg.PROTECT, status, **more)


def close(status: OrderStatus, **more: Any) -> ExitFacts:
    return leg(4, Leg.CLOSE, status, **more)


def facts(*exits: ExitFacts, **more: Any) -> CloseFacts:
    values: dict[str, Any] = {"held": TEN, "keep": Decimal(0), "road": CloseRoad.AUTO, "gateway_group": GROUP}
    return CloseFacts(exits=exits, **values | more)


def plan(step: CloseStep, *keys: int, **more: Any) -> ClosePlan:
    return ClosePlan(step=step, keys=keys, **more)


NAMED = {"group": "exits", "group_type": 1}
PART = {"keep": Decimal(6)}
JOINED = plan(CloseStep.JOIN, quantity=TEN, group="exits", group_type=1)
CASES = {
    "target": (facts(stop(), target()), plan(CloseStep.MOVE_TARGET, 2)),
    "target, in no group": (facts(stop(group=""), target(group="")), plan(CloseStep.CANCEL, 1, 2)),
    "target, in another group": (facts(stop(), target(group="other")), plan(CloseStep.CANCEL, 1, 2)),
    "target of fewer shares": (facts(stop(), target(quantity=Decimal(8))), plan(CloseStep.CANCEL, 1, 2)),
    "target, refused": (facts(stop(), target(), change_refused=True), plan(CloseStep.CANCEL, 1, 2)),
    "target at the market": (facts(stop(), target(order_type=OrderType.MARKET)), plan(CloseStep.WAIT)),
    "target beside a stop of ours": (facts(stop(S.CANCELLED), target(), protect()), plan(CloseStep.CANCEL, 2, 3)),
    "target, its stop lost": (facts(stop(S.CANCELLED), target()), plan(CloseStep.CANCEL, 2)),
    "target of another client": (facts(stop(), target(is_foreign=True)), plan(CloseStep.FOREIGN, 2)),
    "target not forced": (facts(stop(), target(), road=CloseRoad.CANCEL_FIRST), plan(CloseStep.CANCEL, 1, 2)),
    "target forced, none": (facts(stop(), road=CloseRoad.TARGET), plan(CloseStep.CANCEL, 1)),
    "lone stop": (facts(stop(group="", group_type=0)), plan(CloseStep.CANCEL, 1)),
    "lone stop in the Gateway's group": (facts(stop()), plan(CloseStep.CANCEL, 1)),
    "lone stop in a named group": (facts(stop(**NAMED)), JOINED),
    "named group, live": (facts(stop(**NAMED), is_live=True), plan(CloseStep.CANCEL, 1)),
    "named group, forced, live": (facts(stop(**NAMED), is_live=True, road=CloseRoad.JOIN), JOINED),
    "Gateway's group, forced": (
        facts(stop(), target(), road=CloseRoad.JOIN),
        plan(CloseStep.JOIN, quantity=TEN, group=GROUP, group_type=3),
    ),
    "two groups, forced": (
        facts(stop(), target(group="other"), road=CloseRoad.JOIN),
        plan(CloseStep.CANCEL, 1, 2),
    ),
    "no group, forced": (facts(stop(group=""), road=CloseRoad.JOIN), plan(CloseStep.CANCEL, 1)),
    "joined, working": (facts(stop(**NAMED), close(S.WORKING, **NAMED)), plan(CloseStep.WAIT)),
    "joined, refused": (
        facts(stop(**NAMED), close(S.REJECTED, refusal_proved=True, **NAMED)),
        plan(CloseStep.CANCEL, 1),
    ),
    "joined, refused, not proved": (facts(stop(**NAMED), close(S.REJECTED, **NAMED)), plan(CloseStep.WAIT)),
    "no exit": (facts(stop(S.CANCELLED)), plan(CloseStep.CLOSE, quantity=TEN)),
    "exit being cancelled": (facts(stop(S.PENDING_CANCEL)), plan(CloseStep.WAIT)),
    "close written down": (facts(stop(S.CANCELLED), close(S.CREATED)), plan(CloseStep.SEND, 4)),
    "close written down, fewer held": (
        facts(stop(S.CANCELLED), close(S.CREATED), held=Decimal(6)),
        plan(CloseStep.DISCARD, 4),
    ),
    "close written down, none held": (
        facts(stop(S.CANCELLED), close(S.CREATED), held=Decimal(0)),
        plan(CloseStep.DISCARD, 4),
    ),
    "close that joins written down, fewer held": (
        facts(stop(**NAMED), close(S.CREATED, **NAMED), held=Decimal(6)),
        plan(CloseStep.DISCARD, 4),
    ),
    "close on its way": (facts(stop(S.CANCELLED), close(S.SENT)), plan(CloseStep.WAIT)),
    "tried too often": (facts(stop(), tries=CLOSES_MAX), plan(CloseStep.GIVE_UP)),
    "entry open": (facts(stop(), entry_is_over=False), plan(CloseStep.WAIT)),
    "deals not told": (facts(stop(told_filled=TEN)), plan(CloseStep.WAIT)),
    "nothing held": (facts(stop(), held=Decimal(0)), plan(CloseStep.NOTHING)),
    "stop of another client": (facts(stop(is_foreign=True)), plan(CloseStep.FOREIGN, 1)),
    "part": (
        facts(stop(), target(), **PART),
        ClosePlan(step=CloseStep.CUT, sizes=((1, Decimal(6)), (2, Decimal(6)))),
    ),
    "part, half cut": (
        facts(stop(quantity=Decimal(6)), target(), **PART),
        ClosePlan(step=CloseStep.CUT, sizes=((2, Decimal(6)),)),
    ),
    "part, cut": (
        facts(stop(quantity=Decimal(6)), target(quantity=Decimal(6)), **PART),
        plan(CloseStep.CLOSE, quantity=Decimal(4)),
    ),
    "part, two stops": (
        facts(stop(quantity=Decimal(6)), protect(quantity=Decimal(4)), **PART),
        plan(CloseStep.CUT, 3),
    ),
    "part, exit unanswered": (facts(stop(), protect(S.SENT), **PART), plan(CloseStep.WAIT)),
    "part, cut answered as inactive": (facts(stop(S.INACTIVE), target(), **PART), plan(CloseStep.CANCEL, 1)),
    "part, target inactive": (
        facts(stop(quantity=Decimal(6)), target(S.INACTIVE), **PART),
        plan(CloseStep.CANCEL, 2),
    ),
    "part, stop asleep": (facts(stop(waits_for_entry=True), **PART), plan(CloseStep.CANCEL, 1)),
    "target at the market, inactive": (
        facts(stop(), target(S.INACTIVE, order_type=OrderType.MARKET)),
        plan(CloseStep.CANCEL, 2),
    ),
    "part, refused": (facts(stop(), target(), change_refused=True, **PART), plan(CloseStep.CANCEL, 1, 2)),
    "part, refused, exits gone": (
        facts(stop(S.CANCELLED), change_refused=True, **PART),
        plan(CloseStep.CLOSE, quantity=Decimal(4)),
    ),
    "limit": (facts(stop(), target(), limit_price=Decimal(195)), plan(CloseStep.MOVE_TARGET, 2)),
    "limit reached": (facts(stop(), target(), limit_price=Decimal(200)), plan(CloseStep.NOTHING)),
    "limit, no target": (facts(stop(), limit_price=Decimal(195)), plan(CloseStep.GIVE_UP)),
    "limit, refused": (
        facts(stop(), target(), limit_price=Decimal(195), change_refused=True),
        plan(CloseStep.GIVE_UP),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_sent_next(name: str) -> None:
    known, wanted = CASES[name]
    assert plan_close(known) == wanted


@pytest.mark.parametrize("name", CASES)
def test_the_guard_looks_after_the_stop_where_the_target_closes(name: str) -> None:
    known, wanted = CASES[name]
    at_market = name.startswith("target at the market")
    by_target = wanted.step is CloseStep.MOVE_TARGET or known.limit_price is not None or at_market
    assert keeps_its_stop(known) is by_target


STATUSES = st.sampled_from([one for one in OrderStatus if one is not S.CREATED])
SHARES = st.integers(min_value=1, max_value=10).map(Decimal)


@st.composite
def any_facts(draw: st.DrawFn) -> CloseFacts:
    exits = [
        replace(
            make(draw(STATUSES)),
            quantity=draw(SHARES),
            group=draw(st.sampled_from(["", GROUP, "exits"])),
            refusal_proved=draw(st.booleans()),
        )
        for make in draw(st.sets(st.sampled_from([stop, target, protect, close])))
    ]
    keep = draw(st.integers(min_value=0, max_value=9).map(Decimal))
    return facts(
        *exits,
        held=keep + draw(SHARES),
        keep=keep,
        road=draw(st.sampled_from(CloseRoad)),
        is_live=draw(st.booleans()),
        tries=draw(st.integers(0, CLOSES_MAX)),
        change_refused=draw(st.booleans()),
    )


@given(any_facts())
def test_no_plan_closes_more_than_is_held_beside_what_may_still_fill(known: CloseFacts) -> None:
    """A CLOSE that nothing links with the other exits leaves with them at most what is kept."""
    found = plan_close(known)
    live = [leg for leg in known.exits if leg.is_open]
    if found.step is CloseStep.CLOSE:
        stops = sum(leg.remaining for leg in live if leg.leg is not Leg.TAKE_PROFIT)
        targets = sum(leg.remaining for leg in live if leg.leg is Leg.TAKE_PROFIT)
        assert found.quantity + max(stops, targets) <= known.held
    if found.step is CloseStep.JOIN:
        assert found.quantity == known.held
        assert {leg.group for leg in live} == {found.group}
    if found.step is CloseStep.MOVE_TARGET:
        (moved,) = [leg for leg in live if leg.key in found.keys]
        assert moved.remaining == known.held


@given(any_facts())
def test_a_live_account_joins_nothing_by_itself(known: CloseFacts) -> None:
    by_itself = replace(known, is_live=True, road=CloseRoad.AUTO)
    assert plan_close(by_itself).step is not CloseStep.JOIN


@given(st.lists(st.integers(0, 20).map(Decimal), max_size=5), st.integers(0, 100).map(Decimal))
def test_tranches_are_closed_in_their_order(opens: list[Decimal], quantity: Decimal) -> None:
    taken = shares_to_close(
        open_of=[Share(key=number, open=open_) for number, open_ in enumerate(opens)], quantity=quantity
    )
    assert sum(taken.values(), Decimal(0)) == min(quantity, sum(opens, Decimal(0)))
    assert all(0 < part <= opens[number] for number, part in taken.items())
    assert all(taken[number] == opens[number] for number in list(taken)[:-1])
