"""The official decoders, 9.81 and 10.46, must show every value of every answer where ib_async's does."""

import json
import os
import subprocess
from functools import cache
from typing import Any

import pytest

from ib_simulator.fields import decode_fields
from ib_simulator.messages.answer import Answer
from tests.clients.environments import ROOT, python_of
from tests.simulator.wire_answers import PLAIN_CASES
from tests.simulator.wire_case import VERSIONS
from tests.simulator.wire_compare import differences
from tests.simulator.wire_orders import (
    FLAG_ROUNDS,
    completed_order_answer,
    completed_order_paths,
    open_order_answer,
    open_order_paths,
)

pytestmark = pytest.mark.clients
DECODING_SECONDS_MAX = 60
# The versions a library can speak: 9.81 ends at 157, 10.46 knows them all.
SPOKEN = {"ibapi": (157,), "nautilus_ibapi": VERSIONS}
# What a library has dropped, does not keep, or calls only where it is set.
DROPPED = {
    "ibapi": {"contractDetails.stockType", "order.isOmsContainer"},
    "nautilus_ibapi": {"order.eTradeOnly", "order.firmQuoteOnly", "order.nbboPriceCap", "order.faProfile"},
}
NUMBERS = [(library, version) for library, versions in SPOKEN.items() for version in versions]


def all_answers(version: int) -> dict[str, tuple[Answer, dict[str, Any]]]:
    """Return every answer with what must be told of it, by a name."""
    found = {case.id: (case.answer, case.expected(version)) for case in PLAIN_CASES if case.since <= version}
    for number in range(FLAG_ROUNDS):
        order, answer = open_order_answer(number)
        found[f"open_order {number}"] = (answer, open_order_paths(order, version))
        order, answer = completed_order_answer(number)
        found[f"completed_order {number}"] = (answer, completed_order_paths(order, version))
    return found


@cache
def told(library: str, version: int) -> dict[str, dict[str, Any]]:
    """Let the library decode every answer in its own environment."""
    answers = all_answers(version)
    lines = [
        json.dumps({"version": version, "fields": decode_fields(answer.encode(version)[4:])})
        for answer, _paths in answers.values()
    ]
    ended = subprocess.run(
        [str(python_of(library)), "-m", "tests.clients.tours.decode"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=DECODING_SECONDS_MAX,
    )
    assert ended.returncode == 0, ended.stderr
    return dict(zip(answers, map(json.loads, ended.stdout.splitlines()), strict=True))


@pytest.mark.parametrize(("library", "version"), NUMBERS)
def test_every_value_comes_out_where_it_belongs(library: str, version: int) -> None:
    wrong: dict[str, list[str]] = {}
    for name, (_answer, paths) in all_answers(version).items():
        heard = told(library, version)[name]
        found = [heard["failure"]] if "failure" in heard else []
        if not found:
            found = differences(paths, heard["table"], optional=DROPPED[library])
            found += [] if heard["callbacks"] else ["nothing was told"]
        if found:
            wrong[name] = found
    assert wrong == {}
