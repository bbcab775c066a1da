"""Where the embedded servers keep their data, and which user they run as.

An ordinary user runs them as himself, under `.local/services/`. PostgreSQL refuses to run as root, so root runs them
as the unprivileged user 65534 (or as the owner of data that is already there).

Two kinds of clones cannot hold them. The unprivileged user cannot walk to a clone below a private folder such as
/root or one made by `mktemp -d`, and we don't open other people's folders. And the servers' own programs cannot bear
every path: `initdb` hands its own to a shell (`$`, quotes, backslashes) and allows 1,023 bytes, Valkey takes the
path of its configuration for a pattern (`[`, `*`, `?`) and starts without any when nothing matches. In both cases the
services move to a folder of their own outside, `trading-analyst-<uid>-<hash of the clone's path>` in a place that
nobody clears (see places), whose name is kept in `.local/services-home`, and the programs are copied there too.

A folder with databases is never removed here: they are somebody's order history, and a clone that is not where it was
may have been moved, may be on a disk that is not mounted, or in another container. A clone that was moved finds its
folder by the name it kept; a clone that has no name beside a folder that is taken makes another (`...-2`). What is
removed is a folder whose clone is gone and that only ever held programs and the servers of test runs.
"""

import errno
import fcntl
import hashlib
import itertools
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import ServiceHomeError
from local_stack.leftovers import process_start_mark
from local_stack.places import TEMPORARY, is_plain, places_outside
from local_stack.private_file import SECRETS, private_json_read
from local_stack.process import ServiceUser

CLONE = Path(__file__).resolve().parents[2]
LOCAL = CLONE / ".local"

NOBODY = ServiceUser(uid=65534, gid=65534)
RECORD = "services-home"
OWNER_FILE = "clone"
PROGRAMS_FOLDER = "programs"
# Of one test run or one command, see throw_away.
THROW_AWAY_PREFIX = "throw-away-"
PROBE_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class ServiceHome:
    """A folder of ours that the servers' user can walk to; `user` is None when they run as ourselves."""

    directory: Path
    user: ServiceUser | None

    def folder(self, name: str) -> Path:
        """Return a private sub-folder that belongs to the servers' user, made where missing."""
        path = self.directory / name
        path.mkdir(mode=0o700, exist_ok=True)
        if self.user is not None and path.stat().st_uid != self.user.uid:
            os.chown(path, self.user.uid, self.user.gid)
        return path


def reaches(path: Path, *, user: ServiceUser | None) -> bool:
    """Say whether `user` can walk to `path` and enter or run it.

    Tried, not computed: access lists and mounts count too.
    """
    if user is None or user.uid == os.geteuid():
        return os.access(path, os.X_OK)  # Nobody but root may become a user, not even the one that they are.
    try:
        probe = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
            timeout=PROBE_TIMEOUT_SECONDS,
            check=False,
        )
    except PermissionError as error:
        raise ServiceHomeError(
            f"root may not become user {user.uid} here ({error.strerror}); "
            "run as an ordinary user, or set DATABASE_URL and REDIS_URL"
        ) from error
    return probe.returncode == 0


def service_home(*, local: Path = LOCAL, outside: Sequence[Path] = ()) -> ServiceHome:
    """Return the folder for the servers, made and recorded on first use. `outside` is where it may be beside the clone,
    the best place first.

    Raises:
        ServiceHomeError: the folder is not ours, or holds data that its user can no longer reach.
    """
    try:
        local.mkdir(exist_ok=True)
        outside = outside or places_outside()
        with _locked(local / "services.lock"):
            return _home_of_root(local, outside) if os.geteuid() == 0 else _home_of_user(local, outside)
    except (PermissionError, IsADirectoryError, FileExistsError) as error:
        raise ServiceHomeError(
            f"{error.filename}: {error.strerror}. "
            f"Was it made by another user, such as root? Run as that user, or remove {local}"
        ) from error


def _home_of_user(local: Path, outside: Sequence[Path]) -> ServiceHome:
    directory = local / "services"
    if (local / RECORD).exists() or not _can_hold(directory):
        return ServiceHome(outside_home(local, outside=outside, user=None), None)
    directory.mkdir(mode=0o700, exist_ok=True)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ServiceHomeError(f"{directory} belongs to another user: run as that user, or remove {local}")
    return ServiceHome(directory, None)


def _home_of_root(local: Path, outside: Sequence[Path]) -> ServiceHome:
    inside = local / "services"
    user = _owner_of_data(inside) or NOBODY
    if not (local / RECORD).exists() and _can_hold(inside):
        inside.mkdir(exist_ok=True)
        inside.chmod(0o711)
        if reaches(inside, user=user):
            return ServiceHome(inside, user)
        if any(inside.iterdir()):
            raise ServiceHomeError(
                f"{inside} holds data that user {user.uid} can no longer reach: a folder above it has become private. "
                f"Let others walk through that folder again, or remove {inside} to begin with empty databases"
            )
    directory = outside_home(local, outside=outside, user=NOBODY)
    return ServiceHome(directory, _owner_of_data(directory) or NOBODY)


def _can_hold(inside: Path) -> bool:
    # Data of servers that did work there stay there: only making new ones needs a plain path. An interrupted first
    # start, which never got as far as Valkey's file, leaves nothing worth keeping.
    valkey = inside / "valkey"
    worked = (inside / "postgres").exists() and (not valkey.exists() or (valkey / "appendonlydir").exists())
    return is_plain(inside) or worked


def _owner_of_data(directory: Path) -> ServiceUser | None:
    """Return the unprivileged owner of the databases there, None where there are none."""
    try:
        found = (directory / "postgres").stat()
    except FileNotFoundError:
        return None
    return ServiceUser(found.st_uid, found.st_gid) if found.st_uid else None


def outside_home(local: Path, *, outside: Sequence[Path], user: ServiceUser | None) -> Path:
    """Return the folder outside the clone for the servers of the clone with this `.local`, made and recorded on
    first use. `user` is who runs the servers, None for ourselves.

    Raises:
        ServiceHomeError: a folder of that name is not ours, the servers' user cannot reach it, or the folder with this
            clone's databases is not where it was.
    """
    recorded = _recorded_home(local)
    _sweep(outside, keep=recorded)
    if recorded is not None and not recorded.exists() and "postgres" in private_json_read(local / SECRETS):
        raise ServiceHomeError(
            f"the databases of this clone were in {recorded}, and that folder is gone: put it back, "
            f"or remove {local / RECORD} to begin with empty databases"
        )
    directory = recorded or _free_name(local, outside=outside[0])
    try:
        directory.mkdir(mode=0o711)
    except FileExistsError:
        _require_ours(directory, record=local / RECORD)
    directory.chmod(0o711)
    # In this order: a folder whose owner has no record looks forgotten to another start.
    _path_write(local / RECORD, directory)
    _path_write(directory / OWNER_FILE, local)
    if not reaches(directory, user=user):
        raise ServiceHomeError(
            f"user {user.uid if user else os.geteuid()} cannot reach {directory}; "
            "set DATABASE_URL and REDIS_URL, or run as an ordinary user"
        )
    return directory


def _free_name(local: Path, *, outside: Path) -> Path:
    """Return a name that no databases have. An earlier clone at this path, or one at the same path in another
    container, may have left its own under the first.
    """
    digest = hashlib.sha256(os.fsencode(local)).hexdigest()[:12]
    first = outside / f"trading-analyst-{os.geteuid()}-{digest}"
    directory = first
    for number in itertools.count(2):
        if not directory.exists():
            break
        _require_ours(directory, record=local / RECORD)
        if not _holds_databases(directory):
            _remove_forgotten(directory)
            break
        directory = first.with_name(f"{first.name}-{number}")
    return directory


def _recorded_home(local: Path) -> Path | None:
    """Return the folder that was recorded. It holds after the clone has been moved, but a copy of the clone gets a
    folder of its own: two clones on the same data would end each other's servers.
    """
    directory = _path_read(local / RECORD)
    if directory is None:
        return None
    owner = _path_read(directory / OWNER_FILE)
    is_copy = owner is not None and owner != local and _path_read(owner / RECORD) == directory
    return None if is_copy else directory


def _path_read(file: Path) -> Path | None:
    # Bytes, because a path need not be text in any encoding.
    try:
        return Path(os.fsdecode(file.read_bytes().removesuffix(b"\n")))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _path_write(file: Path, path: Path) -> None:
    file.write_bytes(os.fsencode(path) + b"\n")


def _require_ours(directory: Path, *, record: Path) -> None:
    # Anybody may make a folder in /var/tmp, so a name proves nothing.
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ServiceHomeError(
            f"{directory} exists but is not a folder that only we can write to (it belongs to user {found.st_uid}). "
            f"If that user ran this clone before, run as that user: the databases are there. "
            f"Else move it away, and remove {record} where there is one, to begin with empty databases"
        )


def home_rescue(local: Path, *, outside: Sequence[Path] = (), makeshift: Path = TEMPORARY) -> Path | None:
    """Move this clone's folder out of /var/tmp where there is a better place; return where it is then, None where
    nothing was moved. No server of this clone may run; while a test run has servers there, it waits for another start.

    Raises:
        ServiceHomeError: it could not be moved, and is where it was.
    """
    better = (outside or places_outside())[0]
    if not (local / RECORD).exists() or better == makeshift:
        return None
    with _locked(local / "services.lock"):
        old = _recorded_home(local)
        if old is None or old.parent != makeshift or not old.is_dir() or not _holds_databases(old):
            return None
        _require_ours(old, record=local / RECORD)
        in_use = not all(throw_away_is_over(folder) for folder in old.glob(f"{THROW_AWAY_PREFIX}*"))
        if in_use or not reaches(better, user=_owner_of_data(old)):
            return None
        new = _free_name(local, outside=better)
        _move(old, new)
        _path_write(local / RECORD, new)
        # Copied to another disk, it goes only now that nobody looks for it any more.
        _remove_forgotten(old)
    return new


def throw_away_is_over(folder: Path) -> bool:
    """Say whether the test run or command that this folder was for has ended; its servers ended with it."""
    pid, _, mark = folder.name.removeprefix(THROW_AWAY_PREFIX).partition("-")
    return not pid.isdigit() or process_start_mark(int(pid)) != mark


def _move(old: Path, new: Path) -> None:
    """Rename or copy a folder, owners and modes included; it has the new name only when all of it is there."""
    try:
        try:
            old.rename(new)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            part = new.with_name(f"{new.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            subprocess.run(["cp", "-a", str(old), str(part)], check=True, capture_output=True)
            os.sync()
            part.rename(new)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServiceHomeError(
            f"the databases in {old} could not be moved to {new}, where nobody clears them: {error}"
        ) from error


def _sweep(outside: Sequence[Path], *, keep: Path | None) -> None:
    """Remove our folders whose clone is gone and that never held anybody's databases."""
    for directory in _ours_in(outside):
        # Another start may be sweeping as well (what is gone is gone), and what cannot be read is not known to be gone.
        with suppress(FileNotFoundError, PermissionError):
            if directory != keep and _is_forgotten(directory) and not _holds_databases(directory):
                _remove_forgotten(directory)


def left_behind(*, outside: Sequence[Path] = ()) -> list[tuple[Path, Path]]:
    """Return our folders with databases whose clone is not where it was, each with where that was."""
    found = []
    for directory in _ours_in(outside or places_outside()):
        with suppress(FileNotFoundError, PermissionError):
            clone = _path_read(directory / OWNER_FILE)
            if clone is not None and _is_forgotten(directory) and _holds_databases(directory):
                found.append((directory, clone.parent))
    return found


def _ours_in(outside: Sequence[Path]) -> list[Path]:
    return [path for place in outside for path in sorted(place.glob(f"trading-analyst-{os.geteuid()}-*"))]


def _is_forgotten(directory: Path) -> bool:
    owner = directory / OWNER_FILE
    if directory.is_symlink() or directory.lstat().st_uid != os.geteuid() or not owner.is_file():
        return False
    clone = _path_read(owner)
    return clone is None or _path_read(clone / RECORD) != directory


def _holds_databases(directory: Path) -> bool:
    # Whatever is not known to be ours to throw away counts as somebody's data.
    return not all(
        path.name in (OWNER_FILE, PROGRAMS_FOLDER) or path.name.startswith(THROW_AWAY_PREFIX)
        for path in directory.iterdir()
    )


def _remove_forgotten(directory: Path) -> None:
    while directory.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(directory)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes, so that two first starts do not build the same folder."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
