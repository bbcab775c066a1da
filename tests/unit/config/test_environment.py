"""What a variable may hold is judged in one place; what it may not hold is named, without showing a secret."""

from pathlib import Path
from typing import Any

import pytest

from app.brokers.registry import BROKER_TYPES
from app.config import environment
from app.config.dotenv_file import dotenv_read
from app.config.environment import environment_judge, environment_load
from app.config.variables import POOL_SIZE_MIN, VARIABLES

DEFAULTS = environment_judge({}, named_in_file={}).values
SECRET = "hunter2"


def judged(name: str, text: str) -> environment.Judgement:
    return environment_judge({name: text}, named_in_file={})


def test_the_defaults_are_allowed() -> None:
    assert set(DEFAULTS) == {variable.name for variable in VARIABLES}
    assert environment_judge({}, named_in_file={}).problems == []


@pytest.mark.case("S24", "S25")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("IB_PORT", text) for text in ("abc", "0", "70000", "-1", "4002.0", "4_002", "４００２", '"4002"', "0x10")),
        *((name, text) for name in ("IB_CLIENT_ID", "IB_DATA_CLIENT_ID") for text in ("0", "-1", "2147483648", "1.5")),
        *(("IB_MESSAGES_PER_SECOND", text) for text in ("0", "9", "501", "100000", "fast")),
        *(("IB_HOST", text) for text in ("127.0.0.1:4002", "http://gateway", "two words", "'gateway'", "[::1]")),
        *(("IB_ACCOUNT", text) for text in ("du1234567", '"DU1234567"', "DU1234567,DU2", "DU 1", "1234567")),
        *(("IB_TRADING_MODE", text) for text in ("Paper", "LIVE", "demo", "'paper'")),
        *(("BROKER_TYPE", text) for text in ("paper", "alpaca", "IB", "bank")),
        *(("LOG_LEVEL", text) for text in ("verbose", "10", "CRITICAL")),
        *((name, text) for name in ("SECURE", "DEBUG") for text in ("maybe", "ja", "2", "tru", '"true"')),
        *(("SECURE_HSTS_SECONDS", text) for text in ("-1", "1e6", "99999999999")),
        *(("PROXY_COUNT", text) for text in ("-1", "11", "one")),
        *(("DATABASE_POOL_SIZE", text) for text in ("0", str(POOL_SIZE_MIN - 1), "1000000")),
        *(("GATEWAY_MAINTENANCE", text) for text in ("never", ";", "Sun 00:15-01:45", "Sun 1-2 Moon/Base")),
        ("GATEWAY_MAINTENANCE", "Sun 00:15+01:00-01:45 UTC"),
        ("GATEWAY_MAINTENANCE", "Sun 00:15-01:45 America"),
        *(("ALLOWED_HOSTS", text) for text in ("https://trading.example", "trading.example:8000", "*.example", "a b")),
        *(("CSRF_TRUSTED_ORIGINS", text) for text in ("trading.example", "https://trading.example/", "ftp://a", "*")),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(name: str, text: str) -> None:
    [line] = judged(name, text).problems
    (allowed,) = (variable.allowed for variable in VARIABLES if variable.name == name)
    assert line == f"{name} is {text!r}; allowed: {allowed}."


@pytest.mark.case("S25")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", SECRET),
        ("DATABASE_URL", f"sqlite:///{SECRET}"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@host"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@host:port/db"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@host:70000/db"),
        ("DATABASE_URL", f"postgres://u:{SECRET}/more@host/db"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@host/db?sslmod=require"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@host/db?options=-csearch_path%3Dx"),
        ("REDIS_URL", f"http://:{SECRET}@host"),
        ("REDIS_URL", f"redis://:{SECRET}@host/zero"),
        ("REDIS_URL", f"redis://:{SECRET}@host:0/0"),
        ("REDIS_URL", f"rediss://:{SECRET}@host/0"),
        ("ALERT_URLS", SECRET),
        ("ALERT_URLS", f"jsons://hooks.example/{SECRET} {SECRET}"),
    ],
)
def test_a_secret_is_not_shown(name: str, text: str) -> None:
    [line] = judged(name, text).problems
    assert line.startswith(f"{name} cannot be used; allowed: ")
    assert SECRET not in line


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("IB_PORT", " 7497\t", 7497),
        ("IB_HOST", "::1", "::1"),
        ("IB_HOST", "ib-gateway", "ib-gateway"),
        ("IB_ACCOUNT", "DU1234567", "DU1234567"),
        ("BROKER_TYPE", "ib", "ib"),
        ("SECURE", "Yes", True),
        ("SECURE", "off", False),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("ALLOWED_HOSTS", "a.example, .b.example,[::1],*", ["a.example", ".b.example", "[::1]", "*"]),
        ("CSRF_TRUSTED_ORIGINS", "https://a.example:8443, https://*.b.example", ["https://a.example:8443", "https://*.b.example"]),
        ("ALERT_URLS", "  json://a  tgram://b/c ", ["json://a", "tgram://b/c"]),
        ("GATEWAY_MAINTENANCE", "None", ()),
        ("DATABASE_URL", "postgresql://u:p%40@[::1]:5432/db?sslmode=require", "postgresql://u:p%40@[::1]:5432/db?sslmode=require"),
        ("REDIS_URL", "rediss://:p@h:6379/3?ssl_cert_reqs=required", "rediss://:p@h:6379/3?ssl_cert_reqs=required"),
    ],
)  # fmt: skip
def test_what_is_allowed_is_read(name: str, text: str, value: Any) -> None:
    found = judged(name, text)
    assert (found.problems, found.values[name]) == ([], value)


@pytest.mark.parametrize("nothing", ["", "  ", "\t"])
def test_nothing_means_the_default(nothing: str) -> None:
    """Compose passes a variable that nobody has set as an empty one."""
    found = environment_judge(dict.fromkeys(DEFAULTS, nothing), named_in_file={})
    assert (found.problems, found.values) == ([], DEFAULTS)


@pytest.mark.case("S1")
def test_only_what_the_factory_makes_is_allowed() -> None:
    for broker_type in BROKER_TYPES:
        assert judged("BROKER_TYPE", broker_type).problems == []
    assert BROKER_TYPES == ("ib",)


@pytest.mark.case("S25")
@pytest.mark.parametrize(
    ("in_file", "in_environment", "warnings"),
    [
        (["IB_ACOUNT"], [], ["nobody reads IB_ACOUNT; did you mean IB_ACCOUNT?"]),
        (["ib_port"], [], ["nobody reads ib_port; did you mean IB_PORT?"]),
        (["REDIS_URI"], [], ["nobody reads REDIS_URI; did you mean REDIS_URL?"]),
        ([], ["IB_TRADING_MOD"], ["nobody reads IB_TRADING_MOD; did you mean IB_TRADING_MODE?"]),
        (["IB_COLOUR"], [], ["nobody reads IB_COLOUR."]),
        (["HTTPS_PROXY", "TZ", "COMPOSE_PROJECT_NAME", "WEB_PORT"], ["PATH", "SECURED"], []),
    ],
)
def test_a_misspelt_name_is_told_with_the_one_that_was_meant(
    in_file: list[str], in_environment: list[str], warnings: list[str]
) -> None:
    file, given = dict.fromkeys(in_file, "1"), dict.fromkeys([*in_file, *in_environment], "1")
    found = environment_judge(given, named_in_file=file)
    assert (found.problems, found.warnings) == ([], warnings)


@pytest.mark.case("S25")
def test_the_file_may_come_from_windows(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(
        b"\xef\xbb\xbfIB_PORT=4001\r\n\r\n# A remark.\r\nIB_ACCOUNT='DU1' # paper\r\nexport IB_HOST = gw\r\n"
    )
    found = dotenv_read(path)
    assert (found.values, found.problems) == ({"IB_PORT": "4001", "IB_ACCOUNT": "DU1", "IB_HOST": "gw"}, [])


@pytest.mark.case("S25")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"IB_PORT=1\n\n# why\nIB_HOST: hunter2\n", "{path}, line 4: write it as NAME=value."),
        (b"hunter2\n", "{path}, line 1: write it as NAME=value."),
        (b"IB_PORT=1\nIB_PORT=2\n", "{path}: IB_PORT stands in line 1 and in line 2."),
        ("IB_PORT=1\n".encode("utf-16"), "{path} cannot be read: it must be text in UTF-8."),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    assert dotenv_read(path).problems == [problem.format(path=path)]


@pytest.mark.case("S25")
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    [problem] = dotenv_read(tmp_path / ".env").problems
    assert problem == f"{tmp_path / '.env'} cannot be read: Is a directory."


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("IB_PORT=4001\nIB_CLIENT_ID=7\nIB_ACCOUNT=DU1\n")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("IB_PORT", "4444")
    monkeypatch.setenv("IB_ACCOUNT", "")
    # What the file names is set for the test's time only.
    monkeypatch.setenv("IB_CLIENT_ID", "8")
    monkeypatch.delenv("IB_CLIENT_ID")
    values = environment_load().values
    assert (values["IB_PORT"], values["IB_CLIENT_ID"], values["IB_ACCOUNT"]) == (4444, 7, "")
