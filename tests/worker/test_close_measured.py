"""Closing many brackets at once through the real processes, as `tests.bench.closes` measures it, of a few.

With a target none is ever without a stop, whatever the road; and each is sold once.
"""

import sys
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.bench.closes import SYMBOLS, Closing, Desk, running_desk, told
from tests.eventually import eventually

pytestmark = pytest.mark.slow
BRACKETS = 12  # More than are bare at once
LONE = 8


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("auto"), road="auto") as desk:
        yield desk


@pytest.fixture(scope="module")
def join(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_desk(tmp_path_factory.mktemp("join"), road="join") as desk:
        yield desk


def show(name: str, closings: list[Closing]) -> None:
    sys.stdout.write(f"\nclose: {name}: {told(closings)}\n")


def test_brackets_with_a_target_are_never_without_a_stop_and_sold_once(auto: Desk) -> None:
    executions = auto.held(BRACKETS, with_target=True)

    closings = auto.flatten(executions)

    show(f"{BRACKETS} with a target", closings)
    assert [(one.bought, one.sold) for one in closings] == [(10, 10)] * BRACKETS
    naked = [
        (one, auto.read(pk)["commands"]) for pk, one in zip(executions, closings, strict=True) if one.naked_seconds
    ]
    assert naked == []
    assert all(one.orders["TAKE_PROFIT"] == ["Filled"] and "CLOSE" not in one.orders for one in closings)
    assert auto.positions() == {}


def test_lone_stops_are_cancelled_first_and_each_is_sold_once(auto: Desk) -> None:
    executions = auto.held(LONE, with_target=False)

    closings = auto.flatten(executions)

    show(f"{LONE} lone stops", closings)
    assert [(one.bought, one.sold) for one in closings] == [(10, 10)] * LONE
    legs = {"ENTRY": ["Filled"], "STOP_LOSS": ["Cancelled"], "CLOSE": ["Filled"]}
    assert [one.orders for one in closings] == [legs] * LONE
    assert auto.positions() == {}


@pytest.mark.parametrize(
    ("joins", "closes"),
    [("linked", ["Filled"]), ("refused", ["Inactive", "Filled"]), ("not_linked", ["Filled"])],
)
def test_a_close_that_joins_sells_once_whatever_becomes_of_the_join(join: Desk, joins: str, closes: list[str]) -> None:
    join.broker.control.set_switch("oca_join", joins)
    executions = join.held(5, with_target=True)

    closings = join.flatten(executions)

    show(f"5 joined, {joins}", closings)
    assert [(one.bought, one.sold, one.orders["CLOSE"]) for one in closings] == [(10, 10, closes)] * 5
    assert [one.orders["STOP_LOSS"] + one.orders["TAKE_PROFIT"] for one in closings] == [["Cancelled"] * 2] * 5
    assert joins == "refused" or [one.naked_seconds for one in closings] == [0.0] * 5
    assert join.positions() == {}


def test_a_part_is_closed_and_the_rest_keeps_its_exits(auto: Desk) -> None:
    (execution_id,) = auto.held(1, with_target=True)
    path = f"/api/v1/executions/{execution_id}/close/"

    assert auto.stack.api.post(path, {"fraction": "0.45"}, Idempotency_Key=path).status == 202

    eventually(lambda: auto.read(execution_id)["open_quantity"] == "6", seconds_max=60)
    book = auto.broker.control.state()
    refs = {one["order_ref"]: one["leg"] for one in auto.read(execution_id)["brackets"][0]["orders"]}
    found = {
        refs[one["order_ref"]]: (one["quantity"], one["live"]) for one in book["orders"] if one["order_ref"] in refs
    }
    assert found == {
        "ENTRY": ("10", False),
        "TAKE_PROFIT": ("6", True),
        "STOP_LOSS": ("6", True),
        "CLOSE": ("4", False),
    }
    # At a limit that the market has reached, the rest goes by its target
    last = Decimal(book["prices"][SYMBOLS[0]])
    body = {"fraction": "1", "order_type": "LIMIT", "limit_price": f"{last * Decimal('0.99'):.2f}"}
    # A moment after the part was closed: that it is done is noted by the next look at it
    eventually(
        lambda: auto.stack.api.post(path, body, Idempotency_Key=f"{path} the rest").status == 202, seconds_max=10
    )
    eventually(lambda: auto.read(execution_id)["status"] == "CLOSED", seconds_max=60)
    assert auto.positions() == {}
