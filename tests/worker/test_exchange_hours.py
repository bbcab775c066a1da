"""An exchange that closes, through the real processes: what does not work then is told, and what ends with its day."""

from collections.abc import Iterator

import pytest

from ib_simulator.process import running_simulator
from tests.broker_proxy import BrokerProxy
from tests.eventually import eventually
from tests.running_stack import running_stack
from tests.worker.conftest import ACCOUNT
from tests.worker.desk import PRICE, Desk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk at an exchange with the hours of US equities, a minute before its close on a Tuesday."""
    folder = tmp_path_factory.mktemp("hours")
    with (
        running_simulator(
            seed=7,
            accounts=[ACCOUNT],
            state_dir=folder / "book",
            tick_seconds=0,
            hours="us_equities",
            clock="2026-11-24T15:59:00-05:00",
            clock_speed=0,
        ) as broker,
        BrokerProxy(host=broker.host, port=broker.port) as wire,
    ):
        gateway = {"IB_HOST": "127.0.0.1", "IB_PORT": str(wire.port), "IB_ACCOUNT": ACCOUNT}
        with running_stack(folder / "stack", environment=gateway) as stack:
            broker.control.set_price("AAPL", PRICE)
            stack.wait_ready()
            yield Desk(stack=stack, broker=broker, wire=wire)


@pytest.mark.case("T19")
def test_a_day_order_ends_with_its_day(desk: Desk) -> None:
    execution_id = desk.working()
    desk.broker.control.set_clock("2026-11-24T16:00:01-05:00")
    desk.becomes(execution_id, "CANCELLED")

    # Nobody says why by itself: the completed orders are asked, and do
    eventually(lambda: desk.read(execution_id)["reason_code"] == "expired", seconds_max=30)
    assert desk.read(execution_id)["reason"] == "The entry was not filled, and expired with its day (DAY)."


@pytest.mark.case("T20")
def test_an_entry_that_is_filled_in_the_evening_is_told_to_have_no_stop_until_the_open(desk: Desk) -> None:
    # Given an entry that may fill in the evening, whose stop waits for the open even when it is triggered
    desk.broker.control.set_clock("2026-11-24T17:30:00-05:00")
    desk.broker.control.set_switch("stop_outside_rth", "waits_for_open")
    execution_id = desk.request(entry_type="LIMIT", entry_price="195.00", stop_price="180.00", outside_rth=True)
    desk.becomes(execution_id, "OPEN")
    # When the price runs through the stop
    desk.broker.control.set_price("AAPL", "179")
    # Then a person is told that no stop works
    waits = "its trigger was reached, and the broker still holds it: no stop works until"
    eventually(lambda: waits in desk.read(execution_id)["attention"], seconds_max=30)
