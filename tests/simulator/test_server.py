"""The sockets in this process: what the server does with its listener, its transports and its end."""

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ib_async import IB

from ib_simulator import server as server_module
from ib_simulator.__main__ import EXIT_CANNOT_START, main, parse_arguments, run
from ib_simulator.client import SimulatorControl
from ib_simulator.clock import SystemClock
from ib_simulator.framing import PREAMBLE, frame
from ib_simulator.gateway import Gateway, GatewayConfig
from ib_simulator.server import Addresses, PortInUse, Server

ANY_PORTS = ["--port", "0", "--control-port", "0"]


async def start(*, tick_seconds: float = 0) -> tuple[Server, Addresses]:
    server = Server(Gateway(GatewayConfig(("DU1",), seed=1), clock=SystemClock()), tick_seconds=tick_seconds)
    return server, await server.start(Addresses("127.0.0.1", 0, 0))


class Line:
    """A control connection inside the loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, addresses: Addresses) -> "Line":
        return cls(*await asyncio.open_connection(addresses.host, addresses.control_port))

    async def send(self, cmd: str, **arguments: Any) -> dict[str, Any]:
        self._writer.write(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self._reader.readline())
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def test_a_client_connects_and_is_dropped() -> None:
    server, addresses = await start()
    line = await Line.open(addresses)
    ib = IB()
    await ib.connectAsync(addresses.host, addresses.port, clientId=1, raiseSyncErrors=True)
    gone = asyncio.Event()
    ib.disconnectedEvent += gone.set

    assert (await line.send("drop_connections"))["dropped"] == 1

    await asyncio.wait_for(gone.wait(), 5)
    await line.close()
    await server.stop()


async def test_the_listener_closes_and_opens_again_on_the_same_port() -> None:
    server, addresses = await start()
    line = await Line.open(addresses)

    for _ in range(2):
        await line.send("refuse_connections")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(addresses.host, addresses.port)
        await line.send("accept_connections")
        _reader, writer = await asyncio.open_connection(addresses.host, addresses.port)
        writer.close()
        await writer.wait_closed()

    await line.close()
    await server.stop()


async def test_the_market_ticks_and_commands_are_answered_meanwhile() -> None:
    server, addresses = await start(tick_seconds=0.001)
    line = await Line.open(addresses)
    first = (await line.send("state"))["prices"]

    async with asyncio.timeout(5):
        while (await line.send("state"))["prices"] == first:
            await asyncio.sleep(0.001)

    await line.close()
    await server.stop()


async def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "OUTPUT_BYTES_MAX", 100_000)
    questions_sent = 0
    server, addresses = await start()
    line = await Line.open(addresses)
    with socket.socket() as deaf:
        deaf.setblocking(False)
        # Small, so that the server's own buffer fills soon.
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, (addresses.host, addresses.port))
        await loop.sock_sendall(deaf, PREAMBLE + frame(b"v157..178") + frame(b"71\x002\x001\x00\x00"))
        question = frame(b"6\x002\x001\x00DU1\x00") * 100
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(60):
                while (await line.send("state"))["connections"] or not questions_sent:
                    await loop.sock_sendall(deaf, question)
                    questions_sent += 1

    assert 1 < questions_sent < 1000
    assert (await line.send("state"))["connections"] == []
    await line.close()
    await server.stop()


async def test_a_port_in_use_is_named_by_its_option() -> None:
    server, addresses = await start()

    for wanted, option in (
        (Addresses("127.0.0.1", addresses.port, 0), "(--port)"),
        (Addresses("127.0.0.1", 0, addresses.control_port), "(--control-port)"),
    ):
        other = Server(Gateway(GatewayConfig(("DU1",)), clock=SystemClock()), tick_seconds=0)
        with pytest.raises(PortInUse, match=option.replace("(", r"\(").replace(")", r"\)")):
            await other.start(wanted)

    await server.stop()


async def test_the_program_says_where_it_listens_and_ends_on_shutdown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = parse_arguments([*ANY_PORTS, "--seed", "7", "--state-dir", str(tmp_path)])
    program = asyncio.create_task(run(options))
    line = ""
    async with asyncio.timeout(5):
        while not line:
            await asyncio.sleep(0.005)
            line = capsys.readouterr().out

    words = dict(word.split("=") for word in line.split()[2:])
    assert line.startswith("ib_simulator listening host=127.0.0.1 port=")
    assert (words["accounts"], words["seed"]) == ("DU1234567", "7")
    await asyncio.to_thread(_say_everything, int(words["control_port"]))
    assert await asyncio.wait_for(program, 5) == 0


def _say_everything(port: int) -> None:
    """Every method of the Python client, once."""
    with SimulatorControl("127.0.0.1", port) as control:
        control.ping()
        control.set_price("AAPL", "190")
        control.pause_fills()
        order = control.place_external(symbol="AAPL", action="BUY", quantity=10, tif="GTC")
        assert control.fill(perm_id=order["perm_id"], quantity=4)["order"]["remaining"] == "6"
        control.cancel_order(perm_id=order["perm_id"], reason="enough")
        control.resume_fills()
        control.reject_next(code=201, text="no", symbol="AAPL")
        assert control.place_external(symbol="AAPL", action="BUY", quantity=1)["status"] == "Inactive"
        control.set_position(symbol="MSFT", quantity="3", average_cost="400")
        control.set_account_value(key="NetLiquidation", value="5")
        control.mute(["openOrder"])
        control.unmute(["openOrder"])
        control.hold_answers(client_id=1)
        control.release_answers()
        control.send_error(code=1100, text="lost")
        control.refuse_connections()
        control.accept_connections()
        control.roll_back_next_id(1)
        control.set_switch("cancel_sequence", "pending_first")
        control.release_price("AAPL")
        assert control.step(3)["AAPL"] != "190.00"
        assert control.drop_connections() == 0
        assert control.messages(limit=5) == []
        assert len(control.orders()) == 2
        assert control.state()["switches"]["cancel_sequence"] == "pending_first"
        control.shutdown()


def test_a_state_directory_that_cannot_be_used_is_a_clear_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    status = main([*ANY_PORTS, "--state-dir", str(tmp_path / "file")])

    assert status == EXIT_CANNOT_START
    assert "cannot use the state directory" in capsys.readouterr().err
