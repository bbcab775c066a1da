"""A worker runs the checks of the settings and loads no page: it has no use for them, and they take memory."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORY = """
import sys
from celery.signals import worker_init
from app.config.celery import app, refuse_unsafe_settings
from celery.fixups.django import DjangoWorkerFixup

DjangoWorkerFixup(app).validate_models()
refuse_unsafe_settings()
print(sorted(name for name in sys.modules if name in ("app.config.urls", "rest_framework.views", "holidays")))
"""


def run(**environment: str) -> "subprocess.CompletedProcess[str]":
    given = {
        "DJANGO_SETTINGS_MODULE": "app.config.settings",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "SECRET_KEY": "a" * 60,
        "PYTHONPATH": "backend",
    }
    return subprocess.run(
        [sys.executable, "-c", STORY],
        cwd=ROOT,
        env={**os.environ, **given, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_worker_loads_no_page() -> None:
    done = run()
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_a_worker_refuses_settings_that_contradict_each_other() -> None:
    done = run(ALERT_URLS="no-such-service://somewhere")
    assert done.returncode == 1
    assert "(trading.E009)" in done.stderr
