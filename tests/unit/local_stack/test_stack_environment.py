"""What the user has set: `.env` below the environment."""

from pathlib import Path

import pytest

from local_stack.environment import dotenv_parse, user_environment


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("IB_HOST=10.0.0.5", {"IB_HOST": "10.0.0.5"}),
        ("export IB_PORT = 4001", {"IB_PORT": "4001"}),
        ('SECRET_KEY="a # b"', {"SECRET_KEY": "a # b"}),
        ("SECRET_KEY='a=b'", {"SECRET_KEY": "a=b"}),
        ("IB_ACCOUNT=DU1 # paper", {"IB_ACCOUNT": "DU1"}),
        ("REDIS_URL=redis://:p#w@h/0", {"REDIS_URL": "redis://:p#w@h/0"}),
        ("# IB_HOST=10.0.0.5", {}),
        ("IB_HOST=", {"IB_HOST": ""}),
        ("nonsense", {}),
        ("", {}),
    ],
)
def test_a_line_of_the_file(line: str, expected: dict[str, str]) -> None:
    assert dotenv_parse(line) == expected


def test_the_environment_wins_over_the_file_and_nothing_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IB_HOST=10.0.0.5\nIB_PORT=4001\nREDIS_URL=redis://file\nIB_ACCOUNT=\n")

    values = user_environment(clone=tmp_path, environ={"IB_HOST": "10.0.0.9", "REDIS_URL": ""})

    # What hides a variable of the file goes on to the processes, which read the file as well.
    assert values == {"IB_HOST": "10.0.0.9", "IB_PORT": "4001", "REDIS_URL": ""}


def test_no_file_is_fine(tmp_path: Path) -> None:
    assert user_environment(clone=tmp_path, environ={"A": "b"}) == {"A": "b"}
