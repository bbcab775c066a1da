"""Whichever Python environment is active in the shell, the project's own is used."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import django
import pytest

from local_stack.home import CLONE


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another project's environment, which has none of our packages."""
    folder = tmp_path_factory.mktemp("another project") / ".venv"
    venv.create(folder, symlinks=True)
    return folder


def run(foreign: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell in which that environment is active."""
    active = {"VIRTUAL_ENV": str(foreign), "PATH": f"{foreign / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": ""}
    return subprocess.run(
        command, env={**os.environ, **active}, cwd="/", capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.case("S68")
@pytest.mark.skipif(not (CLONE / ".venv").exists(), reason="the packages are not in a .venv here")
def test_manage_py_has_its_own_packages(foreign: Path) -> None:
    told = run(foreign, CLONE / "manage.py", "version")
    assert (told.stdout.strip(), told.stderr) == (django.__version__, "")


@pytest.mark.case("S68")
@pytest.mark.skipif(not (CLONE / ".venv").exists(), reason="the packages are not in a .venv here")
def test_up_has_its_own_packages(foreign: Path) -> None:
    told = run(foreign, CLONE / "scripts" / "up", "--port", "x")
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1].startswith("up: usage: --port: ")
    assert "Traceback" not in told.stderr


@pytest.mark.case("S68")
def test_without_an_environment_manage_py_says_what_to_run(foreign: Path, tmp_path: Path) -> None:
    shutil.copy(CLONE / "manage.py", tmp_path)
    told = run(foreign, foreign / "bin" / "python", tmp_path / "manage.py", "check")
    line = f"manage.py: Django is not installed for {foreign / 'bin' / 'python'}: "
    assert (told.returncode, told.stderr) == (1, line + f"run {tmp_path / 'scripts' / 'bootstrap'} first\n")
