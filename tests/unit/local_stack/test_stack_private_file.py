"""Private files: mode 600, never half written, the same passwords on every start."""

import stat
from pathlib import Path

import pytest

from local_stack.private_file import passwords_of, private_json_read, private_json_write


def test_only_the_owner_may_read_it_even_when_it_was_open_before(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    path.write_text("{}")
    path.chmod(0o644)

    private_json_write(path, {"token": "t"})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert private_json_read(path) == {"token": "t"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, "", "[1]", '{"half":'])
def test_a_file_that_cannot_be_understood_is_empty(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "secrets.json"
    if content is not None:
        path.write_text(content)

    assert private_json_read(path) == {}


def test_passwords_stay_and_new_ones_join(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"

    first = passwords_of(path, "postgres")
    second = passwords_of(path, "postgres", "valkey")

    assert second["postgres"] == first["postgres"]
    assert len({first["postgres"], second["valkey"]}) == 2
    assert passwords_of(path, "valkey") == second
