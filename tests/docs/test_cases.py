"""docs/cases.md against the tests: every case has a test that is marked with it, and no mark leads nowhere."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| ([A-Z]+\d+) \|", re.MULTILINE)


def cases_listed() -> list[str]:
    return ROW.findall((ROOT / "docs" / "cases.md").read_text())


def cases_marked() -> set[str]:
    """Return every number that stands in a `pytest.mark.case(...)` below tests/."""
    found: set[str] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.case":
                found.update(argument.value for argument in node.args if isinstance(argument, ast.Constant))
    return found


def test_every_case_has_a_test_and_every_mark_a_case() -> None:
    assert sorted(set(cases_listed()) ^ cases_marked()) == []


def test_no_case_is_listed_twice() -> None:
    listed = cases_listed()
    assert sorted(listed) == sorted(set(listed))
