"""Four client libraries go the same tour through a simulator of their own and must see the same."""

import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from ib_simulator.process import SimulatorProcess, running_simulator
from tests.clients.environments import LIBRARIES, OWN_LIBRARY, ROOT, python_of
from tests.clients.expected import EXPECTED, SERVER_VERSIONS, compare

TOUR_SECONDS_MAX = 90
SEED = 7
# A Wednesday afternoon in New York, so that every run looks back on the same days.
CLOCK = "2026-01-07T15:00:00-05:00"
EVERY_LIBRARY = [
    pytest.param(library, id=library, marks=[] if library == OWN_LIBRARY else [pytest.mark.clients])
    for library in LIBRARIES
]


@dataclass(frozen=True)
class Seen:
    """What one library saw, by step, and what it wrote when it could not go on."""

    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: str = ""


def go(library: str, simulator: SimulatorProcess) -> Seen:
    """Let the library make the tour in a process of its own."""
    address = [simulator.host, str(simulator.port), str(simulator.control_port)]
    command = [str(python_of(library)), "-m", "tests.clients.tours", library, *address]
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TOUR_SECONDS_MAX
        )
    except subprocess.TimeoutExpired as error:
        written = error.stdout or b""
        return Seen(steps=_steps(written.decode()), failure=f"no end within {TOUR_SECONDS_MAX} s")
    failure = "" if ended.returncode == 0 else ended.stderr or f"status {ended.returncode}"
    return Seen(steps=_steps(ended.stdout), failure=failure)


def _steps(written: str) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in written.splitlines() if line.endswith("}")]
    return {line["step"]: line["facts"] for line in lines}


@cache
def tour(library: str) -> Seen:
    """Make the tour once for all tests that look at it."""
    with running_simulator(seed=SEED, clock=CLOCK) as simulator:
        return go(library, simulator)


@pytest.mark.parametrize("library", EVERY_LIBRARY)
class TestTour:
    """Given a calm simulator and a client library that has made its tour, the steps are as expected."""

    def test_it_comes_to_its_end(self, library: str) -> None:
        seen = tour(library)
        assert seen.failure == ""
        assert list(seen.steps) == list(EXPECTED)

    def test_it_settles_on_the_highest_version_both_speak(self, library: str) -> None:
        assert tour(library).steps["connect"]["server_version"] == SERVER_VERSIONS[library]

    @pytest.mark.parametrize("step", EXPECTED)
    def test_it_sees_what_everybody_sees(self, library: str, step: str) -> None:
        seen = tour(library)
        assert step in seen.steps, seen.failure
        assert list(compare(EXPECTED[step], seen.steps[step], path=step)) == []

    def test_the_children_name_their_parent(self, library: str) -> None:
        held = tour(library).steps["bracket held"]
        assert held["target"]["parentId"] == held["stop"]["parentId"] == held["entry"]["orderId"]

    def test_an_order_is_the_same_after_coming_back(self, library: str) -> None:
        came_back = tour(library).steps["reconnect"]
        [order] = came_back["open"]
        assert (order["orderId"], order["permId"]) == (came_back["before"]["orderId"], came_back["before"]["permId"])
        assert came_back["next_id"] > order["orderId"]

    def test_executions_name_their_orders(self, library: str) -> None:
        told = tour(library).steps["executions"]
        assert [row["orderId"] for row in told["executions"]] == [told["entry"], told["stop"]]

    def test_bars_are_bars(self, library: str) -> None:
        bars = tour(library).steps["bars"]
        for bar in bars["days"] + bars["hours"]:
            assert bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
        assert len({bar["date"] for bar in bars["hours"]}) == len(bars["hours"])

    def test_the_option_found_is_the_one_asked_for(self, library: str) -> None:
        found = tour(library).steps["option contract"]
        names = ("symbol", "lastTradeDateOrContractMonth", "strike", "right", "multiplier")
        assert {name: found[name] for name in names} == {name: found["asked"][name] for name in names}
        quote = tour(library).steps["option quote"]
        assert quote["bid"] <= quote["greeks"]["optPrice"] <= quote["ask"]


def test_the_tour_is_the_same_on_a_bad_line() -> None:
    """Given bytes that come late, in pieces, and callbacks that come twice, it sees the same."""
    with running_simulator(seed=SEED, clock=CLOCK) as simulator:
        simulator.control.set_line(delay_ms=3, jitter_ms=5, piece_min=1, piece_max=700)
        simulator.control.duplicate(["orderStatus", "openOrder"])

        seen = go(OWN_LIBRARY, simulator)

    assert seen.failure == ""
    differences = [line for step in EXPECTED for line in compare(EXPECTED[step], seen.steps.get(step), path=step)]
    assert differences == []
