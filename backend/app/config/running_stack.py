"""What a running `scripts/up` says of itself in `.local/up.json`.

A killed one leaves the file behind, with the ports of servers that are gone and may be somebody else's by now. So it
is believed only while `up` holds its lock, which the kernel frees however `up` ends.
"""

import fcntl
import json
from pathlib import Path
from typing import Any


def running_stack(local: Path) -> dict[str, Any]:
    """Return the content of the file; empty when no `up` runs here."""
    if not _is_locked(local / "up.lock"):
        return {}
    try:
        stack = json.loads((local / "up.json").read_text())
    except (OSError, ValueError):
        return {}
    return stack if isinstance(stack, dict) else {}


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as stream:
            # Shared, so that several commands may look at once; an `up` that starts in this moment asks again.
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
