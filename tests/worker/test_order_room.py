"""Where the broker takes no more orders on a side of a contract: no share is left without a stop, by real processes."""

from decimal import Decimal
from typing import Any

import pytest

from tests.eventually import eventually
from tests.worker.desk import Desk

pytestmark = pytest.mark.slow

TEN_TARGETS = [{"price": f"{70 + number}.00", "fraction": "0.09"} for number in range(10)]


@pytest.mark.case("T23")
def test_the_stop_that_finds_no_room_gets_the_place_of_a_target(desk: Desk) -> None:
    # Given a broker that works with 20 orders on a side
    control = desk.broker.control
    control.set_switch("active_orders_limit", "on")
    try:
        # When ten targets and eleven stops are asked for
        execution_id = desk.request(
            symbol="KO", stop_price="50.00", quantity="110", take_profits=TEN_TARGETS, entry_type="MARKET"
        )
        execution = desk.becomes(execution_id, "OPEN")

        def live() -> list[dict[str, Any]]:
            orders = [order for order in control.orders() if order["symbol"] == "KO" and order["action"] == "SELL"]
            return [order for order in orders if order["live"]]

        def every_share_has_a_stop() -> bool:
            stops = [order for order in live() if order["order_type"] == "STP"]
            return sum(Decimal(order["quantity"]) for order in stops) == Decimal(110)

        # Then each share has its stop, for which one target made room, and no stop was sent in vain but the first
        eventually(every_share_has_a_stop, seconds_max=45)
        targets = [order for order in live() if order["order_type"] == "LMT"]
        assert (len(targets), len(live())) == (9, 20)
        execution = desk.read(execution_id)
        orders = [order for bracket in execution["brackets"] for order in bracket["orders"]]
        refused = [order["leg"] for order in orders if order["status"] == "REJECTED"]
        assert refused == ["STOP_LOSS"]
        assert [order["leg"] for order in orders if order["leg"] == "PROTECT"] == ["PROTECT"]
    finally:
        control.set_switch("active_orders_limit", "off")
        control.set_price("KO", "49.00")
        desk.becomes(execution_id, "CLOSED")
        control.set_price("KO", "64.00")
