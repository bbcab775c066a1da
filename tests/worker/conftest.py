"""A stack whose broker is a simulator of the test's own, behind a proxy that the test can close between two orders."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ib_simulator.process import SimulatorProcess, running_simulator
from tests.broker_proxy import BrokerProxy
from tests.running_stack import RunningStack, running_stack

ACCOUNT = "DU1234567"


@dataclass(frozen=True)
class Desk:
    """The running stack, the broker it trades at, and the wire between them."""

    stack: RunningStack
    broker: SimulatorProcess
    wire: BrokerProxy


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    with (
        running_simulator(seed=7, accounts=[ACCOUNT], state_dir=folder / "book", tick_seconds=0) as broker,
        BrokerProxy(host=broker.host, port=broker.port) as wire,
    ):
        gateway = {"IB_HOST": "127.0.0.1", "IB_PORT": str(wire.port), "IB_ACCOUNT": ACCOUNT}
        with running_stack(folder / "stack", environment=gateway) as stack:
            yield Desk(stack=stack, broker=broker, wire=wire)
