"""The table of IB's codes: what an executor must not get wrong, and that the document shows it."""

from pathlib import Path

import pytest

from app.brokers.ib.error_codes import ERROR_CODES, fails_question, meaning_of, title_of
from app.domain.broker_events import MessageMeaning

DOCUMENT = Path(__file__).parents[3] / "docs" / "error_codes.md"
SOURCES = {"CAMPUS", "CAPTURE", "LEAN", "ISSUE"}


@pytest.mark.parametrize("code", [110, 111, 200, 201, 203, 321, 387, 388, 434, 460, 10006, 10052])
def test_a_refusal_of_a_new_order_is_one_of_the_request_where_the_order_lives(code: int) -> None:
    assert meaning_of(code) is MessageMeaning.REFUSAL
    assert meaning_of(code, request_is_pending=True) is MessageMeaning.REQUEST_REFUSED


@pytest.mark.parametrize("code", [103, 104, 105, 134, 135, 136, 161, 329, 2102, 10147, 10148])
def test_a_refused_change_or_cancel_never_refuses_the_order(code: int) -> None:
    assert meaning_of(code) is MessageMeaning.REQUEST_REFUSED
    assert meaning_of(code, request_is_pending=True) is MessageMeaning.REQUEST_REFUSED


@pytest.mark.parametrize("code", [202, 399, 404, 481, 2109, 2137, 10197, 10233, 10349])
def test_what_leaves_an_order_alive_is_never_a_refusal(code: int) -> None:
    assert meaning_of(code) in (MessageMeaning.INFORMATION, MessageMeaning.WARNING)


@pytest.mark.parametrize("code", [326, 1100, 1101, 1102, 1300, 504, 2110])
def test_the_connections_codes_are_the_connections(code: int) -> None:
    assert meaning_of(code) is MessageMeaning.CONNECTION


def test_the_block_of_warnings_holds_no_refusal() -> None:
    meanings = {meaning_of(code) for code in range(2100, 2200)}
    assert MessageMeaning.REFUSAL not in meanings
    assert MessageMeaning.UNKNOWN not in meanings


@pytest.mark.parametrize("code", [0, 99, 777, 10328, 98765])
@pytest.mark.parametrize("request_is_pending", [False, True])
def test_an_unknown_code_is_unknown(code: int, request_is_pending: bool) -> None:
    assert meaning_of(code, request_is_pending=request_is_pending) is MessageMeaning.UNKNOWN
    assert title_of(code) == ""


def test_a_question_goes_on_after_a_warning_and_ends_with_an_error() -> None:
    assert not any(fails_question(code) for code in (2104, 2106, 2119, 2158, 10167))
    assert all(fails_question(code) for code in (162, 200, 321, 354, 10089, 10168, 10197, 98765))


def test_every_line_is_sourced_and_titled() -> None:
    assert len(ERROR_CODES) > 150
    for code, entry in ERROR_CODES.items():
        assert entry.code == code
        assert entry.title
        assert title_of(code) == entry.title
        assert set(entry.source.split(", ")) <= SOURCES
        assert entry.meaning is not MessageMeaning.UNKNOWN


def test_the_document_shows_the_table() -> None:
    # Given the table as the document shows it
    rows = [
        f"| {entry.code} | {entry.meaning} | {entry.on_request} | {entry.title} | {entry.source} |"
        for entry in ERROR_CODES.values()
    ]
    # Then the document has exactly these lines, in this order
    shown = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert shown == rows
