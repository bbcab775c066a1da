"""What is wrong with a plan, in the words of the form: which fields, and a sentence with what to do.

The services speak to programs (`Give exactly one of quantity, risk_amount and risk_percent.`); a person sees labels.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.decimal_text import plain
from app.setups.services import SIZE_FIELDS

LABELS = {
    "symbol": "Symbol",
    "entry_price": "Entry price",
    "entry_limit_price": "Limit once triggered",
    "stop_price": "Protective stop",
    "quantity": "Quantity",
    "risk_amount": "Risk amount",
    "risk_percent": "Risk % of equity",
}
ENTRY_WORDS = {"MARKET": "market", "LIMIT": "limit", "STOP": "stop", "STOP_LIMIT": "stop limit"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The fields that are wrong, the first with the sentence beside it."""

    fields: tuple[str, ...]
    sentence: str


def problem_told(problem: Mapping[str, Any], *, values: Mapping[str, Any]) -> Told:
    """Return a problem of the services as the form shows it; `values` is what was typed."""
    field, code = problem["field"], problem["code"]
    if code == "size_ambiguous":
        return _size_told(values)
    size = tuple(name for name in SIZE_FIELDS if values.get(name) is not None)
    kind = ENTRY_WORDS.get(str(values.get("entry_type")), "")
    label = LABELS.get(field, "")
    sentences = {
        "size_not_positive": "The size must be more than zero.",
        "size_not_whole": "Shares are bought whole: give a number without decimal places.",
        "risk_percent_too_large": "No more than 100 % of the equity can be risked.",
        "price_missing": f"A {kind} entry needs the field “{label}”.",
        "price_not_used": f"A {kind} entry has no “{label}”: leave it empty, or choose another entry.",
        "price_not_positive": "A price must be more than zero.",
        "target_fractions": "Each target takes more than 0 % of the position, and all together at most 100 %.",
        "account_unknown": "The account that is traded here is not known yet: the broker worker has to connect once.",
        "account_missing": "There is not exactly one account to trade: ask an administrator to set it.",
    }
    sentence = sentences.get(code, problem["message"])
    if code.startswith(("size_", "risk_percent")):
        return Told(fields=size, sentence=sentence)
    if code == "unknown_symbol":
        return Told(fields=("symbol",), sentence=sentence)
    if field == "take_profits":
        return Told(fields=_targets_meant(problem, values=values), sentence=sentence)
    return Told(fields=(field,) if field else (), sentence=sentence)


def _size_told(values: Mapping[str, Any]) -> Told:
    given = tuple(name for name in SIZE_FIELDS if values.get(name) is not None)
    choices = "a quantity, or a risk amount, or a risk in % of the equity"
    if not given:
        return Told(fields=SIZE_FIELDS, sentence=f"Give the size: {choices}.")
    named = " and ".join(LABELS[name] for name in given)
    return Told(fields=given, sentence=f"Give the size once: {choices}. Here are {named}.")


def _targets_meant(problem: Mapping[str, Any], *, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the boxes of the targets that the problem is about: the percentages, or the price that it names."""
    numbers = [name.split("_")[1] for name in values if name.endswith("_price") and name.startswith("target_")]
    given = [number for number in numbers if values[f"target_{number}_price"] is not None]
    if problem["code"] == "target_fractions":
        return tuple(f"target_{number}_percent" for number in given)
    prices = set(re.findall(r"-?\d+\.\d+", problem["message"]))
    named = [number for number in given if plain(values[f"target_{number}_price"], places_min=2) in prices]
    return tuple(f"target_{number}_price" for number in named or given)
