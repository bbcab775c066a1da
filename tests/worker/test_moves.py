"""A stop is moved through the real processes: proved by the broker's echo, and told where it stays."""

import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.eventually import eventually
from tests.worker.desk import Desk

pytestmark = pytest.mark.slow


def move(desk: Desk, execution_id: int, price: str, *, expected: str) -> dict[str, Any]:
    body = {"price": price, "expected_price": expected}
    path = f"/api/v1/executions/{execution_id}/stop/"
    answer = desk.stack.api.send("PATCH", path, body, Idempotency_Key=str(uuid.uuid4()))
    assert answer.status == 202, answer
    (command,) = answer.body["commands"]
    return dict(command)


def outcome(desk: Desk, execution_id: int, command: dict[str, Any]) -> str:
    """Wait until the command is settled; say by what."""

    def settled() -> str:
        (now,) = [one for one in desk.read(execution_id)["commands"] if one["id"] == command["id"]]
        how: str = now["settled_how"]
        assert how
        return how

    return eventually(settled, seconds_max=45)


def stop_at(desk: Desk, execution_id: int) -> Decimal:
    """Return the price of the one stop in the broker's own book."""
    ref = desk.ref(execution_id, "STOP_LOSS")
    (stop,) = [order for order in desk.placed(execution_id) if order["order_ref"] == ref]
    return Decimal(stop["stop_price"])


@pytest.mark.parametrize("phase", ["held", "working"])
def test_a_stop_is_moved_at_the_broker(desk: Desk, phase: str) -> None:
    execution_id = desk.held() if phase == "held" else desk.working()
    command = move(desk, execution_id, "105.00", expected="100.00")
    assert outcome(desk, execution_id, command) == "echoed"
    assert stop_at(desk, execution_id) == 105
    assert desk.legs(execution_id, "STOP_LOSS")[0]["stop_price"] == "105.00"
    desk.agrees(execution_id)
    if phase == "working":  # It is its entry's child as before: filled, that wakes it.
        desk.broker.control.set_price("AAPL", "179")
        desk.becomes(execution_id, "OPEN")
        eventually(
            lambda: [Decimal(stop["stop_price"]) for stop in desk.live_stops(execution_id)] == [105], seconds_max=45
        )


@pytest.mark.parametrize("code", [10326, 10327, 201])
def test_a_refused_move_leaves_the_stop_where_it_was(desk: Desk, code: int) -> None:
    execution_id = desk.held()
    desk.broker.control.reject_next(code=code, symbol="AAPL", order_type="STP", on="change")
    command = move(desk, execution_id, "105.00", expected="100.00")
    assert outcome(desk, execution_id, command) == f"refused_{code}"
    assert stop_at(desk, execution_id) == 100
    assert "it stays at 100.00" in desk.read(execution_id)["attention"]
    desk.agrees(execution_id)


def test_a_stop_moved_by_hand_in_tws_stays_where_it_is(desk: Desk) -> None:
    execution_id = desk.held()
    desk.broker.control.modify_order(order_ref=desk.ref(execution_id, "STOP_LOSS"), stop_price="110.00")
    eventually(lambda: desk.legs(execution_id, "STOP_LOSS")[0]["stop_price"] == "110.00", seconds_max=45)
    body = {"price": "105.00", "expected_price": "100.00"}
    path = f"/api/v1/executions/{execution_id}/stop/"
    refused = desk.stack.api.send("PATCH", path, body, Idempotency_Key=str(uuid.uuid4()))
    assert (refused.status, refused.body["code"]) == (409, "price_changed")
    assert stop_at(desk, execution_id) == 110
