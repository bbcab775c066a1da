"""What is set in `.env` arrives in the containers, too."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config.environment import environment_judge
from app.config.servers import database_settings, redis_url
from app.config.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[3]
APPLICATION = ("migrate", "web", "broker-worker", "data-worker", "worker", "beat")
NEEDED = {"SECRET_KEY": "x" * 50, "POSTGRES_PASSWORD": "letters", "REDIS_PASSWORD": "digits"}
# What only the service that migrates may know.
OWNER = {"DATABASE_OWNER_URL": "postgres://o:p@database.example:5433/other", "POSTGRES_OWNER_PASSWORD": "owners"}
# A value for every variable, other than its default.
CHANGED = {
    "BROKER_TYPE": "ib",
    "IB_HOST": "gateway.example",
    "IB_PORT": "7497",
    "IB_CLIENT_ID": "31",
    "IB_DATA_CLIENT_ID": "32",
    "IB_ACCOUNT": "DU7654321",
    "IB_TRADING_MODE": "live",
    "IB_MESSAGES_PER_SECOND": "40",
    "IB_TIME_ZONE": "Asia/Tokyo",
    "ACCOUNT_USE": "EXCLUSIVE",
    "OTHERS_CLIENT_IDS": "7,8",
    "MARKET_ENTRY_RETAKE_SECONDS": "5",
    "ORDERS_PER_CONTRACT_MAX": "20",
    "CLOSE_ROAD": "cancel_first",
    "GATEWAY_MAINTENANCE": "none",
    "DATABASE_URL": "postgres://u:p%40@database.example:5433/other?sslmode=require",
    "REDIS_URL": "redis://:p%40@redis.example:6380/2",
    "DATABASE_POOL_SIZE": "30",
    "ALERT_URLS": "jsons://hooks.example/trading",
    "ALLOWED_HOSTS": "trading.example",
    "CSRF_TRUSTED_ORIGINS": "https://trading.example",
    "SECURE": "true",
    "SECURE_HSTS_SECONDS": "60",
    "PROXY_COUNT": "2",
    "DEBUG": "true",
    "LOG_LEVEL": "WARNING",
    "DEMO_PASSWORD": "a-demo-password",
    **NEEDED,
}
# What the compose file itself takes, with another value than its default.
FOR_COMPOSE_ALONE = {"WEB_PORT": "8123", "TWS_USERID": "somebody", "TWS_PASSWORD": "p@ss$word"}


def documented() -> set[str]:
    """Every variable of .env.example but those that are for the compose file itself."""
    names = set(re.findall(r"^#([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    return names - {*FOR_COMPOSE_ALONE, *OWNER}


@pytest.fixture
def nothing_in_env_file(tmp_path: Path) -> Path:
    """An empty `.env`, so that a developer's own does not count."""
    path = tmp_path / "empty.env"
    path.touch()
    return path


def composed(env_file: Path, **set_outside: str) -> dict[str, Any]:
    """Ask Compose itself what each service would be; no daemon is needed for that."""
    ours = {*documented(), *FOR_COMPOSE_ALONE, *OWNER}
    outside = {name: value for name, value in os.environ.items() if name not in ours}
    told = subprocess.run(
        [str(ROOT / "scripts" / "dc.sh"), "--env-file", str(env_file), "--profile", "gateway", "config"],
        env={**outside, **OWNER, **set_outside},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode == 127:
        pytest.skip("Neither `docker compose` nor `docker-compose` is here.")
    assert told.returncode == 0, told.stderr
    services: dict[str, Any] = yaml.safe_load(told.stdout)["services"]
    return services


def environments(env_file: Path, **set_outside: str) -> dict[str, dict[str, str]]:
    """Return what each service would find in its environment."""
    services = composed(env_file, **set_outside)
    # Compose writes a dollar sign twice, for the next reader.
    return {
        name: {key: str(value).replace("$$", "$") for key, value in service.get("environment", {}).items()}
        for name, service in services.items()
    }


@pytest.mark.case("S17")
def test_the_compose_file_passes_every_documented_variable_to_every_process() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in APPLICATION:
        assert documented() - set(services[name]["environment"]) == set(), name


@pytest.mark.case("S17")
def test_what_is_set_arrives_in_every_process(nothing_in_env_file: Path) -> None:
    assert set(CHANGED) == documented()
    found = environments(nothing_in_env_file, **CHANGED)
    expected = CHANGED | {"ALLOWED_HOSTS": "localhost,127.0.0.1,trading.example"}
    for name in APPLICATION:
        assert {key: found[name][key] for key in expected} == expected, name


@pytest.mark.case("S1")
@pytest.mark.parametrize("is_set", [False, True])
def test_the_variables_for_the_containers_alone_arrive_where_they_are_meant(
    nothing_in_env_file: Path, is_set: bool
) -> None:
    given = FOR_COMPOSE_ALONE if is_set else {"WEB_PORT": "8000", "TWS_USERID": "", "TWS_PASSWORD": ""}
    services = composed(nothing_in_env_file, **NEEDED, **(given if is_set else {}))

    [port] = services["web"]["ports"]
    # Compose 1 gives its short form back, Compose 2 the long one.
    published = f"{port['host_ip']}:{port['published']}:{port['target']}" if isinstance(port, dict) else port
    login = {
        name: str(services["ib-gateway"]["environment"][name]).replace("$$", "$")
        for name in ("TWS_PASSWORD", "TWS_USERID")
    }
    assert published.removesuffix("/tcp") == f"127.0.0.1:{given['WEB_PORT']}:8000"
    assert login == {name: given[name] for name in ("TWS_PASSWORD", "TWS_USERID")}
    # The password of the Gateway is nobody else's business.
    others = [service for name, service in services.items() if name != "ib-gateway"]
    assert not any(set(service.get("environment", {})) & {"TWS_USERID", "TWS_PASSWORD"} for service in others)


@pytest.mark.case("S63")
@pytest.mark.parametrize("port", ["abc", "0", "00", "70000", "-1", "80 81", "8000:8000"])
def test_a_port_that_nobody_can_publish_is_named_before_compose_is_asked(port: str) -> None:
    told = subprocess.run(
        [str(ROOT / "scripts" / "dc.sh"), "config"],
        env={**os.environ, **NEEDED, **OWNER, "WEB_PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode == 127:
        pytest.skip("Neither `docker compose` nor `docker-compose` is here.")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "dc.sh: WEB_PORT cannot be used; allowed: a whole number from 1 to 65535.\n"


@pytest.mark.case("S17")
def test_where_nothing_is_set_the_defaults_hold_and_the_containers_own_servers_are_used(
    nothing_in_env_file: Path,
) -> None:
    password = "p@ss/w#rd"
    found = environments(nothing_in_env_file, **NEEDED | {"POSTGRES_PASSWORD": password, "REDIS_PASSWORD": password})
    for name in APPLICATION:
        judged = environment_judge(found[name], named_in_file={})
        assert judged.problems == []
        own = {"ALLOWED_HOSTS", "IB_HOST", "IB_ACCOUNT", "DATABASE_URL", "REDIS_URL", *NEEDED, *OWNER}
        defaults = environment_judge({}, named_in_file={}).values
        kept = [variable.name for variable in VARIABLES if variable.name not in own]
        assert {key: judged.values[key] for key in kept} == {key: defaults[key] for key in kept}
        database = database_settings(judged.values["DATABASE_URL"], password=judged.values["POSTGRES_PASSWORD"])
        assert (database["HOST"], database["USER"], database["PASSWORD"]) == ("db", "trading_analyst_app", password)
        redis = redis_url(judged.values["REDIS_URL"], password=judged.values["REDIS_PASSWORD"])
        assert redis == "redis://:p%40ss%2Fw%23rd@redis:6379/0"


@pytest.mark.case("S30")
def test_only_the_service_that_migrates_is_told_who_owns_the_tables(nothing_in_env_file: Path) -> None:
    unnamed = NEEDED | {"DATABASE_OWNER_URL": ""}
    found = environments(nothing_in_env_file, **unnamed)
    assert {name for name in APPLICATION if set(OWNER) & set(found[name])} == {"migrate"}
    owner = database_settings(found["migrate"]["DATABASE_OWNER_URL"], password=OWNER["POSTGRES_OWNER_PASSWORD"])
    assert (owner["HOST"], owner["USER"]) == ("db", found["db"]["POSTGRES_USER"])
    assert found["db"]["POSTGRES_PASSWORD"] == found["migrate"]["POSTGRES_OWNER_PASSWORD"]
    # A server of one's own has its own owner
    own = environments(nothing_in_env_file, **NEEDED)
    assert own["migrate"]["DATABASE_OWNER_URL"] == OWNER["DATABASE_OWNER_URL"]


@pytest.mark.case("S17")
def test_the_readme_names_what_docker_needs_and_how_to_get_a_user() -> None:
    text = (ROOT / "README.md").read_text()
    [paragraph] = [part for part in text.split("\n\n") if "./scripts/dc.sh up -d" in part]
    needed = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert needed <= set(re.findall(r"`([A-Z_]+)`", paragraph))
    assert "`./scripts/dc.sh exec web python manage.py createsuperuser`" in paragraph


def test_an_address_with_a_password_keeps_it() -> None:
    assert redis_url("redis://:own@h:1/2", password="other") == "redis://:own@h:1/2"
    assert redis_url("redis://h:1/2", password="") == "redis://h:1/2"
    assert redis_url("redis://[::1]:1/2", password="a b") == "redis://:a%20b@[::1]:1/2"
    assert database_settings("postgres://u:own@h/d", password="other")["PASSWORD"] == "own"
    found = database_settings("postgres://u:p%40@[::1]:5433/d?sslmode=require&connect_timeout=3", password="")
    assert (found["HOST"], found["PORT"], found["PASSWORD"]) == ("::1", 5433, "p@")
    assert found["OPTIONS"] == {"sslmode": "require", "connect_timeout": "3"}
