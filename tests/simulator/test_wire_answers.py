"""Every answer through ib_async's own decoder, value by value, at the versions that changed a layout."""

import importlib
import inspect
import pkgutil
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
from ib_async.decoder import Decoder
from ib_async.wrapper import Wrapper

import ib_simulator.messages
from ib_simulator.fields import decode_fields
from ib_simulator.messages.answer import Answer
from ib_simulator.messages.open_order import completed_order, open_order
from tests.clients.tours.flatten import Listener, Table
from tests.simulator.wire_answers import PLAIN_CASES
from tests.simulator.wire_case import VERSIONS, AnswerCase
from tests.simulator.wire_compare import differences
from tests.simulator.wire_orders import (
    FLAG_ROUNDS,
    completed_order_answer,
    completed_order_paths,
    open_order_answer,
    open_order_paths,
)

LONG_ANSWERS = {open_order, completed_order}
BUILDING_BLOCKS = {"plain"}
AT_VERSIONS = [
    pytest.param(case, version, id=f"{case.id}-{version}")
    for case in PLAIN_CASES
    for version in VERSIONS
    if version >= case.since and case.known_to_ib_async
]


def fields_of(answer: Answer, version: int) -> list[str]:
    """Return the fields as they travel."""
    return decode_fields(answer.encode(version)[4:])


def told_by_ib_async(answer: Answer, version: int) -> Table:
    listener: Any = Listener(Wrapper)
    listener.defaultTimezone = UTC
    listener.ib = SimpleNamespace(TimezoneTWS="")
    Decoder(listener, version).interpret(fields_of(answer, version))
    assert listener.callbacks, f"ib_async could not decode {fields_of(answer, version)}"
    return listener.table


def constructors() -> set[Any]:
    """Find every function of the message modules that makes an answer."""
    found = set()
    for module in pkgutil.iter_modules(ib_simulator.messages.__path__):
        loaded = importlib.import_module(f"ib_simulator.messages.{module.name}")
        found |= {
            member
            for name, member in inspect.getmembers(loaded, inspect.isfunction)
            if inspect.signature(member).return_annotation is Answer
            and not name.startswith("_")
            and name not in BUILDING_BLOCKS
        }
    return found


def test_every_answer_has_a_case() -> None:
    missing = constructors() - {case.makes for case in PLAIN_CASES} - LONG_ANSWERS
    assert sorted(make.__name__ for make in missing) == []


@pytest.mark.parametrize(("case", "version"), AT_VERSIONS)
def test_every_value_comes_out_where_it_belongs(case: AnswerCase, version: int) -> None:
    told = told_by_ib_async(case.answer, version)
    assert differences(case.expected(version), told) == []


@pytest.mark.parametrize("round_number", range(FLAG_ROUNDS))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_an_open_order_comes_out_where_it_belongs(version: int, round_number: int) -> None:
    order, answer = open_order_answer(round_number)
    told = told_by_ib_async(answer, version)
    assert differences(open_order_paths(order, version), told) == []


@pytest.mark.parametrize("round_number", range(FLAG_ROUNDS))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_a_completed_order_comes_out_where_it_belongs(version: int, round_number: int) -> None:
    order, answer = completed_order_answer(round_number)
    told = told_by_ib_async(answer, version)
    assert differences(completed_order_paths(order, version), told) == []
