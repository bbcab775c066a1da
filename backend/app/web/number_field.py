"""Numbers as people type them: `180.50`, and `180,50` where the comma can only be a decimal one.

    180,50   ->  180.50        one comma, not followed by exactly three digits
    0,125    ->  0.125         nobody groups a leading zero
    1,234    refused           1234 or 1.234?
    1,234.50, 1 234, 1'234     refused: written with a separator of thousands, and said without it
    1.000 shares               refused: 1000 or 1? A price of 1.234 is one, since the point is the decimal one here

A price that is read otherwise than it was meant loses money; where two readings are possible, the person chooses.
"""

import re
from typing import Any

from django import forms

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_DECIMAL_COMMA = re.compile(r"([+-]?)(\d*),(\d+)", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?P<mark>[,.' \u00a0\u202f\u2019])\d{3}((?P=mark)\d{3})*([.,]\d+)?", re.ASCII)


class NumberField(forms.DecimalField):
    """A decimal number in a text box. What was typed stays in the box when it is refused."""

    def __init__(self, *, is_amount: bool = False, **kwargs: Any) -> None:
        """With `is_amount` (shares, money) three digits after a point are refused: nobody means thousandths."""
        self._is_amount = is_amount
        super().__init__(
            widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}), localize=False, **kwargs
        )

    def to_python(self, value: Any) -> Any:
        """Return the number, None where nothing was typed. Raises ValidationError with a sentence that names it."""
        typed = str(value or "").strip()
        return super().to_python(number_read(typed, is_amount=self._is_amount) if typed else None)


def number_read(typed: str, *, is_amount: bool = False) -> str:
    """Return the number with a decimal point. Raises ValidationError where it is none, or could be two."""
    if _PLAIN.fullmatch(typed):
        whole, _, places = typed.partition(".")
        if is_amount and len(places) == 3 and whole.lstrip("+-").strip("0"):
            raise _refusal(f"{typed} can mean {whole}{places} or {whole}.{places}. Write it without the point.")
        return typed
    decimal_comma = _DECIMAL_COMMA.fullmatch(typed)
    if decimal_comma is not None:
        sign, whole, places = decimal_comma.groups()
        if len(places) != 3 or len(whole) > 3 or whole in ("", "0"):
            return f"{sign}{whole or 0}.{places}"
        raise _refusal(
            f"{typed} can mean {sign}{whole}{places} or {sign}{whole}.{places}. Write the one that you mean."
        )
    grouped = _GROUPED.fullmatch(typed)
    if grouped is not None and (grouped["mark"] != "." or "," in typed or typed.count(".") > 1):
        raise _refusal(f"{typed} has separators in it. Write it without them: {_without_separators(typed)}.")
    raise _refusal(f"{typed[:40]} is not a number. Write it like 180.50.")


def _without_separators(typed: str) -> str:
    digits, mark = re.sub(r"[^\d.,+-]", "", typed), ""
    if len({sign for sign in digits if sign in ".,"}) == 2:  # Two kinds: the last is the decimal one.
        mark = max(".,", key=digits.rfind)
    elif "," in digits and digits.count(",") == 1 and not re.search(r",\d{3}$", digits):
        mark = ","
    elif digits.count(".") == 1 and re.search(r"[^\d.,+-]", typed):
        mark = "."
    whole, _, places = digits.rpartition(mark) if mark else (digits, "", "")
    whole = re.sub(r"[.,]", "", whole)
    return f"{whole}.{places}" if mark else whole


def _refusal(sentence: str) -> forms.ValidationError:
    return forms.ValidationError(sentence, code="number_unclear")
