"""The architecture page names folders and files that are there, and every part of the application is on it."""

import re
from pathlib import Path

from app.domain.execution_status import ExecutionStatus

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"


def _named_paths() -> set[str]:
    return set(re.findall(r"`((?:backend|scripts|tests|docs)(?:/[\w./-]+)?)`", PAGE.read_text(encoding="utf-8")))


def test_every_path_it_names_is_there() -> None:
    named = _named_paths()
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_part_of_the_application_is_on_it() -> None:
    parts = {
        folder.parent.relative_to(ROOT).as_posix()
        for pattern in ("backend/*/__init__.py", "backend/app/*/__init__.py")
        for folder in ROOT.glob(pattern)
    }
    assert parts - {"backend/app"} <= _named_paths()


def test_the_picture_of_an_execution_has_every_status_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    picture = text[text.index("stateDiagram-v2") :].partition("```")[0]
    drawn = {name for edge in re.findall(r"(\w+|\[\*\]) --> (\w+)", picture) for name in edge} - {"[*]"}
    assert drawn == {status.value for status in ExecutionStatus}
