"""The clock: aware, in UTC, and the only one."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path

import app
from app.core import clock

APP = Path(app.__path__[0])


def test_now_is_aware_and_in_utc() -> None:
    before = datetime.now(UTC)
    now = clock.now()
    after = datetime.now(UTC)
    assert now.tzinfo is UTC
    assert now.utcoffset() == timedelta(0)
    assert before <= now <= after


def test_the_domain_asks_no_clock() -> None:
    # Time is an argument there: the same input gives the same answer.
    files = sorted((APP / "domain").glob("*.py"))
    assert files
    for file in files:
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not calls & {"now", "utcnow", "today", "time", "monotonic"}, file.name
