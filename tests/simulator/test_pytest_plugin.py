"""The fixture in a stranger's test suite, run by pytest itself in a process of its own."""

import subprocess
import sys
from pathlib import Path

_PACKAGE_PARENT = Path(__file__).resolve().parents[2] / "backend"

SUITE = """
import socket
import pytest

seen = []

def test_an_empty_book(ib_simulator):
    seen.append(ib_simulator.pid)
    assert ib_simulator.control.state()["orders"] == []
    socket.create_connection((ib_simulator.host, ib_simulator.port)).close()
    ib_simulator.control.place_external(symbol="AAPL", action="BUY", quantity=1)
    ib_simulator.control.set_switch("margin_check", "on")

def test_the_same_process_with_an_empty_book(ib_simulator):
    assert ib_simulator.pid == seen[0]
    state = ib_simulator.control.state()
    assert state["orders"] == []
    assert state["switches"]["margin_check"] == "off"
    assert (state["seed"], state["accounts"]) == (5, ["DU7", "DU8"])

@pytest.mark.ib_simulator(seed=11, accounts=["DU1"])
def test_options_by_mark(ib_simulator):
    assert ib_simulator.pid != seen[0]
    state = ib_simulator.control.state()
    assert (state["seed"], state["accounts"]) == (11, ["DU1"])

def test_one_that_ends_it(ib_simulator):
    ib_simulator.control.shutdown()

def test_after_it_was_ended(ib_simulator):
    assert ib_simulator.control.state()["orders"] == []

@pytest.mark.ib_simulator(sede=1)
def test_a_wrong_option(ib_simulator):
    pass
"""


def test_a_stranger_uses_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["ib_simulator.pytest_plugin"]\n')
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {_PACKAGE_PARENT}\naddopts = --strict-markers -W error\n"
        "ib_simulator =\n    seed = 5\n    accounts = DU7 DU8\n"
    )
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:django",
        "-p",
        "no:asyncio",
        ".",
    ]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert "5 passed, 1 error" in run.stdout, run.stdout + run.stderr
    assert "there is no option sede" in run.stdout
