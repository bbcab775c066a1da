"""Each documented variable changes something that the running code does; none is only read."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from app.config.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
KEY = "k" * 20 + "ey" * 20
# A value, what the running code does by default, and what it does with that value.
EFFECTS: dict[str, tuple[str, Any, Any]] = {
    "IB_HOST": ("127.0.0.9", "127.0.0.1", "127.0.0.9"),
    "IB_PORT": ("4999", 4002, 4999),
    "IB_CLIENT_ID": ("31", 1, 31),
    "IB_DATA_CLIENT_ID": ("32", 2, 32),
    "IB_ACCOUNT": ("U7654321", "", "U7654321"),
    "IB_TRADING_MODE": ("live", "paper", "live"),
    "IB_MESSAGES_PER_SECOND": ("40", 45, 40),
    "IB_TIME_ZONE": ("Asia/Tokyo", "", "Asia/Tokyo"),
    "GATEWAY_MAINTENANCE": ("none", True, False),
    "DATABASE_URL": (
        "postgres://somebody@database.example/other?sslmode=require",
        ["127.0.0.1", None],
        ["database.example", "require"],
    ),
    "POSTGRES_PASSWORD": ("p@ss", None, "p@ss"),
    "DATABASE_POOL_SIZE": ("30", 28, 30),
    "REDIS_URL": ("redis://redis.example:6380/2", ["127.0.0.1", 6379], ["redis.example", 6380]),
    "REDIS_PASSWORD": ("p@ss", None, "p@ss"),
    "ALERT_URLS": ("json://127.0.0.1/hook", 0, 1),
    "SECRET_KEY": (KEY, False, True),
    "ALLOWED_HOSTS": ("trading.example,localhost", 400, 200),
    "CSRF_TRUSTED_ORIGINS": ("https://trading.example", False, True),
    "SECURE": ("true", 302, 301),
    "SECURE_HSTS_SECONDS": ("60", None, "max-age=60"),
    "PROXY_COUNT": ("1", "127.0.0.1", "198.51.100.7"),
    "DEBUG": ("true", False, True),
    "LOG_LEVEL": ("warning", True, False),
}
# DEBUG is refused beside SECURE and live trading.
ALONE = {"DEBUG"}
# Who trades in the account is observed in test_exposure.py, by what a comparison of positions concludes.
# How long a market entry may be taken anew is observed in test_retake.py, by what is sent.
# How many orders there is room for is observed in test_order_room.py, by what is refused.
# DEMO_PASSWORD is observed below, BROKER_TYPE in test_checks.py (all but one value are refused), the database owner's
# and those for the containers alone in test_stack_compose.py.
OBSERVED_OTHERWISE = {
    "ACCOUNT_USE",
    "OTHERS_CLIENT_IDS",
    "MARKET_ENTRY_RETAKE_SECONDS",
    "ORDERS_PER_CONTRACT_MAX",
    "CLOSE_ROAD",
    "BROKER_TYPE",
    "DEMO_PASSWORD",
    "DATABASE_OWNER_URL",
    "POSTGRES_OWNER_PASSWORD",
    "WEB_PORT",
    "TWS_USERID",
    "TWS_PASSWORD",
}


def observed(**changed: str) -> dict[str, Any]:
    """Run the probe with these variables and none of the others."""
    # A variable set to nothing hides that of a developer's `.env`.
    environment = {**os.environ, **dict.fromkeys(EFFECTS, ""), **changed}
    environment |= {"PYTHONPATH": f"{ROOT / 'backend'}:{ROOT}", "DJANGO_SETTINGS_MODULE": "app.config.settings"}
    told = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "api" / "probe_of_settings.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found: dict[str, Any] = json.loads(told.stdout)
    return found


@pytest.fixture(scope="module")
def by_default() -> dict[str, Any]:
    # Where a stack runs in this clone, its servers are the default; the documented ones are named here.
    return observed(DATABASE_URL="postgres://trading_analyst@127.0.0.1:5432/x", REDIS_URL="redis://127.0.0.1:6379/0")


@pytest.fixture(scope="module")
def when_changed() -> dict[str, Any]:
    return observed(**{name: value for name, (value, _, _) in EFFECTS.items() if name not in ALONE})


@pytest.mark.case("S1")
@pytest.mark.parametrize("name", [name for name in EFFECTS if name not in ALONE])
def test_the_variable_changes_what_the_code_does(
    name: str, by_default: dict[str, Any], when_changed: dict[str, Any]
) -> None:
    _, before, after = EFFECTS[name]
    assert before != after
    assert (by_default[name], when_changed[name]) == (before, after)


@pytest.mark.case("S1")
def test_debug_shows_details(by_default: dict[str, Any]) -> None:
    assert (by_default["DEBUG"], observed(DEBUG="true")["DEBUG"]) == (False, True)


@pytest.mark.django_db
def test_the_demo_user_gets_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for password in ("", "a password to show"):
        # A user that is there keeps its password.
        User.objects.filter(username="demo").delete()
        monkeypatch.setenv("DEMO_PASSWORD", password)
        out = StringIO()
        call_command("demo_user", stdout=out)
        told.append(json.loads(out.getvalue())["password"])
    assert told[0] != told[1] == "a password to show"


@pytest.mark.case("S1")
def test_every_variable_that_is_documented_or_in_the_example_has_an_effect_here() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    example = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(documented) == set(example) == set(EFFECTS) | OBSERVED_OTHERWISE
    assert {variable.name for variable in VARIABLES} <= set(documented)
