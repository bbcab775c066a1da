"""Where the embedded servers keep their data, and which user they run as.

An ordinary user runs them as himself, under `.local/services/`. PostgreSQL refuses to run as root, so root runs them
as the unprivileged user 65534 (or as the owner of data that is already there). That user must be able to walk to the
folder and to the programs, which it cannot in a clone below a private folder such as /root or one made by `mktemp
-d`. We don't open other people's folders; instead the services move to a folder of their own outside,
`/var/tmp/trading-analyst-<uid>-<hash of the clone's path>`, whose name is kept in `.local/services-home`. The
programs are copied there too. A folder whose clone is gone, or that its clone has forgotten, cannot be opened by
anyone any more (the passwords lived in the clone) and is removed.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import ServiceHomeError
from local_stack.process import ServiceUser

CLONE = Path(__file__).resolve().parents[2]
LOCAL = CLONE / ".local"

NOBODY = ServiceUser(uid=65534, gid=65534)
OUTSIDE = Path("/var/tmp")  # noqa: S108 - Survives a reboot; the folder below it is checked to be ours before it is used.
RECORD = "services-home"
OWNER_FILE = "clone"
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
    if user is None:
        return os.access(path, os.X_OK)
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


def service_home(*, local: Path = LOCAL, outside: Path = OUTSIDE) -> ServiceHome:
    """Return the folder for the servers, made and recorded on first use.

    Raises:
        ServiceHomeError: the folder is not ours, or holds data that its user can no longer reach.
    """
    try:
        local.mkdir(exist_ok=True)
        with _locked(local / "services.lock"):
            return _home_of_root(local, outside) if os.geteuid() == 0 else _home_of_user(local)
    except (PermissionError, IsADirectoryError, FileExistsError) as error:
        raise ServiceHomeError(
            f"{error.filename}: {error.strerror}. "
            f"Was it made by another user, such as root? Run as that user, or remove {local}"
        ) from error


def _home_of_user(local: Path) -> ServiceHome:
    directory = local / "services"
    directory.mkdir(mode=0o700, exist_ok=True)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ServiceHomeError(f"{directory} belongs to another user: run as that user, or remove {local}")
    return ServiceHome(directory, None)


def _home_of_root(local: Path, outside: Path) -> ServiceHome:
    inside = local / "services"
    user = _owner_of_data(inside) or NOBODY
    record = local / RECORD
    if not record.exists():
        inside.mkdir(exist_ok=True)
        inside.chmod(0o711)
        if reaches(inside, user=user):
            return ServiceHome(inside, user)
        if any(inside.iterdir()):
            raise ServiceHomeError(
                f"{inside} holds data that user {user.uid} can no longer reach: a folder above it has become private. "
                f"Let others walk through that folder again, or remove {inside} to begin with empty databases"
            )
    directory = outside_home(local, outside=outside)
    return ServiceHome(directory, _owner_of_data(directory) or NOBODY)


def _owner_of_data(directory: Path) -> ServiceUser | None:
    """Return the unprivileged owner of the databases there, None where there are none."""
    try:
        found = (directory / "postgres").stat()
    except FileNotFoundError:
        return None
    return ServiceUser(found.st_uid, found.st_gid) if found.st_uid else None


def outside_home(local: Path, *, outside: Path) -> Path:
    """Return the folder outside the clone for the servers of the clone with this `.local`, made and recorded on
    first use.

    Raises:
        ServiceHomeError: a folder of that name is not ours, or the servers' user cannot reach it.
    """
    record = local / RECORD
    # The recorded name holds even after the clone has been moved.
    recorded = Path(record.read_text().strip()) if record.exists() else None
    _sweep(outside, keep=recorded)
    if recorded is not None:
        directory = recorded
    else:
        digest = hashlib.sha256(str(local).encode()).hexdigest()[:12]
        directory = outside / f"trading-analyst-{os.geteuid()}-{digest}"
        if directory.exists():
            _remove_forgotten(directory)
    try:
        directory.mkdir(mode=0o711)
    except FileExistsError:
        _require_ours(directory)
    directory.chmod(0o711)
    # In this order: a folder whose owner has no record looks forgotten to another start.
    record.write_text(f"{directory}\n")
    (directory / OWNER_FILE).write_text(f"{local}\n")
    if not reaches(directory, user=NOBODY):
        raise ServiceHomeError(
            f"user {NOBODY.uid} cannot reach {directory}; set DATABASE_URL and REDIS_URL, or run as an ordinary user"
        )
    return directory


def _require_ours(directory: Path) -> None:
    # Anybody may make a folder in /var/tmp, so a name proves nothing.
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ServiceHomeError(f"{directory} exists but is not a folder that only we can write to: remove it")


def _sweep(outside: Path, *, keep: Path | None) -> None:
    """Remove our folders whose clone is gone."""
    for directory in outside.glob(f"trading-analyst-{os.geteuid()}-*"):
        # Another start may be sweeping as well: what is gone is gone.
        with suppress(FileNotFoundError):
            if directory != keep and _is_forgotten(directory):
                _remove_forgotten(directory)


def _is_forgotten(directory: Path) -> bool:
    owner = directory / OWNER_FILE
    if directory.is_symlink() or directory.lstat().st_uid != os.geteuid() or not owner.is_file():
        return False
    return not (Path(owner.read_text().strip()) / RECORD).exists()


def _remove_forgotten(directory: Path) -> None:
    while directory.exists():
        with suppress(FileNotFoundError):
            _require_ours(directory)
            shutil.rmtree(directory)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes, so that two first starts do not build the same folder."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
