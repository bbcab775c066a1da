"""An environment per client library, made once per lock file and kept under `.local/clients`.

Each library has a lock file with hashes beside this module; the one the project itself uses needs none.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = Path(__file__).resolve().parent
CACHE = ROOT / ".local" / "clients"
INSTALL_SECONDS_MAX = 300
# The old libraries were made for it; a newer Python runs them too, where this one is not at hand.
PYTHON = "3.11"
OWN_LIBRARY = "ib_async"
LIBRARIES = (OWN_LIBRARY, "ib_insync", "ibapi", "nautilus_ibapi")


class CannotInstall(RuntimeError):
    """An environment could not be made; the message holds what the installer wrote."""


def python_of(library: str) -> Path:
    """Return the interpreter that has the library, after making its environment. Raises CannotInstall."""
    if library == OWN_LIBRARY:
        return Path(sys.executable)
    lock = LOCKS / f"{library}.lock"
    name = f"{library}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    environment = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    # Two test processes at once must not install into each other.
    with (CACHE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (environment / "installed").exists():
            shutil.rmtree(environment, ignore_errors=True)
            _install(environment, lock)
            (environment / "installed").touch()
    return environment / "bin" / "python"


def _install(environment: Path, lock: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    python = environment / "bin" / "python"
    if uv.exists():
        wanted = PYTHON if _runs(uv, "python", "find", PYTHON) else sys.executable
        _run(uv, "venv", "--quiet", "--python", wanted, environment)
        _run(uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock)
    else:
        _run(sys.executable, "-m", "venv", environment)
        _run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock)


def _runs(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, timeout=INSTALL_SECONDS_MAX).returncode == 0


def _run(*command: str | Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    ended = subprocess.run(command, capture_output=True, env=environment, timeout=INSTALL_SECONDS_MAX)
    if ended.returncode:
        words = " ".join(str(word) for word in command)
        raise CannotInstall(f"{words}\n{ended.stderr.decode(errors='replace')}")
