"""Our names of legs at the broker: one name, one reading; a foreign name is none of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.order_ref import EXECUTION_KEY_ALPHABET, EXECUTION_KEY_LENGTH, OrderRef, parse_order_ref
from app.domain.terms import Leg

KEY = "k7m2q4x9b3c5d6f8"
KEYS = st.text(EXECUTION_KEY_ALPHABET, min_size=EXECUTION_KEY_LENGTH, max_size=EXECUTION_KEY_LENGTH)
NUMBERS = st.integers(min_value=1, max_value=9999)
REFS = st.builds(OrderRef, execution_key=KEYS, tranche=NUMBERS, leg=st.sampled_from(Leg), number=NUMBERS)


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        (OrderRef(execution_key=KEY, tranche=1, leg=Leg.ENTRY), f"{KEY}-1-ENTRY"),
        (OrderRef(execution_key=KEY, tranche=1, leg=Leg.STOP_LOSS), f"{KEY}-1-STOP_LOSS"),
        (OrderRef(execution_key=KEY, tranche=12, leg=Leg.TAKE_PROFIT), f"{KEY}-12-TAKE_PROFIT"),
        (OrderRef(execution_key=KEY, tranche=1, leg=Leg.PROTECT, number=2), f"{KEY}-1-PROTECT2"),
        (OrderRef(execution_key=KEY, tranche=1, leg=Leg.PROTECT, number=10), f"{KEY}-1-PROTECT10"),
    ],
)
def test_a_name_and_its_parts(ref: OrderRef, text: str) -> None:
    assert str(ref) == text
    assert parse_order_ref(text) == ref


@given(REFS)
def test_every_name_reads_back_as_its_parts(ref: OrderRef) -> None:
    assert parse_order_ref(str(ref)) == ref


@given(REFS, REFS)
def test_two_legs_never_share_a_name(one: OrderRef, other: OrderRef) -> None:
    assert (str(one) == str(other)) is (one == other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "IB-3:4",
        "my manual order",
        KEY,
        f"{KEY}-1",
        f"{KEY}-1-",
        f"{KEY}-1-OTHER",
        f"{KEY}-1-entry",
        f"{KEY}-0-ENTRY",
        f"{KEY}-01-ENTRY",
        f"{KEY}-1-ENTRY0",
        f"{KEY}-1-ENTRY1",
        f"{KEY}-1-ENTRY02",
        f"{KEY}--1-ENTRY",
        f"{KEY}-1-ENTRY ",
        f" {KEY}-1-ENTRY",
        f"{KEY}-1-ENTRY\n",
        f"{KEY[:-1]}-1-ENTRY",
        f"{KEY}x-1-ENTRY",
        f"{KEY.upper()}-1-ENTRY",
        f"{'l' * EXECUTION_KEY_LENGTH}-1-ENTRY",
        f"{KEY}-1٣-ENTRY",  # An Arabic digit: int() would read it as 13.
        f"{KEY}-1-PROTECT1٣",
        f"{KEY}-{'9' * 5000}-ENTRY",  # int() refuses to read it.
    ],
)
def test_a_foreign_name_is_none_of_ours(text: str) -> None:
    # Given a name that differs from one of ours in this only
    assert parse_order_ref(f"{KEY}-1-ENTRY") is not None
    # Then it is not read as one
    assert parse_order_ref(text) is None


@given(st.text() | st.from_regex(rf"{KEY}-\d+-[A-Z_]+\d*", fullmatch=True))
def test_whatever_is_read_as_ours_is_written_the_same(text: str) -> None:
    ref = parse_order_ref(text)
    assert ref is None or str(ref) == text
