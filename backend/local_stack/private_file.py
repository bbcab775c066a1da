"""Files that only their owner may read, replaced in one step so that nobody ever reads half of one."""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

MODE = 0o600
# The passwords of a clone's servers and of its demo user, in `.local`.
SECRETS = "secrets.json"


def private_json_write(path: Path, content: Mapping[str, object]) -> None:
    """Write `content` to `path` with mode 600; a reader sees the old file or the new one, also when this raises."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w") as stream:
            json.dump(content, stream, indent=2)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    except OSError:
        # Where the disk is full, half a file must not take the rest of it.
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def private_json_read(path: Path) -> dict[str, object]:
    """Return the object in the file; empty where there is no file, or none that can be understood."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def passwords_of(path: Path, *names: str) -> dict[str, str]:
    """Return random passwords kept in the file, made on first use: the same on every start."""
    known = {name: str(value) for name, value in private_json_read(path).items()}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(32) for name in missing}
        private_json_write(path, known)
    return known
