"""Whose a difference between the account and our books is; every rule by example, and the sums by any numbers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.exposure import (
    AccountUse,
    Claim,
    Comparison,
    Finding,
    ForeignDeal,
    Judgement,
    agrees,
    compare,
    disagreement,
    judge,
    looks_split,
)

F = Finding
OTHER_PROGRAM = 77


def claims(*quantities: int, by_hand: int | None = None) -> list[Claim]:
    return [
        Claim(key=key, quantity=Decimal(quantity), stop_cancelled_by_hand=key == by_hand)
        for key, quantity in enumerate(quantities, start=1)
    ]


def found(judgement: Judgement) -> tuple[Finding, int, dict[int, int]]:
    return (
        judgement.finding,
        int(judgement.others),
        {reduction.key: int(reduction.quantity) for reduction in judgement.reductions},
    )


@pytest.mark.parametrize(
    ("reported", "ours", "others", "deals", "outcome"),
    [
        # What agrees, with and without others' shares, and beside each other.
        (10, [10], 0, [], (F.AGREES, 0, {})),
        (110, [10], 100, [], (F.AGREES, 100, {})),
        (-40, [10], -50, [], (F.AGREES, -50, {})),
        (0, [10, -10], 0, [], (F.AGREES, 0, {})),
        # Sold in TWS, wholly and in part; a short covered.
        (0, [10], 0, [-10], (F.CLOSED_ELSEWHERE, 0, {1: 10})),
        (4, [10], 0, [-6], (F.CLOSED_ELSEWHERE, 0, {1: 6})),
        (0, [-10], 0, [10], (F.CLOSED_ELSEWHERE, 0, {1: 10})),
        # More than we had: the rest is others' short.
        (-5, [10], 0, [-15], (F.CLOSED_ELSEWHERE, -5, {1: 10})),
        # Others held enough, so it was theirs; or it only added to theirs.
        (100, [10], 100, [-10], (F.OTHERS_CHANGED, 90, {})),
        (60, [10], 0, [50], (F.OTHERS_CHANGED, 50, {})),
        # Among several: the youngest.
        (15, [10, 10], 0, [-5], (F.CLOSED_ELSEWHERE, 0, {2: 5})),
        (8, [10, 10], 0, [-12], (F.CLOSED_ELSEWHERE, 0, {1: 2, 2: 10})),
        # A long one and a short one beside each other: a sale closes the long one only.
        (-10, [10, -10], 0, [-10], (F.CLOSED_ELSEWHERE, 0, {1: 10})),
        # No deal: a split, a transfer; but what others held enough of may have changed without a word.
        (20, [10], 0, [], (F.UNEXPLAINED, 0, {})),
        (0, [10], 0, [], (F.UNEXPLAINED, 0, {})),
        (60, [10], 100, [], (F.OTHERS_CHANGED, 50, {})),
        (30, [], 0, [], (F.OTHERS_CHANGED, 30, {})),
        # But all of it halved or doubled is a split, though others held enough.
        (55, [10], 100, [], (F.UNEXPLAINED, 100, {})),
        (220, [10], 100, [], (F.UNEXPLAINED, 100, {})),
        (55, [10], 100, [-55], (F.OTHERS_CHANGED, 45, {})),
        # A deal that explains only a part explains nothing.
        (0, [10], 0, [-4], (F.UNEXPLAINED, 0, {})),
    ],
)
def test_a_difference_in_a_shared_account(
    reported: int, ours: list[int], others: int, deals: list[int], outcome: tuple[Finding, int, dict[int, int]]
) -> None:
    judgement = judge(
        reported=Decimal(reported),
        claims=claims(*ours),
        others=Decimal(others),
        deals=[ForeignDeal(client_id=0, quantity=Decimal(quantity)) for quantity in deals],
    )
    assert found(judgement) == outcome


@pytest.mark.case("T62")
@pytest.mark.parametrize(
    ("opened_since", "by_hand", "sold", "reductions"),
    [
        ({2}, None, 10, {1: 10}),
        # Also where somebody cancelled its stop: it was not there to be closed.
        ({2}, 2, 10, {1: 10}),
        # What is more than those held that were there is taken from it all the same: a time stamp may be odd.
        ({2}, None, 15, {1: 10, 2: 5}),
        ({1, 2}, None, 10, {2: 10}),
    ],
)
def test_what_was_opened_after_a_deal_is_the_last_to_be_closed_by_it(
    opened_since: set[int], by_hand: int | None, sold: int, reductions: dict[int, int]
) -> None:
    judgement = judge(
        reported=Decimal(20 - sold),
        claims=claims(10, 10, by_hand=by_hand),
        others=Decimal(0),
        deals=[ForeignDeal(client_id=0, quantity=Decimal(-sold), opened_since=frozenset(opened_since))],
    )
    assert found(judgement) == (F.CLOSED_ELSEWHERE, 0, reductions)


@pytest.mark.case("T44")
@pytest.mark.parametrize(("reported", "others", "finding"), [(-5, 0, F.UNEXPLAINED), (8, 0, F.UNEXPLAINED)])
def test_what_differs_when_the_last_claim_has_just_closed_is_a_persons(
    reported: int, others: int, finding: Finding
) -> None:
    after_all = judge(reported=Decimal(reported), claims=[], others=Decimal(others), claimed_lately=True)
    assert (after_all.finding, int(after_all.unexplained), int(after_all.others)) == (finding, reported, others)
    assert judge(reported=Decimal(reported), claims=[], others=Decimal(others)).finding is F.OTHERS_CHANGED


@pytest.mark.case("T46")
@pytest.mark.parametrize(
    ("expected", "held", "splits"),
    [
        (110, 55, True),
        (55, 110, True),
        (110, 11, True),
        (30, 45, True),
        (110, 60, False),
        (10, 0, False),
        (0, 10, False),
    ],
)
def test_what_looks_like_a_split(expected: int, held: int, splits: bool) -> None:
    assert looks_split(expected=Decimal(expected), held=Decimal(held)) is splits
    assert looks_split(expected=-Decimal(expected), held=-Decimal(held)) is splits
    assert looks_split(expected=-Decimal(expected), held=Decimal(held)) is False


def test_the_claim_whose_stop_was_cancelled_by_hand_goes_first() -> None:
    judgement = judge(
        reported=Decimal(10),
        claims=claims(10, 10, by_hand=1),
        others=Decimal(0),
        deals=[ForeignDeal(client_id=0, quantity=Decimal(-10))],
    )
    assert found(judgement) == (F.CLOSED_ELSEWHERE, 0, {1: 10})


@pytest.mark.parametrize(
    ("reported", "ours", "sold", "closed_since", "outcome"),
    [
        # The stop closed what was sold in TWS a moment before; wholly, in part, of a claim of which some is left.
        (-10, [], 10, {1: 10}, (F.CLOSED_ELSEWHERE, 0, {1: 10})),
        (-6, [], 6, {1: 10}, (F.CLOSED_ELSEWHERE, 0, {1: 6})),
        (-3, [3], 6, {1: 7}, (F.CLOSED_ELSEWHERE, 0, {1: 6})),
        # What is still held goes first: then nothing was closed twice.
        (0, [10], 10, {2: 10}, (F.CLOSED_ELSEWHERE, 0, {1: 10})),
        # What is beyond both is others' short.
        (-15, [], 15, {1: 10}, (F.CLOSED_ELSEWHERE, -5, {1: 10})),
    ],
)
def test_what_an_exit_of_ours_has_closed_since_a_sale_was_closed_twice(
    reported: int,
    ours: list[int],
    sold: int,
    closed_since: dict[int, int],
    outcome: tuple[Finding, int, dict[int, int]],
) -> None:
    deal = ForeignDeal(
        client_id=0,
        quantity=Decimal(-sold),
        closed_since={key: Decimal(shares) for key, shares in closed_since.items()},
    )
    assert found(judge(reported=Decimal(reported), claims=claims(*ours), others=Decimal(0), deals=[deal])) == outcome


def test_two_sales_cannot_both_have_closed_what_an_exit_closed_since() -> None:
    deals = [ForeignDeal(client_id=0, quantity=Decimal(-10), closed_since={1: Decimal(10)}) for _ in range(2)]
    judgement = judge(reported=Decimal(-20), claims=[], others=Decimal(0), deals=deals)
    assert found(judgement) == (F.CLOSED_ELSEWHERE, -10, {1: 10})


def test_what_others_held_enough_of_was_not_closed_twice() -> None:
    deal = ForeignDeal(client_id=0, quantity=Decimal(-10), closed_since={1: Decimal(10)})
    judgement = judge(reported=Decimal(90), claims=[], others=Decimal(100), deals=[deal])
    assert found(judgement) == (F.OTHERS_CHANGED, 90, {})


def test_a_deal_of_a_known_other_program_is_its_own() -> None:
    judgement = judge(
        reported=Decimal(-40),
        claims=claims(10),
        others=Decimal(0),
        deals=[ForeignDeal(client_id=OTHER_PROGRAM, quantity=Decimal(-50))],
        others_client_ids=frozenset({OTHER_PROGRAM}),
    )
    assert found(judgement) == (F.OTHERS_CHANGED, -50, {})


@pytest.mark.parametrize(
    ("reported", "outcome"),
    [(4, (F.CLOSED_ELSEWHERE, 0, {1: 6})), (0, (F.CLOSED_ELSEWHERE, 0, {1: 10})), (20, (F.UNEXPLAINED, 0, {}))],
)
def test_less_than_claimed_in_an_exclusive_account_was_closed_elsewhere_deals_or_not(
    reported: int, outcome: tuple[Finding, int, dict[int, int]]
) -> None:
    judgement = judge(reported=Decimal(reported), claims=claims(10), others=Decimal(0), use=AccountUse.EXCLUSIVE)
    assert found(judgement) == outcome


@pytest.mark.parametrize(
    ("reported", "recent", "fits"),
    [(10, [], True), (0, [10], True), (4, [4, 6], True), (10, [4, 6], True), (6, [4, 6], False), (9, [], False)],
)
def test_a_report_may_lack_the_newest_deals(reported: int, recent: list[int], fits: bool) -> None:
    assert (
        agrees(reported=Decimal(reported), expected=Decimal(10), recent=[Decimal(quantity) for quantity in recent])
        is fits
    )


shares = st.integers(-50, 50)


@given(
    ours=st.lists(shares.filter(bool), max_size=4),
    others=shares,
    reported=shares,
    deals=st.lists(st.tuples(st.sampled_from([0, OTHER_PROGRAM]), shares), max_size=4),
    use=st.sampled_from(AccountUse),
)
def test_whatever_is_judged_the_books_add_up_and_no_claim_turns_round(
    ours: list[int], others: int, reported: int, deals: list[tuple[int, int]], use: AccountUse
) -> None:
    judgement = judge(
        reported=Decimal(reported),
        claims=claims(*ours),
        others=Decimal(others),
        deals=[ForeignDeal(client_id=client_id, quantity=Decimal(quantity)) for client_id, quantity in deals],
        use=use,
        others_client_ids=frozenset({OTHER_PROGRAM}),
    )
    left = {key: Decimal(quantity) for key, quantity in enumerate(ours, start=1)}
    for reduction in judgement.reductions:
        claimed = left[reduction.key]
        assert 0 < reduction.quantity <= abs(claimed)
        left[reduction.key] = claimed - reduction.quantity.copy_sign(claimed)
    if judgement.finding is F.UNEXPLAINED:
        assert judgement.unexplained
        assert (judgement.others, judgement.reductions) == (others, ())
    else:
        assert judgement.others + sum(left.values()) == reported


@pytest.mark.parametrize(
    ("difference", "lags", "disputed", "confirmed", "unexplained", "found_as"),
    [
        (0, False, None, False, 0, Comparison.SETTLED),
        (0, True, -6, True, 0, Comparison.LAGS),
        (-6, False, None, False, 0, Comparison.NEW_DOUBT),
        (-6, False, -4, True, 0, Comparison.NEW_DOUBT),
        (-6, False, -6, False, 0, Comparison.IN_DOUBT),
        (-6, False, -6, True, 0, Comparison.CONFIRMED),
        (-6, False, -6, True, -6, Comparison.LEFT_TO_A_PERSON),
    ],
)
def test_a_difference_is_judged_when_a_second_answer_confirms_it(
    difference: int, lags: bool, disputed: int | None, confirmed: bool, unexplained: int, found_as: Comparison
) -> None:
    noted = None if disputed is None else Decimal(disputed)
    assert (
        compare(
            difference=Decimal(difference),
            lags=lags,
            disputed=noted,
            is_confirmed=confirmed,
            unexplained=Decimal(unexplained),
        )
        is found_as
    )


def test_what_looks_like_lag_beside_a_deal_of_others_is_a_difference() -> None:
    # Two shares are ours, one of them bought a moment ago. One is held: the report lags, or knows that others sold one.
    one, two, sold = Decimal(1), Decimal(2), Decimal(-1)
    assert disagreement(reported=one, expected=two, recent=[one], unjudged=[sold]) == sold
    assert disagreement(reported=one, expected=two, recent=[one]) == 0
    # A deal that all agrees with is judged by that.
    assert disagreement(reported=two, expected=two, recent=[one], unjudged=[sold]) == 0
