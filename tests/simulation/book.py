"""The broker's book of a run, read by the names that we gave: which bracket, which leg, how much is held."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

_NONE = Decimal(0)
_OPENING = ("ENTRY", "SURPLUS")


def bracket_of(order: Mapping[str, Any]) -> str:
    """Return the bracket's part of an order's name."""
    key, tranche, _leg = order["order_ref"].split("-")
    return f"{key}-{tranche}"


def leg_of(order: Mapping[str, Any]) -> str:
    """Return the leg, without its number."""
    return str(order["order_ref"].split("-")[2]).rstrip("0123456789")


def is_exit(order: Mapping[str, Any]) -> bool:
    """Whether what it fills closes shares of its bracket."""
    return leg_of(order) not in _OPENING


def side_of(order: Mapping[str, Any]) -> str:
    """Return LONG or SHORT, of the bracket that the order belongs to."""
    return "LONG" if (order["action"] == "BUY") != is_exit(order) else "SHORT"


def held_by_bracket(orders: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return what each bracket holds by what its orders filled; orders without a name of ours are left out."""
    held: dict[str, Decimal] = {}
    for order in orders:
        if order["order_ref"]:
            sign = -1 if is_exit(order) else 1
            name = bracket_of(order)
            held[name] = held.get(name, _NONE) + sign * Decimal(order["filled"])
    return held


def opened_beyond_closed(orders: Iterable[Mapping[str, Any]], side: str) -> Decimal:
    """Return what all brackets of a side opened and have not closed, by what their orders filled."""
    of_side = [order for order in orders if order["order_ref"] and side_of(order) == side]
    return sum((-Decimal(o["filled"]) if is_exit(o) else Decimal(o["filled"]) for o in of_side), _NONE)


def could_still_close(orders: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return what the exits of each bracket could still close: of those in one OCA group the largest one counts.

    A child that waits for its entry, and what is not transmitted, could close nothing yet.
    """
    groups: dict[tuple[str, str], Decimal] = {}
    for order in orders:
        if order["order_ref"] and is_exit(order) and order["live"]:
            group = (bracket_of(order), order["oca_group"] or order["order_ref"])
            groups[group] = max(groups.get(group, _NONE), Decimal(order["remaining"]))
    could: dict[str, Decimal] = {}
    for (bracket, _group), remaining in groups.items():
        could[bracket] = could.get(bracket, _NONE) + remaining
    return could
