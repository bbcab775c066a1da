"""Faults where only sockets can show them: small segments, half-open connections, back pressure, a port that closes."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ib_async import LimitOrder

from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.process import SimulatorProcess, running_simulator
from ib_simulator.server import CONTROLS_MAX
from tests.eventually import eventually
from tests.simulator.test_over_tcp import AAPL, connected, place_bracket, until

TIME_REQUEST = frame(b"49\x001\x00")
SECONDS_MAX = 10.0


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatorProcess]:
    with running_simulator(seed=7) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: SimulatorProcess) -> Iterator[SimulatorProcess]:
    shared.control.set_price("AAPL", "190")
    yield shared
    shared.control.clear_faults()
    shared.control.drop_connections()


@contextlib.contextmanager
def raw_client(simulator: SimulatorProcess, *, client_id: int = 1) -> Iterator[socket.socket]:
    """Connect, shake hands, start, and read the greeting up to its last notice."""
    with socket.create_connection((simulator.host, simulator.port), timeout=SECONDS_MAX) as client:
        client.sendall(PREAMBLE + frame(b"v157..178") + frame(f"71\x002\x00{client_id}\x00\x00".encode()))
        read_until(client, b"2158")
        yield client


def read_until(client: socket.socket, end: bytes) -> bytes:
    found = b""
    while end not in found:
        data = client.recv(65536)
        assert data, "the connection ended"
        found += data
    return found


async def test_ib_async_connects_and_trades_over_a_line_that_cuts_everything(simulator: SimulatorProcess) -> None:
    simulator.control.set_line(piece_min=1, piece_max=3, jitter_ms=5)
    async with connected(simulator) as ib:
        entry, stop = place_bracket(ib)
        await until(lambda: entry.fills and entry.fills[0].commissionReport.execId)
        await until(lambda: stop.orderStatus.whyHeld == "trigger")
        ib.cancelOrder(stop.order)
        await until(lambda: stop.orderStatus.status == "Cancelled")


async def test_fills_of_an_outage_come_back_with_req_executions(simulator: SimulatorProcess) -> None:
    async with connected(simulator) as ib:
        told: list[int] = []
        ib.errorEvent += lambda _id, code, *_more: told.append(code)
        trade = ib.placeOrder(AAPL, LimitOrder("BUY", 10, 150, tif="GTC", orderRef="missed"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        simulator.control.outage()
        simulator.control.fill(order_ref="missed", price="150")
        simulator.control.end_outage(restored=1102)
        await until(lambda: 1102 in told)
        assert (trade.orderStatus.status, trade.fills) == ("Submitted", [])

        await ib.reqExecutionsAsync()

        assert [fill.execution.shares for fill in trade.fills] == [10]


def test_a_half_open_connection_is_silent_and_stops_the_sender(simulator: SimulatorProcess) -> None:
    with raw_client(simulator) as client:
        simulator.control.freeze(client_id=1)
        client.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 100_000_000:
                sent += client.send(TIME_REQUEST * 1000)
        assert sent < 100_000_000, "nobody holds the sender back"
        with pytest.raises(BlockingIOError):
            client.recv(1)

        simulator.control.thaw(client_id=1)

        client.settimeout(SECONDS_MAX)
        assert read_until(client, b"49\x001\x00")


def test_a_frozen_client_keeps_its_id_busy(simulator: SimulatorProcess) -> None:
    with raw_client(simulator) as client:
        simulator.control.freeze(client_id=1)
        client.close()
        with socket.create_connection((simulator.host, simulator.port), timeout=SECONDS_MAX) as again:
            again.sendall(PREAMBLE + frame(b"v157..178") + frame(b"71\x002\x001\x00\x00"))
            assert b"326" in read_until(again, b"326")


def test_a_connection_that_is_closed_at_once(simulator: SimulatorProcess) -> None:
    simulator.control.fail_connect("close_at_once")
    address = (simulator.host, simulator.port)
    with socket.create_connection(address, timeout=SECONDS_MAX) as client, contextlib.suppress(ConnectionError):
        assert client.recv(1) == b""
    with raw_client(simulator):
        pass


def test_a_restarted_gateway_listens_again_by_itself(simulator: SimulatorProcess) -> None:
    with raw_client(simulator) as client:
        assert simulator.control.restart_gateway(seconds=0.2) == 1
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b""
    assert eventually(lambda: can_connect(simulator))
    with raw_client(simulator):
        pass


def test_a_message_that_breaks_the_connection(simulator: SimulatorProcess) -> None:
    simulator.control.drop_on("reqCurrentTime", when="unanswered", client_id=1)
    with raw_client(simulator) as client:
        client.sendall(TIME_REQUEST)
        assert client.recv(1) == b""


def can_connect(simulator: SimulatorProcess) -> bool:
    try:
        socket.create_connection((simulator.host, simulator.port), timeout=SECONDS_MAX).close()
    except ConnectionRefusedError:
        return False
    return True


def test_too_many_control_connections_are_told_so_and_disturb_nobody(simulator: SimulatorProcess) -> None:
    address = (simulator.host, simulator.control_port)
    simulator.control.ping()
    with contextlib.ExitStack() as stack, raw_client(simulator) as client:
        for _ in range(CONTROLS_MAX):
            one = stack.enter_context(socket.create_connection(address, timeout=SECONDS_MAX))
        answer = json.loads(one.makefile("rb").readline())
        assert answer["code"] == "too_many_connections"
        client.sendall(TIME_REQUEST)
        assert read_until(client, b"49\x001\x00")
        simulator.control.ping()


def test_a_scenario_file_is_played(tmp_path: Path) -> None:
    path = tmp_path / "drop.toml"
    path.write_text('[[step]]\nafter = "reqCurrentTime"\ndo = { cmd = "drop_connections" }\n')
    with running_simulator(scenario=path) as simulator, raw_client(simulator) as client:
        client.sendall(TIME_REQUEST)
        assert b"49\x001\x00" in read_until(client, b"49\x001\x00")
        assert client.recv(1) == b""
