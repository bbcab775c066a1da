"""Settings under which somebody loses money or a secret are refused, by every process and in one line."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pytest_django import Settings

from app import config
from app.config.checks import alert_settings, trading_settings

BACKEND = Path(config.__file__).parents[2]
GOOD_KEY = "k3y-0f-Ma4y-Characters" * 3
CELERY = ["-m", "celery", "-A", "app.config.celery"]
PROGRAMS = {
    "web": ["-m", "uvicorn", "app.config.asgi:application", "--port", "0"],
    "broker worker": [*CELERY, "worker", "-Q", "broker", "-P", "threads", "-c", "1"],
    "data worker": [*CELERY, "worker", "-Q", "data", "-P", "threads", "-c", "1"],
    "worker": [*CELERY, "worker", "-Q", "default", "-P", "threads", "-c", "1"],
    "beat": [*CELERY, "beat", "--schedule", "{folder}/schedule"],
    "manage.py": [str(BACKEND.parent / "manage.py"), "migrate"],
    "up": ["-m", "local_stack", "--once"],
}


def ended(program: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end with these settings and return how it ended."""
    environment = {**os.environ, **changed, "PYTHONPATH": str(BACKEND)}
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, *(word.format(folder=folder) for word in PROGRAMS[program])],
            cwd=BACKEND.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )


@pytest.mark.case("S24", "S82")
@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, set()),
        ({"IB_TRADING_MODE": "live", "IB_ACCOUNT": ""}, {"trading.E002"}),
        ({"IB_TRADING_MODE": "live", "IB_ACCOUNT": "U1234567"}, set()),
        ({"SECURE": True, "SECRET_KEY_GIVEN": ""}, {"trading.E004"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": GOOD_KEY}, set()),
        ({"SECURE": True, "SECRET_KEY_GIVEN": "x"}, {"trading.E007"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": "abcd" * 20}, {"trading.E007"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": "django-insecure-" + GOOD_KEY}, {"trading.E007"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": GOOD_KEY, "ALLOWED_HOSTS": ["a.example", "*"]}, {"trading.E008"}),
        ({"SECURE": True, "SECRET_KEY_GIVEN": GOOD_KEY, "DEBUG": True}, {"trading.E005"}),
        ({"DEBUG": True}, set()),
        ({"DEBUG": True, "IB_TRADING_MODE": "live", "IB_ACCOUNT": "U1234567"}, {"trading.E005"}),
        ({"IB_CLIENT_ID": 2, "IB_DATA_CLIENT_ID": 2}, {"trading.E006"}),
        ({"OTHERS_CLIENT_IDS": (7, 1)}, {"trading.E010"}),
        ({"OTHERS_CLIENT_IDS": (2,)}, {"trading.E010"}),
        ({"OTHERS_CLIENT_IDS": (7,)}, set()),
        ({"OTHERS_CLIENT_IDS": (7,), "ACCOUNT_USE": "EXCLUSIVE"}, {"trading.E011"}),
        ({"ACCOUNT_USE": "EXCLUSIVE"}, set()),
        ({"IB_ACCOUNT": "U1234567"}, {"trading.W001"}),
        ({"IB_MESSAGES_PER_SECOND": 47}, set()),
        ({"IB_MESSAGES_PER_SECOND": 48}, {"trading.W002"}),
    ],
    ids=str,
)
def test_each_unsafe_setting_is_named(settings: Settings, changed: dict[str, object], found: set[str]) -> None:
    settings.IB_ACCOUNT, settings.ALLOWED_HOSTS = "", ["localhost"]
    for name, value in changed.items():
        setattr(settings, name, value)
    assert {message.id for message in trading_settings(None)} == found


@pytest.mark.case("S25")
def test_an_address_that_no_service_can_read_is_named_by_its_place(settings: Settings) -> None:
    settings.ALERT_URLS = ["json://127.0.0.1/hook", "nonsense://hunter2", "tgram://"]
    told = [(message.id, message.msg) for message in alert_settings(None)]
    assert told == [("trading.E009", f"ALERT_URLS: Apprise cannot read address {number}.") for number in (2, 3)]
    settings.ALERT_URLS = ["json://127.0.0.1/hook"]
    assert alert_settings(None) == []


@pytest.mark.case("S1", "S25")
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_process_refuses_a_value_in_one_line(program: str) -> None:
    told = ended(program, BROKER_TYPE="paper", IB_PORT="hunter")
    assert told.returncode != 0
    said = [line.removeprefix("up: settings_refused: ").removeprefix("settings: ") for line in told.stderr.splitlines()]
    assert said == [
        "BROKER_TYPE is 'paper'; allowed: ib.",
        "IB_PORT cannot be used; allowed: a whole number from 1 to 65535.",
    ]


@pytest.mark.case("S61", "S62", "S63")
def test_up_refuses_addresses_and_ports_in_one_line_each_without_their_secrets() -> None:
    told = ended(
        "up",
        DATABASE_URL="postgres://u:hunter2@host/db?sslmode=foo",
        REDIS_URL="redis://:hunter2%zz@host/0",
        CSRF_TRUSTED_ORIGINS="https://user:hunter2@trading.example",
        WEB_PORT="70000",
    )
    assert told.returncode == 2
    names = [line.removeprefix("up: settings_refused: ").partition(" ")[0] for line in told.stderr.splitlines()]
    assert names == ["DATABASE_URL", "REDIS_URL", "CSRF_TRUSTED_ORIGINS", "WEB_PORT"]
    assert "hunter2" not in told.stderr


@pytest.mark.case("S24")
@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "manage.py"])
def test_every_process_refuses_unsafe_settings_in_one_line(program: str) -> None:
    told = ended(program, IB_TRADING_MODE="live", IB_ACCOUNT="")
    assert told.returncode != 0
    line = "IB_TRADING_MODE=live without IB_ACCOUNT. Name the account. (trading.E002)"
    said = [line.removeprefix("up: settings_refused: ").removeprefix("settings: ") for line in told.stderr.splitlines()]
    assert [one for one in said if "E002" in one] == [line]
    assert "Traceback" not in told.stderr
