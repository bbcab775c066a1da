"""A short piece of what `scripts/simulate` does for as long as one likes: real processes under an adversary."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.acts import ACTS, plan
from tests.simulation.sabotage import SABOTAGES

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'backend'}:{ROOT}"}


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=ROOT,
        env=ENVIRONMENT,
    )


def test_every_invariant_holds_under_the_adversary() -> None:
    ended = simulate("--seeds", "1", "--steps", "40", "--shrink", "0")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "every invariant held" in ended.stdout


def test_a_seed_always_has_the_same_steps() -> None:
    assert plan(17, 200) == plan(17, 200) != plan(18, 200)
    # And every act has its turn
    assert {step.act for seed in range(20) for step in plan(seed, 200)} == ACTS.keys()


@pytest.mark.parametrize("name", sorted(SABOTAGES))
def test_every_rule_can_be_switched_off(name: str) -> None:
    # In a process of its own: the rules stay switched off in it
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import django; django.setup(); from tests.simulation import sabotage as s; s.apply_named({name!r})",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=ENVIRONMENT | {"DJANGO_SETTINGS_MODULE": "app.config.settings"},
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
