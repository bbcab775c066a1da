"""A long answer, as a busy account gives it: what is sent does not wait until all of it was read."""

import asyncio
from itertools import pairwise

import pytest

from app.brokers.ib import wire
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import BrokerDesk

pytestmark = [pytest.mark.simulator_only, pytest.mark.case("T33")]

ORDERS = 300
# An open order is told in some 500 bytes, and its state in 100.
MESSAGE_BYTES_MIN = 60


async def test_a_long_answer_is_read_little_by_little(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given many orders of others
    for _ in range(ORDERS):
        simulator.control.place_external(symbol="KO", action="BUY", quantity=1, order_type="LMT", limit_price="1.00")
    heard = [0]

    async def watch() -> None:
        while True:
            heard.append(len(desk.heard.events))
            await asyncio.sleep(0)

    # When all of them are asked for
    watching = asyncio.ensure_future(watch())
    answer = await desk.broker.open_orders()
    watching.cancel()
    # Then others had their turn between the messages of the answer
    assert len(answer) == ORDERS
    assert max(after - before for before, after in pairwise(heard)) <= wire.READ_BYTES_MAX / MESSAGE_BYTES_MIN
