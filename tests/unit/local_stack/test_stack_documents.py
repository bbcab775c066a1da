"""`.env.example` and the compose file name every variable, and nothing secret."""

import re
from pathlib import Path

import yaml

from app.config.variables import VARIABLES

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = (ROOT / ".env.example").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
SECRETS = {"SECRET_KEY", "POSTGRES_PASSWORD", "POSTGRES_OWNER_PASSWORD", "REDIS_PASSWORD", "TWS_USERID", "TWS_PASSWORD"}


def _example_names() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE))


def test_the_example_and_the_documentation_name_every_variable_of_the_settings() -> None:
    used = {variable.name for variable in VARIABLES}

    assert used - _example_names() == set()
    assert used - set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", CONFIGURATION, re.MULTILINE)) == set()


def test_the_example_names_every_variable_of_the_compose_file() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z][A-Z0-9_]+)", COMPOSE))

    assert used - _example_names() == set()


def test_every_variable_of_the_example_is_explained_and_off() -> None:
    lines = [line for line in EXAMPLE.splitlines() if line]

    assert all(line.startswith("#") for line in lines)
    for before, line in zip(["", *lines], lines, strict=False):
        if re.match(r"^#[A-Z][A-Z0-9_]+=", line):
            assert before.startswith("#")


def test_the_compose_file_holds_no_secret() -> None:
    for name in SECRETS:
        for default in re.findall(rf"\$\{{{name}(:?[-?])([^}}]*)\}}", COMPOSE):
            assert default[0] == ":?" or default[1] == "", f"{name} has a value in the file"


def test_the_compose_file_has_the_services_that_people_know_and_their_health() -> None:
    services = yaml.safe_load(COMPOSE)["services"]

    known = {
        "db",
        "redis",
        "web",
        "broker-worker",
        "data-worker",
        "worker",
        "beat",
        "ib-simulator",
        "backend-dev",
        "ib-gateway",
    }
    assert known <= set(services)
    one_off = {"migrate", "backend-dev"}
    assert {name for name, service in services.items() if "healthcheck" not in service} == one_off
    assert services["ib-gateway"]["profiles"] == ["gateway"]
    ours = [service for service in services.values() if service.get("image") == "trading-analyst"]
    assert len(ours) == len(services) - 3
