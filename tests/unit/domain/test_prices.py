"""Ticks and R."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contract import Contract, PriceIncrement, SymbolInfo
from app.domain.prices import is_on_tick, is_price, r_multiple, risk_per_share, round_to_tick, tick_at
from app.domain.terms import Side

D = Decimal

# What IB tells for a US stock: a finer step below one dollar.
US_STOCK = (
    PriceIncrement(low_edge=D(0), increment=D("0.0001")),
    PriceIncrement(low_edge=D(1), increment=D("0.01")),
)
PRICES = st.decimals(min_value="0.000001", max_value="99999", places=6)


@st.composite
def price_ladders(draw: st.DrawFn) -> tuple[PriceIncrement, ...]:
    """Steps as markets have them: each coarser one a multiple of the finer, each edge on both."""
    increment = draw(st.sampled_from([D("0.0001"), D("0.0005"), D("0.001"), D("0.01"), D("0.025"), D("1")]))
    ladder = [PriceIncrement(low_edge=D(0), increment=increment)]
    for factor, steps in draw(st.lists(st.tuples(st.integers(2, 10), st.integers(1, 500)), max_size=3)):
        increment = increment * factor
        edge = ladder[-1].low_edge
        ladder.append(PriceIncrement(low_edge=(edge // increment + steps) * increment, increment=increment))
    return tuple(ladder)


@pytest.mark.parametrize(
    ("price", "tick"),
    [("0.5", "0.0001"), ("0.9999", "0.0001"), ("1", "0.01"), ("1.00", "0.01"), ("189.50", "0.01"), ("0", "0.0001")],
)
def test_the_tick_depends_on_the_price(price: str, tick: str) -> None:
    assert tick_at(D(price), US_STOCK) == D(tick)


@pytest.mark.parametrize(
    ("price", "on_tick"),
    [("189.50", True), ("189.505", False), ("0.1234", True), ("0.12345", False), ("1.0001", False), ("1", True)],
)
def test_a_price_is_on_tick_or_not(price: str, *, on_tick: bool) -> None:
    assert is_on_tick(D(price), US_STOCK) is on_tick


@pytest.mark.parametrize(
    ("price", "rounded"),
    [("189.504", "189.50"), ("189.506", "189.51"), ("189.505", "189.50"), ("189.515", "189.52"), ("0.99996", "1")],
)
def test_rounding_goes_to_the_nearest_tick_and_halves_to_the_even_one(price: str, rounded: str) -> None:
    assert round_to_tick(D(price), US_STOCK) == D(rounded)


def test_rounding_can_be_told_a_direction() -> None:
    assert round_to_tick(D("189.501"), US_STOCK, rounding=ROUND_CEILING) == D("189.51")
    assert round_to_tick(D("189.509"), US_STOCK, rounding=ROUND_FLOOR) == D("189.50")


@given(PRICES, price_ladders())
def test_a_rounded_price_is_on_tick(price: Decimal, ladder: tuple[PriceIncrement, ...]) -> None:
    for rounding in ("ROUND_HALF_EVEN", ROUND_CEILING, ROUND_FLOOR):
        assert is_on_tick(round_to_tick(price, ladder, rounding=rounding), ladder)


@given(PRICES, price_ladders())
def test_no_allowed_price_is_nearer_than_the_rounded_one(price: Decimal, ladder: tuple[PriceIncrement, ...]) -> None:
    rounded = round_to_tick(price, ladder)
    below = round_to_tick(price, ladder, rounding=ROUND_FLOOR)
    above = round_to_tick(price, ladder, rounding=ROUND_CEILING)
    assert below <= price <= above
    assert abs(rounded - price) == min(price - below, above - price)
    assert above - below in (0, tick_at(price, ladder))


@given(PRICES, price_ladders())
def test_a_price_on_tick_is_left_alone(price: Decimal, ladder: tuple[PriceIncrement, ...]) -> None:
    rounded = round_to_tick(price, ladder)
    assert round_to_tick(rounded, ladder) == rounded
    if is_on_tick(price, ladder):
        assert rounded == price


def test_a_symbol_of_which_nothing_else_is_known_moves_in_cents() -> None:
    info = SymbolInfo(contract=Contract(symbol="AAPL"), con_id=1, long_name="", primary_exchange="")
    assert tick_at(D("189.5"), info.price_increments) == D("0.01")


@pytest.mark.parametrize("value", [None, D(0), D(-1), D("NaN"), D("sNaN"), D("Infinity"), D("-Infinity")])
def test_what_a_feed_says_without_data_is_no_price(value: Decimal | None) -> None:
    assert not is_price(value)


def test_a_positive_number_is_a_price() -> None:
    assert is_price(D("0.0001"))


@pytest.mark.parametrize(
    ("side", "entry", "stop", "risk"),
    [
        (Side.LONG, "100", "95", "5"),
        (Side.SHORT, "100", "105", "5"),
        (Side.LONG, "100", "105", "-5"),
        (Side.SHORT, "100", "95", "-5"),
    ],
)
def test_the_risk_of_a_share_is_what_the_stop_loses(side: Side, entry: str, stop: str, risk: str) -> None:
    assert risk_per_share(side=side, entry_price=D(entry), stop_price=D(stop)) == D(risk)


@pytest.mark.parametrize(
    ("side", "stop", "price", "r"),
    [
        (Side.LONG, "95", "110", "2"),
        (Side.LONG, "95", "95", "-1"),
        (Side.SHORT, "105", "90", "2"),
        (Side.SHORT, "105", "105", "-1"),
        (Side.LONG, "95", "100", "0"),
    ],
)
def test_profit_in_multiples_of_the_risk(side: Side, stop: str, price: str, r: str) -> None:
    assert r_multiple(side=side, entry_price=D(100), stop_price=D(stop), price=D(price)) == D(r)
