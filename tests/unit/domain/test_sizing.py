"""How many shares: every way to say it, every refusal, and the risk that is never exceeded."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.core.errors import FixRequest, RetryLater, TradingError
from app.domain.sizing import size_position, whole_shares
from app.domain.terms import Side

D = Decimal
LONG: dict[str, Any] = {"side": Side.LONG, "stop_price": D(95), "reference_price": D(100)}
MONEY = st.decimals(min_value="0.01", max_value="10000000", places=2)
PRICES = st.decimals(min_value="0.01", max_value="100000", places=4)


@pytest.mark.parametrize(
    ("given_size", "shares"),
    [
        ({"quantity": D(10)}, "10"),
        ({"quantity": D("10.000")}, "10"),
        ({"quantity": D("1E+1")}, "10"),
        ({"risk_amount": D(100)}, "20"),
        ({"risk_amount": D("104.99")}, "20"),
        ({"risk_amount": D(5)}, "1"),
        ({"risk_percent": D(2), "equity": D(10_000)}, "40"),
        ({"risk_percent": D(100), "equity": D(10_000)}, "2000"),
    ],
)
def test_the_size_in_whole_shares(given_size: dict[str, Decimal], shares: str) -> None:
    # The text counts too: it is what goes to the broker and into the answer.
    assert str(size_position(**LONG, **given_size)) == shares


def test_a_short_position_is_sized_by_its_own_risk() -> None:
    assert size_position(side=Side.SHORT, stop_price=D(105), reference_price=D(100), risk_amount=D(100)) == D(20)


def test_a_given_quantity_needs_no_price() -> None:
    assert size_position(side=Side.LONG, stop_price=D(95), reference_price=None, quantity=D(3)) == 3


@pytest.mark.parametrize(
    ("changes", "code", "kind"),
    [
        ({}, "size_ambiguous", FixRequest),
        ({"quantity": D(1), "risk_amount": D(1)}, "size_ambiguous", FixRequest),
        ({"quantity": D(0)}, "size_not_positive", FixRequest),
        ({"quantity": D(-5)}, "size_not_positive", FixRequest),
        ({"quantity": D("NaN")}, "size_not_positive", FixRequest),
        ({"quantity": D("Infinity")}, "size_not_positive", FixRequest),
        ({"risk_amount": D(0)}, "size_not_positive", FixRequest),
        ({"risk_percent": D(-1), "equity": D(1000)}, "size_not_positive", FixRequest),
        ({"quantity": D("1.5")}, "size_not_whole", FixRequest),
        ({"risk_percent": D("100.01"), "equity": D(1000)}, "risk_percent_too_large", FixRequest),
        ({"risk_amount": D(100), "stop_price": D(0)}, "price_not_positive", FixRequest),
        ({"risk_amount": D(100), "stop_price": D("NaN")}, "price_not_positive", FixRequest),
        ({"risk_amount": D(100), "stop_price": D(100)}, "stop_wrong_side", FixRequest),
        ({"risk_amount": D(100), "stop_price": D(101)}, "stop_wrong_side", FixRequest),
        ({"risk_amount": D(100), "side": Side.SHORT}, "stop_wrong_side", FixRequest),
        ({"risk_amount": D("4.99")}, "size_below_one_share", FixRequest),
        ({"risk_percent": D(1), "equity": D(0)}, "size_below_one_share", FixRequest),
        ({"risk_percent": D(1), "equity": D(-500)}, "size_below_one_share", FixRequest),
        ({"risk_amount": D(100), "reference_price": None}, "price_unknown", RetryLater),
        ({"risk_amount": D(100), "reference_price": D("NaN")}, "price_unknown", RetryLater),
        ({"risk_percent": D(1)}, "equity_unknown", RetryLater),
        ({"risk_percent": D(1), "equity": D("NaN")}, "equity_unknown", RetryLater),
    ],
)
def test_each_refusal_has_its_code(changes: dict[str, Any], code: str, kind: type[TradingError]) -> None:
    with pytest.raises(kind) as refusal:
        size_position(**{**LONG, **changes})
    assert refusal.value.code == code


def test_a_feed_without_data_does_not_size_a_short() -> None:
    # Given a feed that says -1 for "no price", which any stop of a short lies above
    with pytest.raises(RetryLater) as refusal:
        size_position(side=Side.SHORT, stop_price=D(105), reference_price=D(-1), risk_amount=D(1000))
    # Then no size is invented from it
    assert refusal.value.code == "price_unknown"


def test_the_refusal_of_a_small_risk_says_what_one_share_costs() -> None:
    with pytest.raises(FixRequest) as refusal:
        size_position(**LONG, risk_amount=D("4.99"))
    assert refusal.value.details == {"risk": "4.99", "risk_per_share": "5"}


@settings(suppress_health_check=[HealthCheck.filter_too_much])  # Half of the stops lie on the wrong side.
@given(st.sampled_from(Side), PRICES, PRICES, MONEY)
def test_the_risk_is_never_exceeded_and_one_more_share_would(
    side: Side, entry: Decimal, stop: Decimal, risk: Decimal
) -> None:
    per_share = (entry - stop) * side.sign
    assume(0 < per_share <= risk)
    shares = size_position(side=side, stop_price=stop, reference_price=entry, risk_amount=risk)
    assert shares == int(shares)
    assert shares * per_share <= risk < (shares + 1) * per_share


@given(MONEY, st.decimals(min_value="0.01", max_value="100", places=2))
def test_a_percentage_risks_that_share_of_the_equity(equity: Decimal, percent: Decimal) -> None:
    assume(equity * percent / 100 >= 5)
    by_percent = size_position(**LONG, risk_percent=percent, equity=equity)
    assert by_percent == size_position(**LONG, risk_amount=equity * percent / 100)


@given(st.integers(min_value=1, max_value=10**15))
def test_whole_shares_are_kept(quantity: int) -> None:
    assert str(whole_shares(D(quantity).normalize())) == str(quantity)
