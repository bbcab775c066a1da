"""What covers a bracket's shares, and what repairs it; driven against every behaviour of the broker's children."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.order_status import LIVE, TERMINAL, OrderStatus
from app.domain.protection import Coverage, LegFacts, Protection, Repair, RepairKind, assess
from app.domain.terms import Leg

S = OrderStatus
C = Coverage
K = RepairKind
AT_WORK = (S.HELD, S.WORKING)
ENTRY, STOP, TARGET, PROTECT = 1, 2, 3, 4


def leg(
    kind: Leg, status: OrderStatus, *, key: int, quantity: int = 100, filled: int = 0, asleep: bool = False
) -> LegFacts:
    return LegFacts(
        key=key,
        leg=kind,
        status=status,
        quantity=Decimal(quantity),
        filled=Decimal(filled),
        waits_for_entry=asleep,
    )


def entry(status: OrderStatus, filled: int = 0) -> LegFacts:
    return leg(Leg.ENTRY, status, key=ENTRY, filled=filled)


def stop(status: OrderStatus, quantity: int = 100, filled: int = 0, *, asleep: bool = False) -> LegFacts:
    return leg(Leg.STOP_LOSS, status, key=STOP, quantity=quantity, filled=filled, asleep=asleep)


def target(status: OrderStatus, quantity: int = 100, filled: int = 0) -> LegFacts:
    return leg(Leg.TAKE_PROFIT, status, key=TARGET, quantity=quantity, filled=filled)


def protect(status: OrderStatus, quantity: int, *, key: int = PROTECT, filled: int = 0) -> LegFacts:
    return leg(Leg.PROTECT, status, key=key, quantity=quantity, filled=filled)


def proved(refused: LegFacts) -> LegFacts:
    """The same order, which the broker's open orders do not have."""
    return replace(refused, refusal_proved=True)


def told(protection: Protection) -> list[tuple[RepairKind, int | None, int | None]]:
    return [
        (repair.kind, repair.key, None if repair.quantity is None else int(repair.quantity))
        for repair in protection.repairs
    ]


@pytest.mark.parametrize(
    ("legs", "coverage", "repairs"),
    [
        # A bracket that goes well.
        ([entry(S.SENT), stop(S.SENT)], C.COVERED, []),
        ([entry(S.WORKING), stop(S.HELD, asleep=True)], C.COVERED, []),
        ([entry(S.WORKING, 30), stop(S.HELD)], C.COVERED, []),
        ([entry(S.FILLED, 100), stop(S.HELD), target(S.WORKING)], C.COVERED, []),
        ([entry(S.FILLED, 100), stop(S.FILLED, filled=100), target(S.CANCELLED)], C.COVERED, []),
        ([entry(S.CANCELLED, 30), stop(S.HELD, 30), target(S.WORKING, 30)], C.COVERED, []),
        # Children that are late, too large, or gone after the entry's rest was cancelled.
        ([entry(S.WORKING, 30), stop(S.HELD, asleep=True)], C.UNPROTECTED, [(K.CANCEL_ENTRY, ENTRY, None)]),
        ([entry(S.PENDING_CANCEL, 30), stop(S.HELD, asleep=True)], C.UNPROTECTED, []),
        ([entry(S.CANCELLED, 30), stop(S.HELD, 100)], C.EXCESS, [(K.RESIZE, STOP, 30)]),
        ([entry(S.CANCELLED, 30), stop(S.CANCELLED)], C.UNPROTECTED, [(K.PLACE_STOP, None, 30)]),
        ([entry(S.CANCELLED, 30), stop(S.HELD, asleep=True)], C.UNPROTECTED, [(K.CANCEL, STOP, None)]),
        # A stop that a person cancelled or shrank, or that the broker refused or parked.
        ([entry(S.FILLED, 100), stop(S.CANCELLED)], C.UNPROTECTED, [(K.PLACE_STOP, None, 100)]),
        ([entry(S.FILLED, 100), proved(stop(S.REJECTED))], C.UNPROTECTED, [(K.PLACE_STOP, None, 100)]),
        # A refusal that the open orders have not confirmed: the stop may live.
        ([entry(S.FILLED, 100), stop(S.REJECTED)], C.UNKNOWN, []),
        ([entry(S.FILLED, 100), stop(S.CANCELLED), protect(S.REJECTED, 100)], C.UNKNOWN, []),
        ([entry(S.FILLED, 100), stop(S.HELD), protect(S.REJECTED, 100)], C.COVERED, []),
        ([entry(S.FILLED, 100), stop(S.HELD, 60)], C.PARTIAL, [(K.PLACE_STOP, None, 40)]),
        ([entry(S.FILLED, 100), stop(S.INACTIVE)], C.UNPROTECTED, [(K.CANCEL, STOP, None)]),
        (
            [entry(S.WORKING, 30), stop(S.CANCELLED)],
            C.UNPROTECTED,
            [(K.CANCEL_ENTRY, ENTRY, None), (K.PLACE_STOP, None, 30)],
        ),
        ([entry(S.WORKING), stop(S.CANCELLED)], C.UNPROTECTED, [(K.CANCEL_ENTRY, ENTRY, None)]),
        # A repair under way, done, too much, or never sent.
        ([entry(S.FILLED, 100), stop(S.CANCELLED), protect(S.SENT, 100)], C.UNKNOWN, []),
        ([entry(S.FILLED, 100), stop(S.CANCELLED), protect(S.HELD, 100)], C.COVERED, []),
        ([entry(S.FILLED, 100), stop(S.HELD), protect(S.HELD, 100)], C.EXCESS, [(K.CANCEL, PROTECT, None)]),
        ([entry(S.FILLED, 100), stop(S.HELD, 60), protect(S.HELD, 60)], C.EXCESS, [(K.RESIZE, PROTECT, 40)]),
        ([entry(S.WORKING, 30), stop(S.HELD), protect(S.HELD, 30)], C.EXCESS, [(K.CANCEL, PROTECT, None)]),
        (
            [entry(S.FILLED, 100), stop(S.CANCELLED), protect(S.CREATED, 100)],
            C.UNPROTECTED,
            [(K.SEND, PROTECT, 100)],
        ),
        (
            [entry(S.FILLED, 100), stop(S.CANCELLED), protect(S.CREATED, 30)],
            C.UNPROTECTED,
            [(K.DISCARD, PROTECT, None), (K.PLACE_STOP, None, 100)],
        ),
        ([entry(S.FILLED, 100), stop(S.HELD), protect(S.CREATED, 30)], C.COVERED, [(K.DISCARD, PROTECT, None)]),
        # Not known: nothing is done.
        ([entry(S.FILLED, 100), stop(S.SENT)], C.UNKNOWN, []),
        ([entry(S.FILLED, 100), stop(S.PENDING_CANCEL)], C.UNKNOWN, []),
        ([entry(S.FILLED, 100), stop(S.CREATED)], C.UNKNOWN, []),
        # Exits that are left over, and exits that both filled.
        ([entry(S.FILLED, 100), stop(S.HELD), target(S.FILLED, filled=100)], C.ORPHANED, [(K.CANCEL, STOP, None)]),
        # A stop of ours whose shares are gone while the entry still works: filled, it would open a position. While the
        # entry's cancel is not answered it stays, for what that may have filled.
        (
            [entry(S.WORKING, 30), stop(S.HELD), target(S.WORKING, filled=30), protect(S.HELD, 30)],
            C.ORPHANED,
            [(K.CANCEL, PROTECT, None)],
        ),
        (
            [entry(S.PENDING_CANCEL, 30), stop(S.CANCELLED), target(S.CANCELLED, filled=30), protect(S.HELD, 30)],
            C.ORPHANED,
            [],
        ),
        ([entry(S.NOT_PLACED), stop(S.HELD)], C.ORPHANED, [(K.CANCEL, STOP, None)]),
        ([entry(S.CANCELLED), stop(S.HELD)], C.ORPHANED, []),
        (
            [entry(S.FILLED, 100), stop(S.FILLED, filled=100), target(S.WORKING, filled=40)],
            C.EXCESS,
            [(K.CANCEL, TARGET, None), (K.ASK, None, None)],
        ),
        # A target and a stop of ours: nothing at the broker links them, so both could close the shares.
        (
            [entry(S.FILLED, 100), stop(S.HELD, 60), target(S.WORKING), protect(S.HELD, 40)],
            C.EXCESS,
            [(K.RESIZE, TARGET, 60)],
        ),
        (
            [entry(S.FILLED, 100), stop(S.CANCELLED), target(S.WORKING), protect(S.HELD, 100)],
            C.EXCESS,
            [(K.CANCEL, TARGET, None)],
        ),
        ([entry(S.FILLED, 100), stop(S.HELD), target(S.WORKING), protect(S.CANCELLED, 100)], C.COVERED, []),
        # A target larger than what is held once the entry is over.
        ([entry(S.CANCELLED, 30), stop(S.HELD, 30), target(S.WORKING)], C.EXCESS, [(K.RESIZE, TARGET, 30)]),
    ],
)
def test_the_repair_follows_the_facts(
    legs: list[LegFacts], coverage: Coverage, repairs: list[tuple[RepairKind, int | None, int | None]]
) -> None:
    protection = assess(legs)
    assert (protection.coverage, told(protection)) == (coverage, repairs)


def test_a_fill_after_the_entry_was_given_up_is_protected() -> None:
    # Given an entry proved absent, with its stop, and a deal all the same
    found = assess([entry(S.FILLED, 100), stop(S.NOT_PLACED)])
    assert told(found) == [(K.PLACE_STOP, None, 100)]
    assert (found.held, found.covered) == (100, 0)


@pytest.mark.parametrize("of_ours", [[], [protect(S.CREATED, 100)]])
def test_a_target_goes_with_the_stop_that_it_was_linked_with(of_ours: list[LegFacts]) -> None:
    found = assess([entry(S.FILLED, 100), stop(S.CANCELLED), target(S.WORKING), *of_ours])
    (repair,) = found.repairs
    assert (repair.kind, repair.cancels) == (K.SEND if of_ours else K.PLACE_STOP, (TARGET,))


def test_a_target_stays_with_the_part_of_its_stop_that_is_left() -> None:
    (repair,) = assess([entry(S.FILLED, 100), stop(S.HELD, 60), target(S.WORKING)]).repairs
    assert (repair.kind, repair.quantity, repair.cancels) == (K.PLACE_STOP, 40, ())


def test_an_exit_that_is_told_filled_without_its_deals_is_waited_for() -> None:
    # Given a target whose fill took the stop with it, and whose deal is not told yet
    told_filled = replace(target(S.WORKING), told_filled=Decimal(100))
    found = assess([entry(S.FILLED, 100), stop(S.CANCELLED), told_filled])
    # Then a new stop is not placed for shares that are not there any more
    assert (found.coverage, found.repairs, found.asks_broker) == (C.UNKNOWN, (), True)


def test_an_entry_that_is_told_filled_without_its_deals_has_the_broker_asked() -> None:
    told_filled = replace(entry(S.WORKING, 30), told_filled=Decimal(60))
    found = assess([told_filled, stop(S.CANCELLED)])
    # Then what is known to be held is protected all the same
    assert found.asks_broker
    assert told(found) == [(K.CANCEL_ENTRY, ENTRY, None), (K.PLACE_STOP, None, 30)]


def test_a_stop_of_ours_stays_where_the_entry_is_told_filled_without_its_deals() -> None:
    told_filled = replace(entry(S.WORKING, 30), told_filled=Decimal(60))
    found = assess([told_filled, stop(S.HELD), target(S.WORKING, filled=30), protect(S.HELD, 30)])
    assert (found.repairs, found.asks_broker) == ((), True)


def test_only_the_broker_can_tell_where_a_stop_is_unanswered() -> None:
    assert assess([entry(S.FILLED, 100), stop(S.SENT)]).asks_broker
    assert assess([entry(S.CANCELLED), stop(S.HELD)]).asks_broker
    assert not assess([entry(S.FILLED, 100), stop(S.CANCELLED)]).asks_broker


# Any book of orders, and a broker that carries out what it is told

_EXIT_STATUSES = st.sampled_from(sorted(OrderStatus))


@st.composite
def brackets(draw: st.DrawFn) -> list[LegFacts]:
    entered = draw(st.integers(0, 10))
    status = draw(st.sampled_from([S.FILLED] if entered == 10 else sorted(TERMINAL - {S.FILLED} | LIVE)))
    legs = [leg(Leg.ENTRY, status, key=ENTRY, quantity=10, filled=entered)]
    kinds = [Leg.STOP_LOSS, *draw(st.lists(st.sampled_from([Leg.TAKE_PROFIT, Leg.PROTECT]), max_size=3))]
    left = entered
    for number, kind in enumerate(kinds, start=2):
        quantity = draw(st.integers(1, 10))
        filled = draw(st.integers(0, min(left, quantity)))
        left -= filled
        state = S.FILLED if filled == quantity else draw(_EXIT_STATUSES.filter(lambda status: status is not S.FILLED))
        asleep = draw(st.booleans()) and kind is Leg.STOP_LOSS
        legs.append(leg(kind, state, key=number, quantity=quantity, filled=filled, asleep=asleep))
    return legs


def carry_out(legs: list[LegFacts], repair: Repair) -> list[LegFacts]:
    """Return the book after a broker that does what it is asked, at once."""
    legs = [replace(one, status=S.CANCELLED) if one.key in repair.cancels else one for one in legs]
    if repair.kind is K.PLACE_STOP:
        assert repair.quantity is not None
        new = leg(Leg.PROTECT, S.HELD, key=len(legs) + 1, quantity=int(repair.quantity))
        return [*legs, new]
    changed = {
        K.CANCEL: lambda one: replace(one, status=S.CANCELLED),
        K.CANCEL_ENTRY: lambda one: replace(one, status=S.CANCELLED),
        K.DISCARD: lambda one: replace(one, status=S.NOT_PLACED),
        K.SEND: lambda one: replace(one, status=S.HELD),
        K.RESIZE: lambda one: replace(one, quantity=repair.quantity),
    }
    if repair.kind not in changed:
        return legs
    return [changed[repair.kind](one) if one.key == repair.key else one for one in legs]


@given(brackets())
def test_repairs_end_and_leave_every_share_covered_once(legs: list[LegFacts]) -> None:
    for _ in range(6):
        found = assess(legs)
        if found.coverage is C.UNKNOWN:
            assert not found.repairs
            return
        todo = [repair for repair in found.repairs if repair.kind is not K.ASK]
        if not todo:
            break
        for repair in todo:
            legs = carry_out(legs, repair)
    else:
        raise AssertionError(f"the repairs do not end: {legs}")
    if found.coverage in (C.UNPROTECTED, C.PARTIAL):
        # Only what is being cancelled already is waited for.
        assert next(one for one in legs if one.leg is Leg.ENTRY).status not in TERMINAL
    elif found.held > 0:
        assert found.coverage is C.COVERED
        assert found.covered == found.held


@given(brackets())
def test_no_target_stands_beside_a_stop_of_ours_that_it_is_not_linked_with(legs: list[LegFacts]) -> None:
    for _ in range(6):
        for repair in assess(legs).repairs:
            legs = carry_out(legs, repair)
    if assess(legs).coverage is C.COVERED and any(one.leg is Leg.PROTECT and one.status in AT_WORK for one in legs):
        own = sum((one.remaining for one in legs if one.leg is Leg.STOP_LOSS and not one.is_over), Decimal(0))
        targets = [one for one in legs if one.leg is Leg.TAKE_PROFIT and one.status in AT_WORK]
        assert all(one.remaining <= own for one in targets)


@given(brackets())
def test_a_new_stop_is_never_placed_beside_one_that_may_live(legs: list[LegFacts]) -> None:
    found = assess(legs)
    placed = sum((r.quantity or 0 for r in found.repairs if r.kind in (K.PLACE_STOP, K.SEND)), Decimal(0))
    if placed:
        may_live = [
            one for one in legs if one.leg in (Leg.STOP_LOSS, Leg.PROTECT) and one.status not in TERMINAL | {S.CREATED}
        ]
        assert placed + sum((one.remaining for one in may_live), Decimal(0)) <= found.held


@pytest.mark.parametrize(
    ("filled", "elsewhere", "more"),
    [(30, 30, []), (30, 10, []), (30, 30, [protect(S.HELD, 10)])],
)
def test_an_open_entry_goes_when_some_of_its_shares_were_closed_elsewhere(
    filled: int, elsewhere: int, more: list[LegFacts]
) -> None:
    # The broker caps a child at what the entry has filled, and knows nothing of who has closed it since.
    legs = [replace(entry(S.WORKING, filled), closed_elsewhere=Decimal(elsewhere)), stop(S.HELD), *more]
    found = assess(legs)
    assert (found.coverage, told(found)[0]) == (C.EXCESS, (K.CANCEL_ENTRY, ENTRY, None))
    # Once it is over, its stop is cut to what is left, or goes.
    over = [replace(legs[0], status=S.CANCELLED), stop(S.HELD, filled)]
    left = filled - elsewhere
    assert told(assess(over)) == [(K.RESIZE, STOP, left) if left else (K.CANCEL, STOP, None)]


def test_a_stop_is_not_cut_below_what_the_broker_says_the_entry_filled() -> None:
    # The status ran ahead of the last deal, or outlived it: 20 of 30 shares are known.
    told_more = replace(entry(S.CANCELLED, 20), told_filled=Decimal(30))
    found = assess([told_more, stop(S.HELD, 30), target(S.WORKING, 30)])
    assert (found.coverage, found.repairs, found.asks_broker) == (C.UNKNOWN, (), True)
    # What is beyond that, too, is cut.
    assert told(assess([told_more, stop(S.HELD, 100)])) == [(K.RESIZE, STOP, 30)]
