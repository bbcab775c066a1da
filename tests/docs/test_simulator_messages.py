"""The page of messages is the table, and the table is what the code serves."""

import subprocess
import sys
from pathlib import Path

from ib_simulator.dispatch import CANCELLERS, PLAIN
from ib_simulator.message_table import REDRAW, answer_rows, page, request_rows
from ib_simulator.messages.ids import Request
from ib_simulator.messages.requests import DECODERS
from tests.simulator.wire_answers import PLAIN_CASES
from tests.simulator.wire_orders import completed_order_answer, open_order_answer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "simulator_messages.md"


def test_the_page_is_drawn_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"Draw it again: {REDRAW}"


def test_the_command_on_the_page_draws_it() -> None:
    # Given the command that the page tells its reader to run
    assert f"\n{REDRAW}\n" in PAGE.read_text(encoding="utf-8")

    # When its part before the redirection is run
    program = [sys.executable, "-m", "ib_simulator.message_table"]
    run = subprocess.run(program, env={"PYTHONPATH": "backend"}, cwd=ROOT, capture_output=True, check=True, timeout=30)

    # Then it writes the page
    assert run.stdout.decode() == page()


def test_served_requests_are_those_that_are_decoded() -> None:
    served = {row.number for row in request_rows() if row.served}
    assert served == {int(kind) for kind in DECODERS} == {int(kind) for kind in Request}
    assert {int(kind) for kind in (*PLAIN, *CANCELLERS)} <= served


def test_served_answers_are_those_that_can_be_made_under_these_names() -> None:
    # Given every answer the simulator can make, at a version that knows them all
    answers = [case.answer for case in PLAIN_CASES] + [open_order_answer(0)[1], completed_order_answer(0)[1]]
    made = {(int(str(answer.fields(178)[0])), answer.name) for answer in answers}

    # Then the table calls exactly these served
    assert {(row.number, row.name) for row in answer_rows() if row.served} == made


def test_a_case_is_not_used_before_its_message_exists() -> None:
    since = {row.number: row.since or 0 for row in answer_rows()}
    early = [case.id for case in PLAIN_CASES if case.since < since[int(str(case.answer.fields(178)[0]))]]
    assert early == []
