"""Whether what we show of an execution is what the broker has: the same orders, and each deal once with its cost."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

OUR_WORD = {
    "PreSubmitted": "HELD",
    "Submitted": "WORKING",
    "Filled": "FILLED",
    "Cancelled": "CANCELLED",
    "Inactive": "INACTIVE",
}


def refs_of(execution: dict[str, Any]) -> set[str]:
    """Return the names of the execution's orders."""
    return {order["order_ref"] for bracket in execution["brackets"] for order in bracket["orders"]}


def assert_same_orders(execution: dict[str, Any], placed: Iterable[dict[str, Any]]) -> None:
    """Compare each order of ours with the broker's of that name; what provably never arrived is not there."""
    orders = (order for bracket in execution["brackets"] for order in bracket["orders"])
    shown = {order["order_ref"]: order for order in orders if order["status"] != "NOT_PLACED"}
    theirs_all = list(placed)
    assert sorted(shown) == sorted(order["order_ref"] for order in theirs_all)
    for theirs in theirs_all:
        ours = shown[theirs["order_ref"]]
        assert ours["status"] == OUR_WORD[theirs["status"]], (ours, theirs)
        assert (ours["order_id"], ours["perm_id"]) == (theirs["order_id"], theirs["perm_id"])
        assert Decimal(ours["filled_quantity"]) == Decimal(theirs["filled"])


def assert_same_deals(execution: dict[str, Any], deals: Iterable[dict[str, Any]]) -> None:
    """Compare each deal: that it is there once, with its size, price, time and cost."""
    theirs_all = {deal["exec_id"]: deal for deal in deals if deal["order_ref"] in refs_of(execution)}
    shown = execution["fills"]
    assert sorted(fill["exec_id"] for fill in shown) == sorted(theirs_all)
    for fill in shown:
        deal = theirs_all[fill["exec_id"]]
        assert Decimal(fill["quantity"]) == Decimal(deal["quantity"])
        assert Decimal(fill["price"]) == Decimal(deal["price"])
        # The wire tells whole seconds.
        assert datetime.fromisoformat(fill["executed_at"]) == datetime.fromisoformat(deal["time"]).replace(
            microsecond=0
        )
        assert fill["commission"] is not None, "no commission yet"
        assert Decimal(fill["commission"]) == Decimal(deal["commission"])
