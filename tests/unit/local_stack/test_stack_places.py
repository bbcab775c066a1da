"""Databases that cannot lie in the clone lie where no system clears up."""

import os
from pathlib import Path

import pytest

from local_stack.places import OF_ROOT, TEMPORARY, places_outside

SOMEBODY = 1000


@pytest.mark.case("S66")
def test_an_ordinary_user_has_them_in_the_folder_for_data(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()

    at_home = places_outside(environ={"HOME": str(home)}, uid=SOMEBODY)
    named = places_outside(environ={"HOME": str(home), "XDG_DATA_HOME": str(data)}, uid=SOMEBODY)
    relative = places_outside(environ={"HOME": str(home), "XDG_DATA_HOME": "data"}, uid=SOMEBODY)

    assert at_home == relative == [home / ".local" / "share", TEMPORARY]
    assert named == [data, TEMPORARY]
    assert all(places[0].is_dir() for places in (at_home, named))


@pytest.mark.case("S66")
@pytest.mark.parametrize("odd", ["is a file", "it costs $5"])
def test_a_user_without_a_usable_home_has_the_makeshift(tmp_path: Path, odd: str) -> None:
    (tmp_path / "is a file").touch()
    assert places_outside(environ={"HOME": str(tmp_path / odd)}, uid=SOMEBODY) == [TEMPORARY]


@pytest.mark.case("S66")
@pytest.mark.skipif(not os.access(OF_ROOT, os.W_OK), reason="only root may write to /var/lib")
def test_root_has_them_where_its_servers_user_can_walk_to() -> None:
    assert places_outside(environ={"HOME": "/root"}, uid=0) == [OF_ROOT, TEMPORARY]
