"""What somebody changes in TWS, through the real processes: the page and the API say where the orders are by now."""

from decimal import Decimal

import pytest

from tests.eventually import eventually
from tests.worker.desk import Desk

pytestmark = pytest.mark.slow


def test_a_stop_moved_in_tws_is_shown_where_it_is_and_stays_there(desk: Desk) -> None:
    execution_id = desk.held()
    desk.broker.control.modify_order(order_ref=desk.ref(execution_id, "STOP_LOSS"), stop_price="150")
    eventually(lambda: [Decimal(stop["stop_price"]) for stop in desk.legs(execution_id, "STOP_LOSS")] == [150])
    # And a stop that replaces it is there too
    desk.broker.control.cancel_order(order_ref=desk.ref(execution_id, "STOP_LOSS"))
    eventually(lambda: [Decimal(stop["stop_price"]) for stop in desk.live_stops(execution_id)] == [150])


def test_an_entry_made_smaller_in_tws_is_held_as_large_as_it_is(desk: Desk) -> None:
    execution_id = desk.working()
    desk.broker.control.modify_order(order_ref=desk.ref(execution_id, "ENTRY"), quantity=4)
    eventually(lambda: [Decimal(entry["quantity"]) for entry in desk.legs(execution_id, "ENTRY")] == [4])
    desk.broker.control.fill(order_ref=desk.ref(execution_id, "ENTRY"))
    desk.becomes(execution_id, "OPEN")
    execution = desk.agrees(execution_id)
    assert execution["attention"] == "ENTRY: the broker works 4 shares, not 10"
    assert [Decimal(stop["remaining"]) for stop in desk.live_stops(execution_id)] == [4]
