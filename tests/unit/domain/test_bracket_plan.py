"""What makes a plan valid, and how it splits: every refusal by its code, and no share left without a bracket."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.errors import FixRequest, RetryLater
from app.domain.bracket import (
    EntryPlan,
    Target,
    bracket_problems,
    require_valid,
    split_into_tranches,
)
from app.domain.contract import PriceIncrement
from app.domain.terms import EntryType, OrderType, Side

D = Decimal
CENTS = (PriceIncrement(low_edge=D(0), increment=D("0.0001")), PriceIncrement(low_edge=D(1), increment=D("0.01")))

# Plans without a problem; a test changes what it is about. A long one wins upwards, a short one downwards.
LONG: dict[str, Any] = {
    "side": Side.LONG,
    "entry": EntryPlan(type=EntryType.LIMIT, price=D(100)),
    "stop_price": D(95),
    "targets": [Target(price=D(110), fraction=D("0.5")), Target(price=D(120), fraction=D("0.5"))],
    "increments": CENTS,
}
SHORT: dict[str, Any] = LONG | {
    "side": Side.SHORT,
    "stop_price": D(105),
    "targets": [Target(price=D(90), fraction=D("0.5")), Target(price=D(80), fraction=D("0.5"))],
}


def market() -> EntryPlan:
    return EntryPlan(type=EntryType.MARKET)


def stop_limit(price: str, limit: str) -> EntryPlan:
    return EntryPlan(type=EntryType.STOP_LIMIT, price=D(price), limit_price=D(limit))


def problems(plan: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.field) for problem in bracket_problems(**{**plan, **changes})]


@pytest.mark.parametrize("plan", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize(
    "entry",
    [
        market(),
        EntryPlan(type=EntryType.LIMIT, price=D(100)),
        EntryPlan(type=EntryType.STOP, price=D(100)),
        stop_limit("100", "100"),
    ],
    ids=lambda entry: entry.type,
)
def test_a_sound_plan_has_no_problem(plan: dict[str, Any], entry: EntryPlan) -> None:
    assert problems(plan, entry=entry, last_price=D(100)) == []


def test_a_plan_without_targets_is_sound() -> None:
    assert problems(LONG, targets=()) == []


@pytest.mark.parametrize(
    ("plan", "stop_price"),
    [(LONG, "100"), (LONG, "100.01"), (LONG, "110"), (SHORT, "100"), (SHORT, "99.99"), (SHORT, "90")],
)
@pytest.mark.parametrize("entry", [market(), EntryPlan(type=EntryType.STOP, price=D(100))], ids=["market", "stop"])
def test_a_stop_on_the_wrong_side_is_refused(plan: dict[str, Any], stop_price: str, entry: EntryPlan) -> None:
    # Given a plan that is sound with its own stop
    assert problems(plan, entry=entry, last_price=D(100)) == []
    # Then it is refused with a stop that would fire at once
    assert problems(plan, entry=entry, stop_price=D(stop_price), last_price=D(100)) == [
        ("stop_wrong_side", "stop_price")
    ]


@pytest.mark.parametrize(("plan", "price"), [(LONG, "100"), (LONG, "99"), (SHORT, "100"), (SHORT, "101")])
def test_a_target_on_the_wrong_side_is_refused(plan: dict[str, Any], price: str) -> None:
    targets = [plan["targets"][0], Target(price=D(price), fraction=D("0.5"))]
    assert problems(plan, targets=targets) == [("target_wrong_side", "take_profits")]


def test_the_side_of_a_market_entrys_stop_is_left_out_while_no_price_is_known() -> None:
    assert problems(LONG, entry=market(), stop_price=D(105), last_price=None) == []


@pytest.mark.parametrize("nothing", ["NaN", "sNaN", "-1", "0", "Infinity"])
@pytest.mark.parametrize("plan", [LONG, SHORT], ids=["long", "short"])
def test_what_a_feed_says_without_data_judges_no_stop(plan: dict[str, Any], nothing: str) -> None:
    # A stop of a short lies above -1, so a comparison would let anything pass.
    with pytest.raises(RetryLater) as refusal:
        problems(plan, entry=market(), last_price=D(nothing))
    assert refusal.value.code == "price_unknown"


BAD_PRICES = ["0", "-1", "NaN", "sNaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize("bad", BAD_PRICES)
@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda bad: {"entry": EntryPlan(type=EntryType.LIMIT, price=bad)}, "entry_price"),
        (
            lambda bad: {"entry": EntryPlan(type=EntryType.STOP_LIMIT, price=bad, limit_price=D(100))},
            "entry_price",
        ),
        (
            lambda bad: {"entry": EntryPlan(type=EntryType.STOP_LIMIT, price=D(100), limit_price=bad)},
            "entry_limit_price",
        ),
        (lambda bad: {"stop_price": bad}, "stop_price"),
        (lambda bad: {"targets": [Target(price=bad, fraction=D(1))]}, "take_profits"),
    ],
    ids=["limit entry", "trigger", "limit of a stop-limit", "stop", "target"],
)
def test_what_is_no_price_is_refused_wherever_it_stands(change: Any, field: str, bad: str) -> None:
    assert problems(LONG, **change(D(bad))) == [("price_not_positive", field)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (EntryPlan(type=EntryType.LIMIT), [("price_missing", "entry_price")]),
        (EntryPlan(type=EntryType.STOP), [("price_missing", "entry_price")]),
        (
            EntryPlan(type=EntryType.STOP_LIMIT),
            [("price_missing", "entry_price"), ("price_missing", "entry_limit_price")],
        ),
        (EntryPlan(type=EntryType.STOP_LIMIT, price=D(100)), [("price_missing", "entry_limit_price")]),
        (EntryPlan(type=EntryType.MARKET, price=D(100)), [("price_not_used", "entry_price")]),
        (
            EntryPlan(type=EntryType.LIMIT, price=D(100), limit_price=D(100)),
            [("price_not_used", "entry_limit_price")],
        ),
        (
            EntryPlan(type=EntryType.STOP, price=D(100), limit_price=D(101)),
            [("price_not_used", "entry_limit_price")],
        ),
    ],
)
def test_an_entry_has_the_prices_of_its_type_and_no_other(entry: EntryPlan, expected: list[tuple[str, str]]) -> None:
    assert problems(LONG, entry=entry) == expected


@pytest.mark.parametrize(
    ("plan", "limit", "sound"),
    [(LONG, "100.50", True), (LONG, "99.50", False), (SHORT, "99.50", True), (SHORT, "100.50", False)],
)
def test_the_limit_of_a_stop_limit_lies_beyond_its_trigger(plan: dict[str, Any], limit: str, *, sound: bool) -> None:
    expected = [] if sound else [("entry_limit_wrong_side", "entry_limit_price")]
    assert problems(plan, entry=stop_limit("100", limit)) == expected


@pytest.mark.parametrize(
    "fractions",
    [["0"], ["-0.5"], ["1.01"], ["0.6", "0.6"], ["0.5", "-0.5"], ["NaN"], ["0.5", "Infinity"], ["sNaN", "0.5"]],
)
def test_fractions_that_do_not_make_up_a_position_are_refused(fractions: list[str]) -> None:
    targets = [Target(price=D(110), fraction=D(fraction)) for fraction in fractions]
    assert problems(LONG, targets=targets) == [("target_fractions", "take_profits")]


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"entry": EntryPlan(type=EntryType.LIMIT, price=D("100.001"))}, ["entry_price"]),
        ({"entry": stop_limit("100.001", "100.002")}, ["entry_price", "entry_limit_price"]),
        ({"stop_price": D("95.005")}, ["stop_price"]),
        ({"targets": [Target(price=D("110.123"), fraction=D(1))]}, ["take_profits"]),
    ],
)
def test_each_price_off_its_tick_is_refused(changes: dict[str, Any], fields: list[str]) -> None:
    assert problems(LONG, **changes) == [("price_off_tick", field) for field in fields]
    # Without the ticks nobody can tell.
    assert problems(LONG, **changes, increments=None) == []


def test_all_problems_are_told_at_once_in_reading_order() -> None:
    found = problems(
        LONG,
        stop_price=D("101.005"),
        targets=[Target(price=D(99), fraction=D("0.7")), Target(price=D(98), fraction=D("0.7"))],
    )
    assert found == [
        ("stop_wrong_side", "stop_price"),
        ("target_wrong_side", "take_profits"),
        ("target_wrong_side", "take_profits"),
        ("target_fractions", "take_profits"),
        ("price_off_tick", "stop_price"),
    ]


def test_a_refusal_carries_the_first_code_and_all_problems() -> None:
    found = bracket_problems(**{**LONG, "stop_price": D("101.005")})
    with pytest.raises(FixRequest) as refusal:
        require_valid(found)
    assert refusal.value.code == "stop_wrong_side"
    assert [problem["code"] for problem in refusal.value.details["problems"]] == ["stop_wrong_side", "price_off_tick"]
    assert set(refusal.value.details["problems"][0]) == {"code", "field", "message"}


def test_no_problem_is_no_refusal() -> None:
    require_valid([])


@given(
    st.sampled_from(Side),
    st.decimals(min_value="1", max_value="1000", places=2),
    st.decimals(min_value="1", max_value="1000", places=2),
)
def test_a_stop_is_accepted_exactly_where_it_costs(side: Side, entry: Decimal, stop: Decimal) -> None:
    found = problems(LONG, side=side, entry=EntryPlan(type=EntryType.LIMIT, price=entry), stop_price=stop, targets=())
    assert (found == []) is ((entry - stop) * side.sign > 0)


PRICE_LIKE = st.decimals(allow_nan=True, allow_infinity=True) | st.decimals("-10", "1000", places=2)


@given(
    side=st.sampled_from(Side),
    entry=st.builds(EntryPlan, type=st.sampled_from(EntryType), price=PRICE_LIKE, limit_price=PRICE_LIKE)
    | st.builds(EntryPlan, type=st.sampled_from(EntryType), price=PRICE_LIKE),
    stop_price=PRICE_LIKE,
    targets=st.lists(st.builds(Target, price=PRICE_LIKE, fraction=PRICE_LIKE), max_size=3),
)
def test_any_numbers_are_judged_and_none_breaks_the_judge(
    side: Side, entry: EntryPlan, stop_price: Decimal, targets: list[Target]
) -> None:
    found = bracket_problems(side=side, entry=entry, stop_price=stop_price, targets=targets)
    if not found:
        assert stop_price.is_finite()
        assert stop_price > 0
        assert all(0 < target.fraction <= 1 for target in targets)


# --- tranches ---------------------------------------------------------------------------------------------------------


def targets_of(*fractions: str) -> list[Target]:
    return [Target(price=D(110 + number), fraction=D(fraction)) for number, fraction in enumerate(fractions)]


@pytest.mark.parametrize(
    ("quantity", "fractions", "expected"),
    [
        (10, [], [(10, None)]),
        (10, ["1"], [(10, 110)]),
        (10, ["0.5"], [(5, 110), (5, None)]),
        (10, ["0.5", "0.5"], [(5, 110), (5, 111)]),
        (3, ["0.5", "0.5"], [(1, 110), (2, 111)]),
        (10, ["0.99", "0.01"], [(9, 110), (1, 111)]),
        (10, ["0.3333", "0.3333", "0.3334"], [(3, 110), (3, 111), (4, 112)]),
        (10, ["0.25", "0.25"], [(2, 110), (2, 111), (6, None)]),
    ],
)
def test_the_tranches_of_a_position(
    quantity: int, fractions: list[str], expected: list[tuple[int, int | None]]
) -> None:
    tranches = split_into_tranches(quantity=D(quantity), targets=targets_of(*fractions))
    assert [(tranche.quantity, tranche.take_profit_price) for tranche in tranches] == expected
    assert [tranche.number for tranche in tranches] == list(range(1, len(expected) + 1))


@pytest.mark.parametrize(
    ("quantity", "fractions", "code"),
    [
        ("1", ["0.5", "0.5"], "target_below_one_share"),
        ("3", ["0.33", "0.33", "0.33"], "target_below_one_share"),
        ("1", ["0.5"], "target_below_one_share"),
        ("0", [], "size_not_positive"),
        ("-10", ["1"], "size_not_positive"),
        ("NaN", [], "size_not_positive"),
        ("1.5", [], "size_not_whole"),
        ("10", ["0.8", "0.8"], "target_fractions"),
        ("10", ["0"], "target_fractions"),
    ],
)
def test_what_cannot_be_split_is_refused(quantity: str, fractions: list[str], code: str) -> None:
    with pytest.raises(FixRequest) as refusal:
        split_into_tranches(quantity=D(quantity), targets=targets_of(*fractions))
    assert refusal.value.code == code


@given(
    st.integers(min_value=1, max_value=1_000_000),
    st.lists(st.decimals(min_value="0.0001", max_value="1", places=4), max_size=5),
)
def test_every_share_is_in_exactly_one_tranche(quantity: int, fractions: list[Decimal]) -> None:
    assume(sum(fractions) <= 1)
    try:
        tranches = split_into_tranches(quantity=D(quantity), targets=targets_of(*map(str, fractions)))
    except FixRequest as refusal:
        assert refusal.code == "target_below_one_share"  # noqa: PT017 - One of two lawful outcomes.
        return
    assert sum(tranche.quantity for tranche in tranches) == quantity
    assert all(tranche.quantity >= 1 and tranche.quantity == int(tranche.quantity) for tranche in tranches)
    # Each target has its tranche; what has none is at most one more.
    assert [tranche.take_profit_price for tranche in tranches][: len(fractions)] == [
        target.price for target in targets_of(*map(str, fractions))
    ]
    assert len(tranches) - len(fractions) in (0, 1)


# --- terms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_a_position_is_closed_by_the_opposite_of_what_opened_it(side: Side) -> None:
    assert side.exit_action is side.entry_action.opposite
    assert side.exit_action.opposite is side.entry_action is not side.exit_action


def test_a_long_buys_and_a_short_sells() -> None:
    assert (Side.LONG.entry_action, Side.SHORT.entry_action) == ("BUY", "SELL")


@pytest.mark.parametrize("entry_type", EntryType)
def test_every_entry_type_is_an_order_type(entry_type: EntryType) -> None:
    assert entry_type.order_type is OrderType(entry_type.value)
