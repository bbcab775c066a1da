"""The page about the simulator names what is there, no more and no less."""

import re
from pathlib import Path

from ib_simulator.__main__ import parse_arguments
from ib_simulator.book_state import order_state
from ib_simulator.commands import COMMANDS
from ib_simulator.faults.scenario import SWITCHES
from tests.simulator.joined import Table, limit

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the table rows of a section, cells stripped."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_command_is_described() -> None:
    assert {row[0].strip("`") for row in rows("Control commands")} == set(COMMANDS)


def test_every_switch_is_described_with_its_values_default_first() -> None:
    described = {row[0].strip("`"): tuple(re.findall(r"`([a-z0-9_]+)`", row[1])) for row in rows("Switches")}
    assert described == SWITCHES


def test_every_option_is_described() -> None:
    options = {row[0].strip("`").removeprefix("--").replace("-", "_") for row in rows("Run it")}
    assert options == set(vars(parse_arguments([])))


def test_every_field_of_an_order_is_described() -> None:
    table = Table()
    table.connect().place(limit("BUY", 1, 150))
    [order] = table.gateway.book
    described = PAGE.split("An order of `state`:")[1].split("##")[0]
    assert [name for name in order_state(order) if f"`{name}`" not in described] == []
