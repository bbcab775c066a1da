"""The order in which a run takes its tests, whatever the order in which they are named."""

import subprocess
import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BROWSER, ASYNCHRONOUS, SLOW = (
    "tests/browser/test_policy.py",
    "tests/web/test_stream.py",
    "tests/worker/test_killed_worker.py",
)
COLLECT = ["--collect-only", "-q", "--no-cov", "-p", "no:cacheprovider"]


def test_what_starts_a_stack_comes_first_and_what_drives_a_browser_last() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *COLLECT, BROWSER, ASYNCHRONOUS, SLOW],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    files = [line.partition("::")[0] for line in told.stdout.splitlines() if "::" in line]
    assert [file for file, _ in groupby(files)] == [SLOW, ASYNCHRONOUS, BROWSER]
