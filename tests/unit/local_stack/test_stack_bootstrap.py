"""`scripts/bootstrap` against an index of its own: uv is told pip's settings, and where it fails, any pip will do."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local_stack.home import CLONE

UV_THAT_FAILS = """#!/bin/sh
env >>"$UV_SAW"
exit 1
"""


def _wheel(index: Path, name: str, *metadata: str, script: str | None = None) -> str:
    """Put a wheel into an index of the simple kind, and return its lines for a lock file."""
    folder = index / name
    folder.mkdir(parents=True)
    file = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{info}/METADATA", "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *metadata, ""])
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        if script is not None:
            program = zipfile.ZipInfo(f"{name}-1.0.data/scripts/{name}")
            program.external_attr = 0o100755 << 16
            archive.writestr(program, script)
    (folder / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')
    return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n    # via somebody\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose lock file names a handful of packages, one of them wanted with an extra."""
    clone = tmp_path / "ü clone"
    (clone / "backend").mkdir(parents=True)
    (clone / "backend" / "ours.py").write_text("")
    shutil.copytree(CLONE / "scripts", clone / "scripts")
    index = tmp_path / "simple"
    lock = [
        _wheel(index, "bb", "Provides-Extra: more", 'Requires-Dist: cc; extra == "more"'),
        _wheel(index, "cc"),
        _wheel(index, "zz", "Requires-Dist: bb[more]>=1.0"),
        _wheel(index, "uv", script=UV_THAT_FAILS),
    ]
    (clone / "requirements.lock").write_text("".join(lock))
    return clone


def _bootstrap(clone: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    index = (clone.parent / "simple").as_uri()
    return subprocess.run(
        [clone / "scripts" / "bootstrap"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(clone.parent),
            "PYTHON": sys.executable,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": index,
            "UV_SAW": str(clone.parent / "uv-saw"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.case("S15")
@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_where_uv_fails_pip_installs_the_same_and_our_code_is_found(clone: Path, locale: str) -> None:
    run = _bootstrap(clone, LC_ALL=locale)

    assert run.returncode == 0, run.stderr
    assert "uv did not finish" in run.stderr
    code = "import bb, cc, ours, zz"
    assert subprocess.run([clone / ".venv/bin/python", "-c", code], cwd="/", env={"LC_ALL": locale}).returncode == 0
    # Nothing is left to do, so a second run says nothing.
    assert _bootstrap(clone).stderr == ""


@pytest.mark.case("S15")
def test_uv_is_told_pips_settings_and_asked_again_with_the_machines_certificates(clone: Path) -> None:
    gone, mirror = ((clone.parent / name).as_uri() for name in ("gone", "mirror"))
    (clone.parent / "mirror").mkdir()

    run = _bootstrap(clone, PIP_EXTRA_INDEX_URL=f"{gone} {mirror}", UV_FIND_LINKS="/mine")

    saw = (clone.parent / "uv-saw").read_text().splitlines()
    told = [line for line in saw if line.startswith("UV_") and not line.startswith("UV_SAW")]
    settings = {
        f"UV_DEFAULT_INDEX={(clone.parent / 'simple').as_uri()}",
        f"UV_INDEX={mirror}",
        "UV_INDEX_STRATEGY=unsafe-best-match",
        "UV_FIND_LINKS=/mine",
    }
    assert set(told) == settings | {"UV_SYSTEM_CERTS=1"}, run.stderr
    assert [told.count(line) for line in settings] == [2] * len(settings)
    assert told.count("UV_SYSTEM_CERTS=1") == 1


@pytest.mark.case("S39")
@pytest.mark.parametrize("home", ["", "/dev/null/nobody", None])
def test_where_there_is_no_home_to_write_to_nothing_is_kept(clone: Path, home: str | None) -> None:
    run = _bootstrap(clone, HOME=str(clone.parent) if home is None else home)

    assert run.returncode == 0, run.stderr
    saw = set((clone.parent / "uv-saw").read_text().splitlines())
    assert saw & {"UV_NO_CACHE=1", "PIP_NO_CACHE_DIR=1"} == (
        set() if home is None else {"UV_NO_CACHE=1", "PIP_NO_CACHE_DIR=1"}
    )
    assert "WARNING" not in run.stderr


@pytest.mark.case("S4")
@pytest.mark.parametrize("name", ["a:b", "a\nb"])
def test_a_folder_that_can_hold_no_virtual_environment_is_named(clone: Path, name: str) -> None:
    moved = clone.rename(clone.parent / name)

    run = _bootstrap(moved)

    assert run.returncode == 1
    assert str(moved) in run.stderr
    assert not (moved / ".venv").exists()
