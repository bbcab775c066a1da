"""Where the servers live. Folders of other people keep their modes; ours are private; nothing forgotten stays.

The first part holds for every user; the second is root's, whose servers run as somebody else, and is tried with the
same functions on folders that do or do not let that user through.
"""

import os
import shutil
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_stack.errors import ServiceHomeError
from local_stack.home import OWNER_FILE, RECORD, outside_home, reaches, service_home


def test_the_servers_reach_it_and_nobody_elses_folder_was_opened(local: Path, outside: Path) -> None:
    before = {folder: folder.stat().st_mode for folder in (local, *local.parents)}

    home = service_home(local=local, outside=outside)

    assert reaches(home.folder("postgres"), user=home.user)
    assert {folder: folder.stat().st_mode for folder in before} == before
    assert stat.S_IMODE(home.folder("postgres").stat().st_mode) == 0o700


def test_it_is_the_same_on_every_start(local: Path, outside: Path) -> None:
    assert service_home(local=local, outside=outside) == service_home(local=local, outside=outside)


def test_two_clones_do_not_share_one(tmp_path: Path, outside: Path) -> None:
    directories = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        directories.append(service_home(local=tmp_path / name, outside=outside).directory)

    assert directories[0] != directories[1]
    assert all(directory.is_dir() for directory in directories)


def test_a_folder_that_we_may_not_write_to_is_named(local: Path, outside: Path) -> None:
    (local / "services.lock").mkdir()

    with pytest.raises(ServiceHomeError, match=r"services\.lock"):
        service_home(local=local, outside=outside)


def test_outside_the_place_is_recorded_and_holds_when_the_clone_is_moved(local: Path, outside: Path) -> None:
    directory = outside_home(local, outside=outside)
    (directory / "postgres").mkdir()
    moved = local.rename(local.with_name("moved"))

    assert outside_home(moved, outside=outside) == directory
    assert (directory / "postgres").exists()
    assert (moved / RECORD).read_text().strip() == str(directory)


def test_outside_a_folder_whose_clone_is_gone_is_removed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "gone").mkdir()
    gone = outside_home(tmp_path / "gone", outside=outside)
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "here").mkdir()

    here = outside_home(tmp_path / "here", outside=outside)

    assert not gone.exists()
    assert here.exists()


def test_outside_several_starts_at_once_remove_what_is_forgotten_together(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "gone").mkdir()
    forgotten = outside_home(tmp_path / "gone", outside=outside)
    shutil.rmtree(tmp_path / "gone")
    for number in range(2000):
        (forgotten / str(number)).touch()
    clones = [tmp_path / str(number) for number in range(4)]
    for clone in clones:
        clone.mkdir()
    together = threading.Barrier(len(clones))

    def start(clone: Path) -> Path:
        together.wait(10)
        return outside_home(clone, outside=outside)

    with ThreadPoolExecutor(len(clones)) as starts:
        homes = list(starts.map(start, clones))

    assert not forgotten.exists()
    assert all((home / OWNER_FILE).is_file() for home in homes)


def test_outside_a_new_clone_at_an_old_ones_path_begins_empty(local: Path, outside: Path) -> None:
    old = outside_home(local, outside=outside)
    (old / "postgres").mkdir()
    shutil.rmtree(local)
    local.mkdir()

    assert outside_home(local, outside=outside) == old
    assert [path.name for path in old.iterdir()] == [OWNER_FILE]


@pytest.mark.parametrize("trap", ["link", "writable"])
def test_outside_a_folder_that_others_prepared_is_refused(
    local: Path, outside: Path, tmp_path: Path, trap: str
) -> None:
    directory = outside_home(local, outside=outside)
    if trap == "link":
        directory.rename(tmp_path / "elsewhere")
        directory.symlink_to(tmp_path / "elsewhere")
    else:
        directory.chmod(0o777)

    with pytest.raises(ServiceHomeError, match="only we can write to"):
        outside_home(local, outside=outside)


def test_a_sub_folder_belongs_to_the_servers_user(local: Path, outside: Path) -> None:
    home = service_home(local=local, outside=outside)

    owner = home.folder("valkey").stat().st_uid

    assert owner == (home.user.uid if home.user else os.geteuid())
