"""What `scripts/bench --only brackets` measures, of a few brackets: that it still measures it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_stack import ROOT

pytestmark = pytest.mark.slow

BURST = 30
# In a process of its own: it sets Django up with the stack's database.
MEASURE = """
import json, sys
from pathlib import Path
from tests.bench import many_brackets
from tests.running_stack import running_stack
with running_stack(Path(sys.argv[1])) as stack:
    rows = many_brackets.measure(stack, burst=int(sys.argv[2]), open_brackets=int(sys.argv[2]))
print(json.dumps(rows))
"""


def test_a_small_burst_is_measured_to_its_end(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "stack"), str(BURST)],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'backend'}:{ROOT}"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = dict(json.loads(ended.stdout.splitlines()[-1]))
    (lost,) = [name for name in figures if name.endswith("lost stops, to the wire")]
    assert int(lost.split()[0]) > 0
    assert list(figures) == [
        f"burst of {BURST} brackets, 2 and 3 legs",
        lost,
        "  of it, the medians of",
        "  waited for its turn to send",
        "  the same in slots",
        "  queued to sent",
        f"reconcile, {BURST} open, after a kill",
        f"guard, a look at {BURST} brackets",
        "broker worker's memory",
    ]
