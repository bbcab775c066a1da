"""The set-up guide is true: every code our own errors carry is in its table, and every variable it names is read."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import app.brokers
from app.brokers.ib import IBSettings

REPOSITORY = Path(__file__).parents[3]
DOCUMENT = (REPOSITORY / "docs" / "ib_setup.md").read_text()
SOURCES = "\n".join(path.read_text() for path in Path(app.brokers.__file__).parent.rglob("*.py"))


def test_every_code_of_an_error_is_explained_and_no_other() -> None:
    # Given the codes that the adapter's errors carry
    carried = set(re.findall(r"\bcode ?= ?\"([a-z_]+)\"", SOURCES))
    # Then the guide's table has exactly those
    table = DOCUMENT[DOCUMENT.index("| Code | What happened") :]
    explained = {code for row in table.splitlines() for code in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    assert explained == carried


def test_every_variable_is_read_and_has_its_default() -> None:
    reader = inspect.getsource(IBSettings.from_environment) + '"IB_DATA_CLIENT_ID"'
    rows = re.findall(r"^\| `(IB_[A-Z_]+)` \| (?:`([^`]*)`|empty) \|", DOCUMENT, flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(re.findall(r'"(IB_[A-Z_]+)"', reader))
    defaults = IBSettings.from_environment(environment={})
    told = {name: default for name, default in rows if name != "IB_DATA_CLIENT_ID"}
    field_names = {"IB_MESSAGES_PER_SECOND": "messages_per_second", "IB_TIME_ZONE": "time_zone"}
    known = {field.name for field in fields(IBSettings)}
    for name, default in told.items():
        field_name = field_names.get(name, name.removeprefix("IB_").lower())
        assert field_name in known
        assert str(getattr(defaults, field_name)) == default
