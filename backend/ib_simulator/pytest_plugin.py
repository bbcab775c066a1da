"""The fixture `ib_simulator` for anybody's tests: a running simulator with an empty book.

pytest_plugins = ["ib_simulator.pytest_plugin"]

def test_it_buys(ib_simulator):
    client.connect(ib_simulator.host, ib_simulator.port, clientId=1)

@pytest.mark.ib_simulator(seed=11, accounts=["DU1", "DU2"])
def test_two_accounts(ib_simulator): ...

A process is started when a test first asks for one with such options, and serves all later ones; `reset` makes it new
between tests. Options for all tests stand in the ini file.
"""

import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ib_simulator.process import SimulatorProcess, running_simulator

MARK = "ib_simulator"
OPTIONS = frozenset(inspect.signature(running_simulator).parameters)
_Options = tuple[tuple[str, Any], ...]


class _Processes:
    """The simulators of this run, by their options."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._running: dict[_Options, SimulatorProcess] = {}

    def fresh(self, options: _Options) -> SimulatorProcess:
        """Return a simulator with these options and an empty book."""
        if options not in self._running:
            self._running[options] = self._stack.enter_context(running_simulator(**dict(options)))
            return self._running[options]
        simulator = self._running[options]
        try:
            simulator.control.reset()
        except (ConnectionError, OSError):
            # A test ended it, or broke the control connection.
            simulator.restart(kill=True)
        return simulator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(MARK, "options of the simulator, one `name = value` a line", type="linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(**options): the options of the simulator that the test gets")


@pytest.fixture(scope="session")
def _ib_simulator_processes() -> Iterator[_Processes]:
    with ExitStack() as stack:
        yield _Processes(stack)


@pytest.fixture
def ib_simulator(request: pytest.FixtureRequest, _ib_simulator_processes: _Processes) -> SimulatorProcess:
    """A running simulator: `host`, `port`, `control`, `restart()`. Nobody is connected and nothing is held."""
    options = _ini_options(request.config.getini(MARK))
    for mark in reversed(list(request.node.iter_markers(MARK))):
        options |= mark.kwargs
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise pytest.UsageError(f"{MARK}: there is no option {', '.join(unknown)}: {', '.join(sorted(OPTIONS))}")
    return _ib_simulator_processes.fresh(_frozen(options))


def _ini_options(lines: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for line in lines:
        name, separator, value = (part.strip() for part in line.partition("="))
        if not separator:
            raise pytest.UsageError(f"{MARK}: {line!r} is not `name = value`")
        options[name] = _typed(name, value)
    return options


def _typed(name: str, value: str) -> Any:
    if name == "accounts":
        return tuple(value.split())
    if name in {"seed", "port", "control_port"}:
        return int(value)
    return float(value) if name in {"tick_seconds", "clock_speed"} else value


def _frozen(options: dict[str, Any]) -> _Options:
    return tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in sorted(options.items()))
