"""Where a folder for the servers is made when it cannot be in the clone.

    root      /var/lib, which the unprivileged user that runs root's servers can walk to
    others    $XDG_DATA_HOME, else ~/.local/share
    neither   /var/tmp: no home, or one that cannot be written to or whose path the servers would misread

The last is a makeshift: many systems remove files from /var/tmp that nobody has used for 30 days (systemd-tmpfiles),
and a database that has lost one of its files is lost. So what lies there is moved as soon as there is a better place,
and where there is none, `up` says so.
"""

import os
import pwd
import re
from collections.abc import Mapping
from pathlib import Path

TEMPORARY = Path("/var/tmp")  # noqa: S108 - Survives a reboot; a folder there is checked to be ours before it is used.
OF_ROOT = Path("/var/lib")
# What shells, patterns and configuration files all take literally: letters of every language, digits, blanks, a few
# signs. A name that is no valid UTF-8 has characters that are none of these.
PLAIN_PATH = re.compile(r"[\w /.,+@=~-]+")
# PostgreSQL's own limit is 1,023 with the longest name below the folder.
PLAIN_PATH_BYTES_MAX = 500


def is_plain(path: Path) -> bool:
    """Say whether the servers' programs can be told this path and will understand it as it is."""
    return PLAIN_PATH.fullmatch(str(path)) is not None and len(os.fsencode(path)) <= PLAIN_PATH_BYTES_MAX


def places_outside(*, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> list[Path]:
    """Return where folders outside clones may be: the first is where a new one is made."""
    durable = OF_ROOT if (os.geteuid() if uid is None else uid) == 0 else _data_home(environ)
    return [durable, TEMPORARY] if durable is not None and _can_be_used(durable) else [TEMPORARY]


def _data_home(environ: Mapping[str, str]) -> Path | None:
    # The specification of these folders has a relative path ignored.
    named = Path(environ.get("XDG_DATA_HOME", ""))
    if named.is_absolute():
        return named
    home = Path(environ.get("HOME", "") or _home_of_this_user())
    return home / ".local" / "share" if home.is_absolute() else None


def _home_of_this_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # A user id without a name.
        return ""


def _can_be_used(place: Path) -> bool:
    if not is_plain(place):
        return False
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(place, os.W_OK | os.X_OK)
