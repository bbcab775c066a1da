"""Settings under which somebody loses money or a secret are refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from app import config
from app.config.checks import secret_settings, trading_settings

BACKEND = Path(config.__file__).parents[2]


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, set()),
        ({"IB_TRADING_MODE": "demo"}, {"trading.E001"}),
        ({"IB_TRADING_MODE": ""}, {"trading.E001"}),
        ({"IB_TRADING_MODE": "live", "IB_ACCOUNT": ""}, {"trading.E002"}),
        ({"IB_TRADING_MODE": "live", "IB_ACCOUNT": "U1234567"}, set()),
        ({"BROKER_TYPE": "bank"}, {"trading.E003"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": False}, {"trading.E004"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": True}, set()),
        ({"SECURE": True, "SECRET_KEY_GIVEN": True, "DEBUG": True}, {"trading.E005"}),
        ({"DEBUG": True}, set()),
        ({"DEBUG": True, "IB_TRADING_MODE": "live", "IB_ACCOUNT": "U1234567"}, {"trading.E005"}),
        ({"IB_CLIENT_ID": 2, "IB_DATA_CLIENT_ID": 2}, {"trading.E006"}),
        ({"IB_ACCOUNT": "U1234567"}, {"trading.W001"}),
    ],
    ids=str,
)
def test_each_unsafe_setting_is_named(settings: Settings, changed: dict[str, object], found: set[str]) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)
    messages = [*trading_settings(None), *secret_settings(None)]
    assert {message.id for message in messages} == found


@pytest.mark.parametrize(
    "program",
    [
        ["-c", "import app.config.asgi"],
        ["-m", "celery", "-A", "app.config.celery", "worker", "-Q", "broker", "-P", "threads", "-c", "1"],
    ],
    ids=["web", "worker"],
)
def test_no_process_starts_with_unsafe_settings(program: list[str]) -> None:
    environment = {**os.environ, "IB_TRADING_MODE": "live", "IB_ACCOUNT": "", "PYTHONPATH": str(BACKEND)}
    ended = subprocess.run(
        [sys.executable, *program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "trading.E002" in ended.stderr
