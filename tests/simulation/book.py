"""The broker's book of a run, read by the names that we gave: which bracket, which leg, how much is held."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any


def bracket_of(order: Mapping[str, Any]) -> str:
    """Return the bracket's part of an order's name."""
    key, tranche, _leg = order["order_ref"].split("-")
    return f"{key}-{tranche}"


def leg_of(order: Mapping[str, Any]) -> str:
    """Return the leg, without its number."""
    return str(order["order_ref"].split("-")[2]).rstrip("0123456789")


def held_by_bracket(orders: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return what each bracket holds by what its orders filled; orders without a name of ours are left out."""
    held: dict[str, Decimal] = {}
    for order in orders:
        if order["order_ref"]:
            sign = 1 if leg_of(order) == "ENTRY" else -1
            name = bracket_of(order)
            held[name] = held.get(name, Decimal(0)) + sign * Decimal(order["filled"])
    return held
