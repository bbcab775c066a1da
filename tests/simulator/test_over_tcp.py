"""The program itself: unmodified ib_async over TCP, restarts, signals, ports in use."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Order, Stock, StopOrder, Trade
from ib_async.wrapper import RequestError

from ib_simulator.client import ControlError, SimulatorControl
from ib_simulator.process import SimulatorNotReady, SimulatorProcess, running_simulator
from tests.eventually import eventually

AAPL = Stock("AAPL", "SMART", "USD")
# ib_async's own limit for each of the requests it sends at start.
CONNECT_SECONDS = 4.0
_PACKAGE_PARENT = Path(__file__).resolve().parents[2] / "backend"


@pytest.fixture(scope="module")
def shared() -> Iterator[SimulatorProcess]:
    with running_simulator(seed=7) as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: SimulatorProcess) -> SimulatorProcess:
    """One process for all tests that leave it in order; prices are pinned anew."""
    shared.control.set_price("AAPL", "190")
    return shared


@asynccontextmanager
async def connected(simulator: SimulatorProcess, *, client_id: int = 1, version: int = 178) -> AsyncIterator[IB]:
    ib = IB()
    ib.RaiseRequestErrors = True
    ib.client.MaxClientVersion = version
    await ib.connectAsync(
        simulator.host, simulator.port, clientId=client_id, timeout=CONNECT_SECONDS, raiseSyncErrors=True
    )
    try:
        yield ib
    finally:
        ib.disconnect()
        await until(lambda: client_id not in ids_connected(simulator))


def ids_connected(simulator: SimulatorProcess) -> list[int]:
    return [connection["client_id"] for connection in simulator.control.state()["connections"]]


async def until(look: Callable[[], Any], *, seconds_max: float = 5.0) -> Any:
    """Poll without stopping ib_async's loop."""
    give_up_at = time.monotonic() + seconds_max
    while not (value := look()):
        assert time.monotonic() < give_up_at, "it did not become true in time"
        await asyncio.sleep(0.005)
    return value


def place_bracket(ib: IB, *, entry: Order | None = None) -> tuple[Trade, Trade]:
    first = entry or MarketOrder("BUY", 10, tif="DAY", orderRef="entry")
    first.orderId, first.transmit = ib.client.getReqId(), False
    stop = StopOrder("SELL", 10, 185, tif="GTC", orderRef="stop", parentId=first.orderId)
    stop.orderId = ib.client.getReqId()
    return ib.placeOrder(AAPL, first), ib.placeOrder(AAPL, stop)


# --- ib_async ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [157, 163, 170, 176, 178])
async def test_connecting_synchronises_at_once(simulator: SimulatorProcess, version: int) -> None:
    started = time.monotonic()
    async with connected(simulator, version=version) as ib:
        assert time.monotonic() - started < CONNECT_SECONDS / 2
        assert (ib.client.serverVersion(), ib.managedAccounts()) == (version, ["DU1234567"])
        assert {value.tag for value in ib.accountValues()} >= {"NetLiquidation", "BuyingPower"}


async def test_a_bracket_goes_from_fill_to_stop_out(simulator: SimulatorProcess) -> None:
    async with connected(simulator) as ib:
        entry, stop = place_bracket(ib)
        await until(lambda: entry.fills and entry.fills[0].commissionReport.execId)
        await until(lambda: stop.orderStatus.whyHeld == "trigger")
        assert (entry.orderStatus.status, entry.orderStatus.avgFillPrice) == ("Filled", 190.01)
        assert stop.orderStatus.parentId == entry.order.orderId
        await until(lambda: [held.position for held in ib.positions()] == [10.0])

        simulator.control.set_price("AAPL", "184")

        await until(lambda: stop.orderStatus.status == "Filled")
        await until(lambda: not ib.positions())
        report = stop.fills[0].commissionReport
        assert report.realizedPNL == pytest.approx(-62.2)


async def test_orders_are_changed_cancelled_and_refused(simulator: SimulatorProcess) -> None:
    async with connected(simulator) as ib:
        trade = ib.placeOrder(AAPL, LimitOrder("BUY", 10, 150, tif="GTC"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        trade.order.lmtPrice = 151
        ib.placeOrder(AAPL, trade.order)
        await until(lambda: simulator.control.orders()[-1]["limit_price"] == "151")
        ib.cancelOrder(trade.order)
        await until(lambda: trade.orderStatus.status == "Cancelled")

        simulator.control.reject_next(code=201, text="Order rejected - reason:no margin")
        refused = ib.placeOrder(AAPL, MarketOrder("BUY", 10, tif="DAY"))
        await until(lambda: refused.orderStatus.status == "Inactive")
        assert "no margin" in refused.log[1].message


async def test_a_reconnect_finds_open_and_completed_orders_and_executions(simulator: SimulatorProcess) -> None:
    async with connected(simulator, client_id=11) as ib:
        entry, stop = place_bracket(ib)
        await until(lambda: stop.orderStatus.whyHeld == "trigger")
        perm_ids = (entry.order.permId, stop.order.permId)
        order_id = stop.order.orderId

    async with connected(simulator, client_id=11) as ib:
        [known] = ib.openTrades()
        assert (known.order.permId, known.order.orderRef, known.orderStatus.whyHeld) == (perm_ids[1], "stop", "trigger")
        assert perm_ids[0] in {fill.execution.permId for fill in ib.fills()}
        completed = await ib.reqCompletedOrdersAsync(False)
        assert perm_ids[0] in {trade.order.permId for trade in completed}
        assert ib.client.getReqId() > order_id
        ib.cancelOrder(known.order)
        await until(lambda: known.orderStatus.status == "Cancelled")


async def test_market_data_and_look_ups_are_answered(simulator: SimulatorProcess) -> None:
    async with connected(simulator) as ib:
        contract = Stock("AAPL", "SMART", "USD")
        await ib.qualifyContractsAsync(contract)
        assert contract.conId == 265598
        [ticker] = await ib.reqTickersAsync(contract)
        assert (ticker.bid, ticker.ask, ticker.last) == (189.99, 190.01, 190.0)
        bars = await ib.reqHistoricalDataAsync(AAPL, "", "2 D", "15 mins", "TRADES", useRTH=True)
        assert bars[-1].close == 190.0
        with pytest.raises(RequestError) as refusal:
            await ib.reqContractDetailsAsync(Stock("NOSUCH", "SMART", "USD"))
        assert refusal.value.code == 200
        assert [sample.contract.symbol for sample in await ib.reqMatchingSymbolsAsync("TSL") or []] == ["TSLA"]
        assert [rule.increment for rule in await ib.reqMarketRuleAsync(26) or []] == [0.01]
        assert await ib.reqCurrentTimeAsync()
        preview = await ib.whatIfOrderAsync(AAPL, MarketOrder("BUY", 10, tif="DAY"))
        assert float(preview.initMarginChange) > 0


async def test_a_busy_client_id_is_refused_with_326(simulator: SimulatorProcess) -> None:
    async with connected(simulator, client_id=5):
        second = IB()
        told: list[int] = []
        second.errorEvent += lambda _id, code, *_rest: told.append(code)
        with pytest.raises(TimeoutError):
            await second.connectAsync(simulator.host, simulator.port, clientId=5, timeout=0.5)
        assert told == [326]


async def test_a_dropped_connection_is_noticed_and_can_come_back(simulator: SimulatorProcess) -> None:
    ib = IB()
    gone: list[bool] = []
    ib.disconnectedEvent += lambda: gone.append(True)
    await ib.connectAsync(simulator.host, simulator.port, clientId=6)

    simulator.control.refuse_connections()
    assert simulator.control.drop_connections(client_id=6) == 1
    await until(lambda: gone)
    with pytest.raises(ConnectionRefusedError):
        await IB().connectAsync(simulator.host, simulator.port, clientId=6, timeout=1)

    simulator.control.accept_connections()
    async with connected(simulator, client_id=6) as again:
        assert again.isConnected()


async def test_what_was_on_the_wire_can_be_proved(simulator: SimulatorProcess) -> None:
    async with connected(simulator, client_id=8) as ib:
        entry, stop = place_bracket(ib)
        await until(lambda: stop.orderStatus.whyHeld == "trigger")
        ib.cancelOrder(stop.order)
        await until(lambda: stop.orderStatus.status == "Cancelled")

    sent = simulator.control.messages(client_id=8)
    orders = [message for message in sent if message["name"] in {"placeOrder", "cancelOrder"}]
    assert [message["fields"][1 if message["name"] == "placeOrder" else 2] for message in orders] == [
        str(entry.order.orderId),
        str(stop.order.orderId),
        str(stop.order.orderId),
    ]


# --- the control port ----------------------------------------------------------------------------------------


COMMAND = b'{"cmd":"set_price","symbol":"AAPL","price":"99.50"}\n'
HEAD = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:4102\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\n"
OTHER_LANGUAGES = {
    "http": HEAD + b"Content-Length: %d\r\n\r\n" % len(COMMAND) + COMMAND,
    "http chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n33\r\n" + COMMAND + b"\r\n0\r\n\r\n",
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + COMMAND,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n" + COMMAND,
    "gateway": b"API\0\x00\x00\x00\x09v157..178\n" + COMMAND,
    "smtp": b"EHLO evil.example\r\n" + COMMAND,
    "empty line": b"\r\n" + COMMAND,
    "list": b"[" + COMMAND[:-1] + b"]\n" + COMMAND,
    "text": b'"x"\n' + COMMAND,
    "number": b"7\n" + COMMAND,
    "half an object": b'{"cmd":\n' + COMMAND,
    "two objects": COMMAND[:-1] + COMMAND,
    "too long": b" " * 1_500_000 + COMMAND,
}


@pytest.mark.case("S29", "M11")
@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_who_speaks_another_language_commands_nothing(simulator: SimulatorProcess, language: str) -> None:
    answered = b""
    with (
        socket.create_connection((simulator.host, simulator.control_port), timeout=5) as raw,
        contextlib.suppress(ConnectionError),
    ):
        raw.sendall(OTHER_LANGUAGES[language])
        answered = b"".join(iter(lambda: raw.recv(65536), b""))  # Until the simulator hangs up.
    # What is left unread of a long line may reset the connection before its answer is read.
    codes = [json.loads(line)["code"] for line in answered.splitlines()]
    assert codes == ["bad_json"] or (codes == [] and language == "too long")
    assert simulator.control.state()["prices"]["AAPL"] != "99.50"


@pytest.mark.case("S29")
def test_what_came_before_the_other_language_is_carried_out(simulator: SimulatorProcess) -> None:
    with socket.create_connection((simulator.host, simulator.control_port), timeout=5) as raw:
        raw.sendall(b'{"cmd":"ping"}\n{"cmd":"no_such"}\n{"cmd":"ping"}\nGET / HTTP/1.1\r\n{"cmd":"ping"}\n')
        answers = [json.loads(line) for line in b"".join(iter(lambda: raw.recv(65536), b"")).splitlines()]
    assert [answer.get("code", "ok") for answer in answers] == ["ok", "unknown_command", "ok", "bad_json"]


@pytest.mark.case("S29")
@pytest.mark.parametrize("language", ["http", "http/2", "tls", "smtp", "two objects"])
def test_the_gateways_port_hangs_up_too(simulator: SimulatorProcess, language: str) -> None:
    with (
        socket.create_connection((simulator.host, simulator.port), timeout=5) as raw,
        contextlib.suppress(ConnectionError),
    ):
        raw.sendall(OTHER_LANGUAGES[language])
        assert raw.recv(1000) == b""


def test_a_command_without_a_line_end_is_still_carried_out(simulator: SimulatorProcess) -> None:
    with socket.create_connection((simulator.host, simulator.control_port), timeout=5) as raw:
        raw.sendall(b'{"cmd":"ping"}')
        raw.shutdown(socket.SHUT_WR)
        assert json.loads(raw.recv(1000)) == {"ok": True}


def test_the_client_raises_what_the_simulator_refuses(simulator: SimulatorProcess) -> None:
    with pytest.raises(ControlError) as refusal:
        simulator.control.fill(order_ref="never placed")
    assert refusal.value.code == "unknown_order"


def test_garbage_on_the_api_port_ends_only_that_connection(simulator: SimulatorProcess) -> None:
    with socket.create_connection((simulator.host, simulator.port), timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert raw.recv(100) == b""
    simulator.control.ping()


# --- the program ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [True, False])
async def test_the_book_outlives_the_process(tmp_path: Path, kill: bool) -> None:
    with running_simulator(state_dir=tmp_path) as simulator:
        simulator.control.set_price("AAPL", "190")
        async with connected(simulator) as ib:
            entry, stop = place_bracket(ib)
            await until(lambda: stop.orderStatus.whyHeld == "trigger")
            perm_id = stop.order.permId
        before = simulator.control.state()
        ports = (simulator.port, simulator.control_port)

        simulator.restart(kill=kill)

        after = simulator.control.state()
        assert (simulator.port, simulator.control_port) == ports
        for name in ("orders", "executions", "positions", "next_valid_ids", "prices"):
            assert after[name] == before[name]
        async with connected(simulator) as ib:
            assert [trade.order.permId for trade in ib.openTrades()] == [perm_id]
            assert [fill.execution.permId for fill in ib.fills()] == [entry.order.permId]
            assert [held.position for held in ib.positions()] == [10.0]


def test_the_market_moves_by_itself() -> None:
    with running_simulator(tick_seconds=0.01) as simulator:
        first = simulator.control.state()["prices"]
        assert eventually(lambda: simulator.control.state()["prices"] != first)


@pytest.mark.parametrize("option", ["--port", "--control-port"])
def test_a_port_in_use_is_named_and_ends_with_status_2(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "ib_simulator", "--port", "0", "--control-port", "0", option, str(port)]
        ended = subprocess.run(command, capture_output=True, timeout=20, cwd=_PACKAGE_PARENT, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"port {port} ({option})" in ended.stderr


@pytest.mark.parametrize(
    "arguments", [["--seed", "-1"], ["--account", "DU1", "--account", "DU1"], ["--account", "A,B"], ["--port", "x"]]
)
def test_wrong_options_end_with_status_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "ib_simulator", *arguments]
    ended = subprocess.run(command, capture_output=True, timeout=20, cwd=_PACKAGE_PARENT, text=True)
    assert ended.returncode == 2


def test_it_stops_promptly_with_status_0_even_with_clients_connected() -> None:
    with running_simulator() as simulator, socket.create_connection((simulator.host, simulator.port)):
        simulator.control.ping()
        started = time.monotonic()
        assert simulator.stop() == 0
        assert time.monotonic() - started < 3
        assert "Traceback" not in simulator.errors()


def test_shutdown_ends_it() -> None:
    with running_simulator() as simulator:
        simulator.control.shutdown()
        with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as it happens.
            eventually(lambda: SimulatorControl(simulator.host, simulator.control_port).close())


def test_a_directory_in_use_is_not_shared(tmp_path: Path) -> None:
    with (
        running_simulator(state_dir=tmp_path),
        pytest.raises(SimulatorNotReady, match="in use by another simulator"),
        running_simulator(state_dir=tmp_path),
    ):
        pass
