"""A stack whose broker is a simulator of the test's own, behind a proxy that the test can close between two orders."""

from collections.abc import Iterator

import pytest

from ib_simulator.process import running_simulator
from tests.broker_proxy import BrokerProxy
from tests.running_stack import running_stack
from tests.worker.desk import PRICE, Desk

ACCOUNT = "DU1234567"


@pytest.fixture(scope="package")
def started_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Start the processes once for all modules that break them: each test leaves them able to trade."""
    folder = tmp_path_factory.mktemp("desk")
    with (
        running_simulator(seed=7, accounts=[ACCOUNT], state_dir=folder / "book", tick_seconds=0) as broker,
        BrokerProxy(host=broker.host, port=broker.port) as wire,
    ):
        gateway = {"IB_HOST": "127.0.0.1", "IB_PORT": str(wire.port), "IB_ACCOUNT": ACCOUNT}
        # How quickly the next worker is there depends on the machine; what it may send must not.
        gateway |= {"MARKET_ENTRY_RETAKE_SECONDS": "0"}
        with running_stack(folder / "stack", environment=gateway) as stack:
            yield Desk(stack=stack, broker=broker, wire=wire)


@pytest.fixture
def desk(started_desk: Desk) -> Desk:
    """The desk in working order: connected, nothing held back, the price where every test begins."""
    control = started_desk.broker.control
    started_desk.wire.let_through()
    control.accept_connections()
    control.end_outage()
    control.release_answers()
    control.resume_fills()
    control.set_price("AAPL", PRICE)
    # What the checks judge by may be 30 s old; a test needs the price set here.
    started_desk.stack.execute("UPDATE market_instrument SET last_price_at = NULL")
    # The failures that the tests before this one caused on purpose would add up to an open circuit.
    started_desk.stack.execute("UPDATE accounts_brokerconnection SET failures = '[]'")
    started_desk.stack.wait_ready()
    return started_desk
