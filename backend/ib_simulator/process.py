"""Run the simulator as a process of its own, for anybody's tests.

with running_simulator(seed=7, accounts=["DU1234567"]) as sim:
    client.connect(sim.host, sim.port, clientId=1)
    sim.control.set_price("AAPL", "189.50")
"""

import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from ib_simulator.client import SimulatorControl

READY_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 5.0
_READY = re.compile(r"ib_simulator listening host=(\S+) port=(\d+) control_port=(\d+) ")
_PACKAGE_PARENT = Path(__file__).resolve().parent.parent


class SimulatorNotReady(RuntimeError):
    """The process ended or stayed silent instead of listening; the message holds what it wrote to stderr."""


class SimulatorProcess:
    """One simulator process. `host`, `port` and `control_port` stay the same over restarts."""

    def __init__(
        self,
        *,
        seed: int = 7,
        accounts: Sequence[str] = ("DU1234567",),
        state_dir: Path | str | None = None,
        tick_seconds: float = 0.0,
        clock: datetime | str | None = None,
        clock_speed: float = 1.0,
        hours: str = "always",
        prices: str = "walk",
        scenario: Path | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
    ) -> None:
        self.seed = seed
        self.accounts = tuple(accounts)
        self.state_dir = None if state_dir is None else Path(state_dir)
        self.tick_seconds = tick_seconds
        self.clock = clock.isoformat() if isinstance(clock, datetime) else clock
        self.clock_speed = clock_speed
        self.hours = hours
        self.prices = prices
        self.scenario = None if scenario is None else Path(scenario)
        self.host = host
        self.port = port
        self.control_port = control_port
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close().
        self._control: SimulatorControl | None = None

    @property
    def control(self) -> SimulatorControl:
        """The control connection, opened at first use and again after a restart."""
        if self._control is None:
            self._control = SimulatorControl(self.host, self.control_port)
        return self._control

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start and wait until it listens. Raises SimulatorNotReady."""
        environment = dict(os.environ)
        paths = [str(_PACKAGE_PARENT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self._process = subprocess.Popen(
            self._command(), stdout=subprocess.PIPE, stderr=self._errors, env=environment, start_new_session=True
        )
        match = _READY.match(self._first_line())
        if match is None:
            self.kill()
            raise SimulatorNotReady(f"the simulator did not start:\n{self.errors()}")
        self.host, self.port, self.control_port = match[1], int(match[2]), int(match[3])

    def stop(self) -> int:
        """End it as a person would (SIGTERM) and return its exit status; -9 when it had to be killed."""
        process = self._running()
        self._forget_control()
        process.terminate()
        try:
            status = process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self._forget_process()
        return status

    def kill(self) -> None:
        """End it without a warning (SIGKILL)."""
        process = self._running()
        self._forget_control()
        process.kill()
        process.wait()
        self._forget_process()

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill -9) and start again on the same ports; with a state_dir the book is still there."""
        if self._process is not None:
            if kill:
                self.kill()
            else:
                self.stop()
        self.start()

    def close(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self.stop()
        self._errors.close()

    def errors(self) -> str:
        """Return what it wrote to stderr so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "ib_simulator", "--host", self.host, "--port", str(self.port)]
        command += ["--control-port", str(self.control_port), "--seed", str(self.seed)]
        command += ["--tick-seconds", str(self.tick_seconds)]
        for account in self.accounts:
            command += ["--account", account]
        command += ["--clock-speed", str(self.clock_speed), "--hours", self.hours, "--prices", self.prices]
        if self.clock is not None:
            command += ["--clock", self.clock]
        if self.state_dir is not None:
            command += ["--state-dir", str(self.state_dir)]
        if self.scenario is not None:
            command += ["--scenario", str(self.scenario)]
        return command

    def _first_line(self) -> str:
        output = self._running().stdout
        if output is None:
            raise SimulatorNotReady("the simulator has no output")
        deadline = time.monotonic() + READY_SECONDS_MAX
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    break
                chunk = os.read(output.fileno(), 4096)
                if not chunk:
                    break
                line += chunk
        return line.decode(errors="replace")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SimulatorNotReady("the simulator is not running")
        return self._process

    def _forget_process(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def _forget_control(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None


@contextmanager
def running_simulator(
    *,
    seed: int = 7,
    accounts: Sequence[str] = ("DU1234567",),
    state_dir: Path | str | None = None,
    tick_seconds: float = 0.0,
    clock: datetime | str | None = None,
    clock_speed: float = 1.0,
    hours: str = "always",
    prices: str = "walk",
    scenario: Path | str | None = None,
    port: int = 0,
    control_port: int = 0,
) -> Iterator[SimulatorProcess]:
    """Start a simulator on free ports, give it to the block, end it; the arguments are those of the command line.

    Raises SimulatorNotReady.
    """
    simulator = SimulatorProcess(
        seed=seed,
        accounts=accounts,
        state_dir=state_dir,
        tick_seconds=tick_seconds,
        clock=clock,
        clock_speed=clock_speed,
        hours=hours,
        prices=prices,
        scenario=scenario,
        port=port,
        control_port=control_port,
    )
    try:
        simulator.start()
        yield simulator
    finally:
        simulator.close()
