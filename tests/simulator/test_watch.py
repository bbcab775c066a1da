"""The live view: what it shows, and that it leaves the terminal as it was."""

import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ib_simulator.process import running_simulator
from ib_simulator.watch import ENTER, LEAVE, View, main, screen
from tests.simulator.joined import Table, limit, market

_PACKAGE_PARENT = Path(__file__).resolve().parents[2] / "backend"


@pytest.fixture
def table() -> Table:
    made = Table()
    client = made.connect(client_id=3)
    made.control("set_price", symbol="AAPL", price="200")
    client.place(market("BUY", 10))
    client.place(limit("BUY", 5, 150.25, orderRef="entry"))
    made.control("set_price", symbol="AAPL", price="203")
    return made


def test_it_shows_connections_positions_and_active_orders(table: Table) -> None:
    lines = screen(table.control("overview"), None, seconds=0, width=200, height=50)

    words = [line.split() for line in lines]
    assert ["1", "3", "178"] in words
    # 10 bought at 200.01 for a commission of 1.00.
    assert ["DU1234567", "AAPL", "10", "200.11", "203.00", "28.90"] in words
    assert ["3", "2", "BUY", "0/5", "AAPL", "LMT", "150.25", "Submitted", "entry"] in words
    assert "orders: 1 active of 2" in lines[1]


def test_it_counts_messages_per_second(table: Table) -> None:
    before = table.control("overview")
    client = table.connect(client_id=4)
    for _ in range(9):
        client.api.reqCurrentTime()
    now = table.control("overview")

    [line] = [line for line in screen(now, before, seconds=2, width=200, height=50) if "messages" in line]

    assert f"in 5/s ({now['received']})" in line  # startApi and nine questions in two seconds.
    assert now["sent"] - before["sent"] >= 9


def test_faults_are_shown(table: Table) -> None:
    table.control("pause_fills")

    assert screen(table.control("overview"), None, seconds=0, width=200, height=50)[0].endswith("FILLS PAUSED")


def test_it_stays_within_the_terminal(table: Table) -> None:
    lines = screen(table.control("overview"), None, seconds=0, width=20, height=3)

    assert (len(lines), max(len(line) for line in lines)) == (3, 20)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_restored_also_after_an_error() -> None:
    stream = Terminal()

    with pytest.raises(KeyError), View(stream) as view:
        view.draw({})

    shown = stream.getvalue()
    assert shown.startswith(ENTER)
    assert shown.endswith(LEAVE)


def test_a_file_gets_a_plain_block(table: Table) -> None:
    stream = io.StringIO()
    with View(stream) as view:
        view.draw(table.control("overview"))

    assert "\x1b" not in stream.getvalue()
    assert "AAPL" in stream.getvalue()


def test_it_attaches_to_a_running_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    with running_simulator(seed=7) as simulator:
        simulator.control.place_external(symbol="IBM", action="BUY", quantity=1)
        assert main(["--control-port", str(simulator.control_port), "--once"]) == 0
        assert "IBM" in capsys.readouterr().out
        gone = simulator.control_port
    assert main(["--control-port", str(gone), "--once"]) == 2
    assert f"port {gone}" in capsys.readouterr().err


def test_the_simulator_draws_on_its_own_terminal_and_leaves_it() -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "ib_simulator", "--port", "0", "--control-port", "0", "--watch"]
    with subprocess.Popen(command, cwd=_PACKAGE_PARENT, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ib_simulator listening ")
        shown = _read_until(master, b"orders: 0 active")
        process.terminate()
        shown += _read_until(master, LEAVE.encode())
        assert process.wait(10) == 0
    os.close(master)
    assert ENTER.encode() in shown


def _read_until(descriptor: int, wanted: bytes) -> bytes:
    give_up_at = time.monotonic() + 20
    seen = b""
    while wanted not in seen:
        assert time.monotonic() < give_up_at, seen
        seen += os.read(descriptor, 4096)
    return seen
