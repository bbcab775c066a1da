"""A clone in a folder whose name a careless script would break on: `scripts/up` works there as anywhere."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local_stack.home import CLONE, RECORD
from local_stack.places import places_outside

# Blanks, letters of other languages, and everything that a shell, a pattern or a configuration file takes for its own;
# longer than a Unix socket's address (107 bytes) and than a script's first line (127) may be.
ODD_FOLDER = Path("a b") / "ü c $HOME 'q\" #[1]% `x` b\\s ~*?" / ("long " * 30).strip()
PARTS = ("backend", "scripts", "manage.py", "pyproject.toml", "requirements.lock", ".env.example")


@pytest.mark.slow
@pytest.mark.case("S4", "S66")
@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_up_once_executes_the_demo_in_an_oddly_named_folder(tmp_path: Path, locale: str) -> None:
    clone = tmp_path / ODD_FOLDER
    clone.mkdir(parents=True)
    for part in PARTS:
        # What is compiled already comes along; only what another process is just writing does not.
        ignored = shutil.ignore_patterns("*.pyc.*")
        source = CLONE / part
        shutil.copytree(source, clone / part, ignore=ignored) if source.is_dir() else shutil.copy(source, clone / part)
    # The same lock file, so the same packages; the scripts put the copy's own code in front of them.
    (clone / ".venv").symlink_to(CLONE / ".venv")
    # Set to nothing, so that neither this test run's servers nor a developer's own are used.
    unset = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "IB_HOST"), "")
    environment = {**os.environ, **unset, "LC_ALL": locale, "PYTHONPATH": ""}

    run = subprocess.run(
        [clone / "scripts" / "up", "--once"], env=environment, capture_output=True, text=True, timeout=240, cwd="/"
    )
    record = clone / ".local" / RECORD
    home = Path(record.read_text().strip()) if record.exists() else None
    if home is not None:
        shutil.rmtree(home, ignore_errors=True)

    assert run.returncode == 0, run.stderr
    assert home is not None
    assert home.parent == places_outside()[0]
    assert re.fullmatch(r"IB-\d+:\d+", run.stdout.splitlines()[-1])
