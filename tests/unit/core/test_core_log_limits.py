"""Strangers fill no log: each of their mistakes is a line without a traceback, and so many a minute."""

import logging

import pytest

from app.core.log_limits import LINES_MAX, WINDOW_SECONDS, StrangersLines

pytestmark = pytest.mark.case("S14")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(name: str, level: int = logging.WARNING, *, failed: bool = False) -> logging.LogRecord:
    error = ValueError("x")
    info = (ValueError, error, error.__traceback__) if failed else None
    return logging.LogRecord(name, level, __file__, 1, "Bad Request: %s", ("/",), info)


def test_of_one_kind_so_many_lines_pass_and_the_rest_is_counted() -> None:
    clock = Clock()
    lines = StrangersLines(seconds_now=clock)
    assert [lines.filter(record("django.request")) for _ in range(LINES_MAX + 7)].count(True) == LINES_MAX
    assert lines.filter(record("django.security.DisallowedHost")), "another kind has its own count"
    clock.now = WINDOW_SECONDS
    first = record("django.request")
    assert lines.filter(first)
    assert first.getMessage() == "Bad Request: / (left_out=7)"


def test_a_refused_host_has_no_traceback() -> None:
    told = record("django.security.DisallowedHost", logging.ERROR, failed=True)
    assert StrangersLines().filter(told)
    assert (told.exc_info, told.exc_text) == (None, None)


def test_a_long_host_is_told_shortly() -> None:
    told = record("django.security.DisallowedHost", logging.ERROR)
    told.args = ("x" * 60_000,)
    assert StrangersLines().filter(told)
    assert len(told.getMessage()) <= 300


def test_our_own_failures_are_always_told_whole() -> None:
    lines = StrangersLines()
    for _ in range(LINES_MAX + 10):
        told = record("django.request", logging.ERROR, failed=True)
        assert lines.filter(told)
        assert told.exc_info is not None
    assert all(lines.filter(record("app.worker")) for _ in range(LINES_MAX + 10))
