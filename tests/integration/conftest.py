"""The peer of these tests: the simulator, or the Gateway that IB_HOST names.

Against a Gateway only harmless steps are run (a limit entry far from the market, cancelled at once), only on a paper
account whatever the environment says, and what needs the simulator is deselected.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from app.brokers.ib import IBSettings
from ib_simulator.process import SimulatorProcess, running_simulator
from tests.integration.broker_desk import BrokerDesk, simulator_settings

ACCOUNT = "DU1234567"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "simulator_only: needs the simulator's controls; left out when IB_HOST is set")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not os.environ.get("IB_HOST"):
        return
    left_out = [item for item in items if item.get_closest_marker("simulator_only")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    """A simulator of this test's own: the same seed, an empty book, prices that stand still."""
    with running_simulator(seed=7, accounts=[ACCOUNT], tick_seconds=0) as running:
        yield running


@pytest.fixture
def broker_settings(request: pytest.FixtureRequest) -> IBSettings:
    """How to reach the peer."""
    if os.environ.get("IB_HOST"):
        return replace(IBSettings.from_environment(), trading_mode="paper")
    return simulator_settings(request.getfixturevalue("simulator"))


@pytest.fixture
def data_settings(request: pytest.FixtureRequest) -> IBSettings:
    """The same for market data, which has a client id of its own."""
    if os.environ.get("IB_HOST"):
        settings = IBSettings.from_environment(client_id_variable="IB_DATA_CLIENT_ID")
        return replace(settings, trading_mode="paper", request_timeout_seconds=30)
    return replace(simulator_settings(request.getfixturevalue("simulator")), client_id=2)


@pytest.fixture
async def desk(broker_settings: IBSettings) -> AsyncIterator[BrokerDesk]:
    """A connected broker and everything it told."""
    async with BrokerDesk(broker_settings) as connected:
        yield connected


@pytest.fixture
async def impatient_desk(broker_settings: IBSettings) -> AsyncIterator[BrokerDesk]:
    """A connected broker that waits for an answer for a second only."""
    async with BrokerDesk(replace(broker_settings, request_timeout_seconds=1)) as connected:
        yield connected
