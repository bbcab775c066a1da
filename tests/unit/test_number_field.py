"""Numbers as people type them: read where they have one meaning, else refused with a sentence that names them."""

import pytest
from django.core.exceptions import ValidationError

from app.web.number_field import number_read

pytestmark = pytest.mark.case("A13")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("180.50", "180.50"),
        ("180,50", "180.50"),
        ("180,5", "180.5"),
        ("0,125", "0.125"),
        (",5", "0.5"),
        ("1234,567", "1234.567"),
        ("-3,25", "-3.25"),
        ("1.234", "1.234"),
    ],
)
def test_what_has_one_meaning_is_read(typed: str, read: str) -> None:
    assert number_read(typed) == read


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("1,234", "1,234 can mean 1234 or 1.234. Write the one that you mean."),
        ("1,234.50", "1,234.50 has separators in it. Write it without them: 1234.50."),
        ("1.234,50", "1.234,50 has separators in it. Write it without them: 1234.50."),
        ("1,234,567", "1,234,567 has separators in it. Write it without them: 1234567."),
        ("1 234,50", "1 234,50 has separators in it. Write it without them: 1234.50."),
        ("1'234.5", "1'234.5 has separators in it. Write it without them: 1234.5."),
        ("1e5", "1e5 is not a number. Write it like 180.50."),
        ("1_000", "1_000 is not a number. Write it like 180.50."),
        ("１２", "１２ is not a number. Write it like 180.50."),
        ("NaN", "NaN is not a number. Write it like 180.50."),
        ("about 5", "about 5 is not a number. Write it like 180.50."),
    ],
)
def test_what_could_mean_two_things_is_named_and_refused(typed: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        number_read(typed)
    assert refused.value.messages == [sentence]


def test_a_thousand_shares_are_not_read_as_one() -> None:
    with pytest.raises(ValidationError, match=r"1.000 can mean 1000 or 1.000. Write it without the point."):
        number_read("1.000", is_amount=True)
    assert number_read("0.125", is_amount=True) == "0.125"
    assert number_read("1000.00", is_amount=True) == "1000.00"
