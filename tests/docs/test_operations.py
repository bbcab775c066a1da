"""The operations page names every alert with its severity, and says what to do about it."""

import re
from pathlib import Path

from app.alerts.kinds import NATURE

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def test_every_alert_is_on_it_with_its_severity_and_what_to_do() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {kind: severity for kind, severity, _, _ in rows} == {
        kind.value: nature.severity.value for kind, nature in NATURE.items()
    }
    assert len(rows) == len(NATURE)
