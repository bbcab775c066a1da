"""Where the servers live. Folders of other people keep their modes; ours are private; nothing forgotten stays.

All of it holds for every user. Root's servers run as somebody else, an ordinary user's as himself; `SERVERS` is who
that is here.
"""

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_stack.errors import ServiceHomeError
from local_stack.home import (
    NOBODY,
    OWNER_FILE,
    PROGRAMS_FOLDER,
    RECORD,
    THROW_AWAY_PREFIX,
    home_rescue,
    left_behind,
    outside_home,
    reaches,
    service_home,
)
from local_stack.leftovers import process_start_mark
from local_stack.places import is_plain
from local_stack.private_file import SECRETS, passwords_of

# What a shell, a pattern or a configuration file would take for something else, a name that is no text, a long one.
ODD_NAMES = [
    'it costs $HOME "q"',
    "`id`",
    "back\\slash",
    "[1]*?",
    "#tag%p",
    "line\nfeed",
    os.fsdecode(b"\xff\xfe"),
    "/".join(["long" * 60] * 4),
]
SERVERS = NOBODY if os.geteuid() == 0 else None


def outside_of(local: Path, outside: Path) -> Path:
    """The folder outside for the clone with this `.local`, as this user's servers need it."""
    return outside_home(local, outside=[outside], user=SERVERS)


def test_the_servers_reach_it_and_nobody_elses_folder_was_opened(local: Path, outside: Path) -> None:
    before = {folder: folder.stat().st_mode for folder in (local, *local.parents)}

    home = service_home(local=local, outside=[outside])

    assert reaches(home.folder("postgres"), user=home.user)
    assert {folder: folder.stat().st_mode for folder in before} == before
    assert stat.S_IMODE(home.folder("postgres").stat().st_mode) == 0o700


def test_it_is_the_same_on_every_start(local: Path, outside: Path) -> None:
    assert service_home(local=local, outside=[outside]) == service_home(local=local, outside=[outside])


def test_two_clones_do_not_share_one(tmp_path: Path, outside: Path) -> None:
    directories = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        directories.append(service_home(local=tmp_path / name, outside=[outside]).directory)

    assert directories[0] != directories[1]
    assert all(directory.is_dir() for directory in directories)


def test_a_folder_that_we_may_not_write_to_is_named(local: Path, outside: Path) -> None:
    (local / "services.lock").mkdir()

    with pytest.raises(ServiceHomeError, match=r"services\.lock"):
        service_home(local=local, outside=[outside])


@pytest.mark.case("S5")
def test_outside_the_place_is_recorded_and_holds_when_the_clone_is_moved(local: Path, outside: Path) -> None:
    directory = outside_of(local, outside)
    (directory / "postgres").mkdir()
    moved = local.rename(local.with_name("moved"))

    assert outside_of(moved, outside) == directory
    assert (directory / "postgres").exists()
    assert (moved / RECORD).read_text().strip() == str(directory)


@pytest.mark.case("S4")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_path_that_the_servers_would_misread_moves_them_outside(tmp_path: Path, outside: Path, name: str) -> None:
    local = tmp_path / name / ".local"
    local.mkdir(parents=True)

    first, second = (service_home(local=local, outside=[outside]) for _ in range(2))

    assert first == second
    assert first.directory.parent == outside
    assert is_plain(first.directory)
    assert reaches(first.folder("postgres"), user=first.user)


@pytest.mark.case("S4")
@pytest.mark.parametrize("name", ["a b", "ü c", "日本", "a-b_c.d+e=f,g@h~i"])
def test_blanks_and_letters_of_every_language_are_plain(name: str) -> None:
    assert is_plain(Path("/home/me") / name / "clone")


@pytest.mark.case("S4")
def test_databases_that_worked_at_an_odd_path_stay_there(tmp_path: Path, outside: Path) -> None:
    local = tmp_path / ODD_NAMES[0] / ".local"
    (local / "services" / "postgres").mkdir(parents=True)
    (local / "services" / "valkey" / "appendonlydir").mkdir(parents=True)
    if os.geteuid() == 0:
        # Root's servers stay when their user can walk there, which pytest's folder forbids.
        with pytest.raises(ServiceHomeError, match="can no longer reach"):
            service_home(local=local, outside=[outside])
    else:
        assert service_home(local=local, outside=[outside]).directory == local / "services"


@pytest.mark.case("S4")
def test_outside_a_copy_of_a_clone_gets_a_folder_of_its_own(tmp_path: Path, outside: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    first = outside_of(original, outside)
    shutil.copytree(original, copy)

    second = outside_of(copy, outside)

    assert second != first
    assert (outside_of(original, outside), outside_of(copy, outside)) == (first, second)


@pytest.mark.case("S40")
def test_outside_a_folder_of_test_runs_alone_goes_with_its_clone(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "gone").mkdir()
    gone = outside_of(tmp_path / "gone", outside)
    (gone / PROGRAMS_FOLDER).mkdir()
    (gone / f"{THROW_AWAY_PREFIX}1-2").mkdir()
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "here").mkdir()

    here = outside_of(tmp_path / "here", outside)

    assert not gone.exists()
    assert here.exists()


def test_outside_several_starts_at_once_remove_what_is_forgotten_together(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "gone").mkdir()
    forgotten = outside_of(tmp_path / "gone", outside)
    shutil.rmtree(tmp_path / "gone")
    (forgotten / PROGRAMS_FOLDER).mkdir()
    for number in range(2000):
        (forgotten / PROGRAMS_FOLDER / str(number)).touch()
    clones = [tmp_path / str(number) for number in range(4)]
    for clone in clones:
        clone.mkdir()
    together = threading.Barrier(len(clones))

    def start(clone: Path) -> Path:
        together.wait(10)
        return outside_of(clone, outside)

    with ThreadPoolExecutor(len(clones)) as starts:
        homes = list(starts.map(start, clones))

    assert not forgotten.exists()
    assert all((home / OWNER_FILE).is_file() for home in homes)


@pytest.mark.case("S40")
def test_outside_the_databases_of_a_clone_that_was_moved_or_deleted_survive_every_start(
    tmp_path: Path, outside: Path
) -> None:
    locals_ = {name: tmp_path / name / ".local" for name in ("moved", "deleted", "other")}
    for local in locals_.values():
        local.mkdir(parents=True)
    homes = {name: outside_of(locals_[name], outside) for name in ("moved", "deleted")}
    for name, home in homes.items():
        (home / "postgres").mkdir()
        (home / "postgres" / "orders").write_text(name)
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "deleted")

    # Starts of another clone, and of new ones at the paths of both.
    others = [outside_of(locals_["other"], outside)]
    for name in homes:
        locals_[name].mkdir(parents=True)
        others.append(outside_of(locals_[name], outside))

    assert {name: (home / "postgres" / "orders").read_text() for name, home in homes.items()} == {
        name: name for name in homes
    }
    assert not set(others) & set(homes.values())
    assert [list(home.iterdir()) for home in others] == [[home / OWNER_FILE] for home in others]
    assert {home: clone for home, clone in left_behind(outside=[outside]) if home in homes.values()} == {
        homes[name]: tmp_path / name for name in homes
    }
    # The one that was moved finds its own, and is no longer told to others; the new ones keep theirs.
    assert outside_of(tmp_path / "elsewhere" / ".local", outside) == homes["moved"]
    assert [outside_of(locals_[name], outside) for name in ("other", *homes)] == others
    assert homes["moved"] not in dict(left_behind(outside=[outside]))


@pytest.mark.case("S40")
def test_outside_databases_that_are_no_longer_where_they_were_are_not_replaced_by_empty_ones(
    local: Path, outside: Path, tmp_path: Path
) -> None:
    home = outside_of(local, outside)
    passwords_of(local / SECRETS, "postgres")
    home.rename(tmp_path / "taken away")

    with pytest.raises(ServiceHomeError, match="put it back") as error:
        outside_of(local, outside)

    assert str(home) in str(error.value)
    assert not home.exists()
    # What the message says is true, both ways.
    (tmp_path / "taken away").rename(home)
    assert outside_of(local, outside) == home
    shutil.rmtree(home)
    (local / RECORD).unlink()
    assert outside_of(local, outside).is_dir()


def home_with_databases(local: Path, place: Path) -> Path:
    home = service_home(local=local, outside=[place])
    assert home.directory.parent == place
    orders = home.folder("postgres") / "orders"
    orders.write_text("bought")
    orders.chmod(0o600)
    if home.user:
        os.chown(orders, home.user.uid, home.user.gid)
    return home.directory


@pytest.fixture(params=["the same disk", "another disk"])
def makeshift(request: pytest.FixtureRequest, tmp_path: Path, outside: Path) -> Iterator[Path]:
    """A place that the system clears, on the disk of the durable one or on another."""
    parent = Path("/dev/shm") if request.param == "another disk" else outside
    if request.param == "another disk" and (not parent.is_dir() or parent.stat().st_dev == outside.stat().st_dev):
        pytest.skip("There is no second disk here.")
    with tempfile.TemporaryDirectory(dir=parent) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.case("S66")
def test_databases_where_the_system_clears_up_are_moved_to_a_durable_place(
    tmp_path: Path, outside: Path, makeshift: Path
) -> None:
    local = tmp_path / ODD_NAMES[0] / ".local"
    local.mkdir(parents=True)
    old = home_with_databases(local, makeshift)
    before = (old / "postgres" / "orders").stat()

    new = home_rescue(local, outside=[outside], makeshift=makeshift)

    assert new is not None
    assert (new.parent, old.exists()) == (outside, False)
    after = (new / "postgres" / "orders").stat()
    assert (new / "postgres" / "orders").read_text() == "bought"
    assert [(at.st_uid, at.st_gid, at.st_mode, at.st_mtime_ns) for at in (before,)] == [
        (after.st_uid, after.st_gid, after.st_mode, after.st_mtime_ns)
    ]
    # The clone finds them there, and once is enough.
    assert service_home(local=local, outside=[outside, makeshift]).directory == new
    assert home_rescue(local, outside=[outside], makeshift=makeshift) is None
    assert left_behind(outside=[makeshift]) == []


@pytest.mark.case("S66")
def test_databases_beside_servers_of_a_test_run_wait_until_it_is_over(tmp_path: Path, outside: Path) -> None:
    local = tmp_path / ODD_NAMES[0] / ".local"
    local.mkdir(parents=True)
    makeshift = outside / "makeshift"
    makeshift.mkdir(mode=0o755, exist_ok=True)
    old = home_with_databases(local, makeshift)
    running = old / f"{THROW_AWAY_PREFIX}{os.getpid()}-{process_start_mark(os.getpid())}"
    running.mkdir()

    assert home_rescue(local, outside=[outside], makeshift=makeshift) is None
    running.rename(old / f"{THROW_AWAY_PREFIX}{os.getpid()}-0")
    assert home_rescue(local, outside=[outside], makeshift=makeshift) is not None


@pytest.mark.parametrize("trap", ["link", "writable"])
def test_outside_a_folder_that_others_prepared_is_refused(
    local: Path, outside: Path, tmp_path: Path, trap: str
) -> None:
    directory = outside_of(local, outside)
    if trap == "link":
        directory.rename(tmp_path / "elsewhere")
        directory.symlink_to(tmp_path / "elsewhere")
    else:
        directory.chmod(0o777)

    with pytest.raises(ServiceHomeError, match="only we can write to"):
        outside_of(local, outside)


def test_a_sub_folder_belongs_to_the_servers_user(local: Path, outside: Path) -> None:
    home = service_home(local=local, outside=[outside])

    owner = home.folder("valkey").stat().st_uid

    assert owner == (home.user.uid if home.user else os.geteuid())
