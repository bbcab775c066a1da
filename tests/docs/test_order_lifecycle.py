"""The docs' picture of the order life cycle is the table, not a memory of it."""

import re
import subprocess
import sys
from pathlib import Path

from app.domain.order_diagram import order_diagram, order_lifecycle_page, order_table
from app.domain.order_status import LIVE, TRANSITIONS, OrderEvent, OrderStatus

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "order_lifecycle.md"
REDRAW = "PYTHONPATH=backend .venv/bin/python -m app.domain.order_diagram > docs/order_lifecycle.md"
AT_BROKER = [status for status in OrderStatus if status in LIVE | {OrderStatus.INACTIVE}]


def test_the_page_is_drawn_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == order_lifecycle_page(), f"Draw it again: {REDRAW}"


def test_the_command_on_the_page_draws_it() -> None:
    # Given the command that the page tells its reader to run
    assert f"\n{REDRAW}\n" in PAGE.read_text(encoding="utf-8")

    # When its part before the redirection is run
    program = [sys.executable, "-m", "app.domain.order_diagram"]
    run = subprocess.run(program, env={"PYTHONPATH": "backend"}, cwd=ROOT, capture_output=True, check=True, timeout=30)

    # Then it writes the page
    assert run.stdout.decode() == order_lifecycle_page()


def test_the_diagram_shows_every_unflagged_move_and_no_other() -> None:
    # Given the lines of the diagram, those from the box read as one from each status in it
    drawn = set()
    for start, end, events in re.findall(r"^ *(\w+) --> (\w+) : (.+)$", order_diagram(), flags=re.MULTILINE):
        starts = AT_BROKER if start == "AT_BROKER" else [OrderStatus(start)]
        drawn |= {(each, OrderEvent(event), OrderStatus(end)) for each in starts for event in events.split(", ")}

    # Then they are the moves of the table that need no person
    assert drawn == {
        (status, event, result.status)
        for (status, event), result in TRANSITIONS.items()
        if result.status is not status and not result.flag
    }


def test_the_drawn_table_shows_every_cell() -> None:
    # Given the drawn table, read back
    header, _, *rows = [[cell.strip(" *`") for cell in line.split("|")[1:-1]] for line in order_table().splitlines()]
    drawn = {
        (OrderStatus(row[0]), OrderEvent(event)): cell
        for row in rows
        for event, cell in zip(header[1:], row[1:], strict=True)
    }

    # Then every cell says what the table does
    assert set(drawn) == set(TRANSITIONS)
    for (status, event), result in TRANSITIONS.items():
        cell = drawn[status, event]
        assert ("⚑" in cell) is result.flag, (status, event)
        assert ("late" in cell) is result.late, (status, event)
        assert (f"→ {result.status}" in cell) is (result.status is not status), (status, event)
