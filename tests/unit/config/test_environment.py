"""What a variable may hold is judged in one place; what it may not hold is named, without showing a secret."""

from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.brokers.registry import BROKER_TYPES
from app.config import environment
from app.config.dotenv_file import dotenv_read
from app.config.environment import environment_judge, environment_load
from app.config.servers import database_settings
from app.config.variables import POOL_SIZE_MIN, VARIABLES

# A file that is there, as an address names it, whatever its folder is called.
FILE = quote(__file__)

DEFAULTS = environment_judge({}, named_in_file={}).values
SECRET = "hunter2"
CONTROL = "{{path}}, line {line}: it holds the control character U+{code}; allowed: text as NAME=value."


def judged(name: str, text: str) -> environment.Judgement:
    return environment_judge({name: text}, named_in_file={})


def test_the_defaults_are_allowed() -> None:
    assert set(DEFAULTS) == {variable.name for variable in VARIABLES}
    assert environment_judge({}, named_in_file={}).problems == []


def allowed_in(name: str) -> str:
    (allowed,) = (variable.allowed for variable in VARIABLES if variable.name == name)
    return allowed


@pytest.mark.case("S24", "S25", "S61", "S63", "S64")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("IB_PORT", text) for text in ("0", "70000", "-1", "4002.0", "4_002", "４００２", '"4002"', "true")),
        *(("WEB_PORT", text) for text in ("0", "70000", "-1", "８０００")),
        *((name, text) for name in ("IB_CLIENT_ID", "IB_DATA_CLIENT_ID") for text in ("0", "-1", "2147483648", "1.5")),
        *(("IB_MESSAGES_PER_SECOND", text) for text in ("0", "9", "501", "100000")),
        *(("IB_TRADING_MODE", text) for text in ("Paper", "LIVE", "'paper'", "ib")),
        *(("BROKER_TYPE", text) for text in ("paper", "IB")),
        ("LOG_LEVEL", "yes"),
        *((name, text) for name in ("SECURE", "DEBUG") for text in ('"true"', "debug")),
        *(("SECURE_HSTS_SECONDS", text) for text in ("-1", "99999999999")),
        *(("PROXY_COUNT", text) for text in ("-1", "11")),
        *(("DATABASE_POOL_SIZE", text) for text in ("0", str(POOL_SIZE_MIN - 1), "1000000")),
        *(("OTHERS_CLIENT_IDS", text) for text in (",", "1.5,2")),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(name: str, text: str) -> None:
    [line] = judged(name, text).problems
    assert line == f"{name} is {text!r}; allowed: {allowed_in(name)}."


@pytest.mark.case("S24", "S25", "S61", "S64")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("IB_PORT", text) for text in ("abc", "0x10", "80 hunter2")),
        *(("IB_MESSAGES_PER_SECOND", "fast"), ("PROXY_COUNT", "one"), ("GATEWAY_MAINTENANCE", "never")),
        *(("BROKER_TYPE", text) for text in ("alpaca", "bank")),
        *(("LOG_LEVEL", text) for text in ("verbose", "10", "CRITICAL")),
        *((name, text) for name in ("SECURE", "DEBUG") for text in ("maybe", "ja", "2", "tru")),
        *((name, ",") for name in ("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS")),
        ("IB_TRADING_MODE", "demo"),
        ("IB_TIME_ZONE", "America"),
        *(("IB_HOST", text) for text in ("999.1.1.1", "127.1", "127.0.0.1.")),
        *(("IB_HOST", text) for text in ("127.0.0.1:4002", "http://gateway", "two words", "'gateway.1'", "[::1]")),
        *(("IB_HOST", text) for text in ("a..b", "a" * 64, "gateway/4002", "user:hunter2@gateway")),
        *(("IB_ACCOUNT", text) for text in ("du1234567", '"DU1234567"', "DU1234567,DU2", "DU 1", "1234567a")),
        *(("IB_TIME_ZONE", text) for text in ("Moon/Base", "UTC+5", "../UTC")),
        ("SECURE_HSTS_SECONDS", "1e6"),
        *(("GATEWAY_MAINTENANCE", text) for text in (";", "Sun 00:15-01:45", "Sun 1-2 Moon/Base")),
        ("GATEWAY_MAINTENANCE", "Sun 00:15+01:00-01:45 UTC"),
        ("GATEWAY_MAINTENANCE", "Sun 00:15-01:45 America"),
        ("GATEWAY_MAINTENANCE", "Sun 01:00-01:00 UTC"),
        ("GATEWAY_MAINTENANCE", "Sun 01:00-02:00 UTC; Sat 00:00-00:00:00 UTC"),
        *(("ALLOWED_HOSTS", text) for text in ("https://trading.example", "trading.example:8000", "*.example", "a b")),
        *(("ALLOWED_HOSTS", text) for text in (", ,", "a..b", "my_host", "[:::]", "[hunter2]", "a,999.1.1.1", "..a")),
        *(("CSRF_TRUSTED_ORIGINS", text) for text in ("trading.example", "https://trading.example/", "ftp://a", "*")),
        *(("CSRF_TRUSTED_ORIGINS", text) for text in ("https://a:0", "https://a:65536", "https://a..b", "https://[:]")),
        ("CSRF_TRUSTED_ORIGINS", "https://user:hunter2@trading.example"),
        ("POSTGRES_PASSWORD", "hunter\udcff2"),
    ],
)
def test_what_could_be_a_secret_is_refused_without_being_shown(name: str, text: str) -> None:
    [line] = judged(name, text).problems
    assert line == f"{name} cannot be used; allowed: {allowed_in(name)}."


@pytest.mark.case("S61")
@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *product((variable.name for variable in VARIABLES), ("swordfish", "Liverpool", "пароль", "true love")),
        *((variable.name, "482915") for variable in VARIABLES if not variable.is_number),
    ],
)
def test_a_password_of_letters_or_digits_alone_is_not_shown(name: str, secret: str) -> None:
    assert secret not in "".join(judged(name, secret).problems)


@pytest.mark.case("S61")
@pytest.mark.parametrize("name", [variable.name for variable in VARIABLES])
@pytest.mark.parametrize(
    "text",
    [
        f"postgres://user:{SECRET}@host:x/database",
        f"https://user:{SECRET}@trading.example/",
        f"user:{SECRET}@host,",
        f"SECRET_KEY={SECRET}",
        SECRET,
        f"1 {SECRET}",
        f"{SECRET}\udcff",
    ],
)
def test_a_secret_in_the_wrong_variable_is_not_shown(name: str, text: str) -> None:
    found = judged(name, text)
    assert SECRET not in "".join([*found.problems, *found.warnings])


@pytest.mark.case("S25", "S62")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            (name, text)
            for name in ("DATABASE_URL", "DATABASE_OWNER_URL")
            for text in (
                SECRET,
                f"sqlite:///{SECRET}",
                f"postgres://u:{SECRET}@host",
                f"postgres://u:{SECRET}@host:port/db",
                f"postgres://u:{SECRET}@host:70000/db",
                f"postgres://u:{SECRET}/more@host/db",
                f"postgres://u:{SECRET}#@host/db",
                f"postgres://u:{SECRET}%zz@host/db",
                f"postgres://u:{SECRET}%@host/db",
                f"postgres://u:{SECRET}%00@host/db",
                f"postgres://u:{SECRET}%ff@host/db",
                f"postgres://u:{SECRET}\x01@host/db",
                f"postgres://u:{SECRET}\udcff@host/db",
                f"postgres://u:{SECRET}@host/d%zzb",
                f"postgres://u:{SECRET}@host/d%0ab",
                f"postgres://u:{SECRET}@ho..st/db",
                f"postgres://u:{SECRET}@{'h' * 64}/db",
                f"postgres://u:{SECRET}@999.1.1.1/db",
                f"postgres://u:{SECRET}@[::1/db",
                f"postgres://u:{SECRET}@one,,two/db",
                f"postgres://u:{SECRET}@host/db?sslmod=require",
                f"postgres://u:{SECRET}@host/db?sslmode=foo",
                f"postgres://u:{SECRET}@host/db?sslmode=",
                f"postgres://u:{SECRET}@host/db?sslmode",
                f"postgres://u:{SECRET}@host/db?sslmode=%zz",
                f"postgres://u:{SECRET}@host/db?sslmode=disable&sslmode=require",
                f"postgres://u:{SECRET}@host/db?connect_timeout=abc",
                f"postgres://u:{SECRET}@host/db?connect_timeout=0",
                f"postgres://u:{SECRET}@host/db?connect_timeout=-1",
                f"postgres://u:{SECRET}@host/db?connect_timeout=601",
                f"postgres://u:{SECRET}@host/db?channel_binding=yes",
                f"postgres://u:{SECRET}@host/db?target_session_attrs=standby",
                f"postgres://u:{SECRET}@host/db?sslrootcert=/nowhere/root.crt",
                f"postgres://u:{SECRET}@host/db?sslrootcert=system",
                f"postgres://u:{SECRET}@host/db?sslcert={FILE}",
                f"postgres://u:{SECRET}@host/db?options=-csearch_path%3Dx",
            )
        ),
        ("REDIS_URL", f"http://:{SECRET}@host"),
        ("REDIS_URL", f"redis://:{SECRET}@host/zero"),
        ("REDIS_URL", f"redis://:{SECRET}@host:0/0"),
        ("REDIS_URL", f"redis://:{SECRET}%zz@host/0"),
        ("REDIS_URL", f"redis://:{SECRET}%ff@host/0"),
        ("REDIS_URL", f"redis://:{SECRET}@ho..st/0"),
        ("REDIS_URL", f"redis://:{SECRET}@host/0?ssl_cert_reqs=required"),
        ("REDIS_URL", f"redis://:{SECRET}@host/0?db=3"),
        ("REDIS_URL", f"rediss://:{SECRET}@host/0"),
        ("REDIS_URL", f"rediss://:{SECRET}@host/0?ssl_cert_reqs=foo"),
        ("REDIS_URL", f"rediss://:{SECRET}@host/0?ssl_cert_reqs=none&ssl_cert_reqs=required"),
        ("REDIS_URL", f"rediss://:{SECRET}@host/0?ssl_cert_reqs=required&ssl_ca_certs=/nowhere/ca.crt"),
        ("REDIS_URL", f"rediss://:{SECRET}@host/0?ssl_cert_reqs=required&ssl_keyfile={FILE}"),
        ("ALERT_URLS", SECRET),
        ("ALERT_URLS", f"jsons://hooks.example/{SECRET} {SECRET}"),
        ("ALERT_URLS", f"jsons://hooks.example/{SECRET},tgram://{SECRET}/c"),
        ("ALERT_URLS", f"jsons://hooks.example/{SECRET}, tgram://{SECRET}/c"),
        ("ALERT_URLS", f"jsons://hooks.example/{SECRET};"),
        ("ALERT_URLS", ","),
    ],
)
def test_a_secret_is_not_shown(name: str, text: str) -> None:
    [line] = judged(name, text).problems
    assert line == f"{name} cannot be used; allowed: {allowed_in(name)}."
    assert SECRET not in line


@pytest.mark.case("S62")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "postgres://u:p%25%40@db.example:5432/trading%20desk?sslmode=verify-full&sslrootcert=system"),
        ("DATABASE_URL", f"postgres://u@host/db?sslmode=verify-ca&sslrootcert={FILE}"),
        ("DATABASE_URL", f"postgres://u@host/db?sslcert={FILE}&sslkey={FILE}"),
        ("DATABASE_URL", "postgres://u@one.example,two.example:5432/db?target_session_attrs=read-write"),
        ("DATABASE_URL", "postgres://u@host/db?connect_timeout=5&channel_binding=require"),
        ("DATABASE_URL", "postgres://u@%2Fvar%2FRun%2Fpostgresql/db"),
        ("DATABASE_URL", "postgres://my_db/db"),
        ("REDIS_URL", "redis://redis_1"),
        ("REDIS_URL", "redis://user:p%2F@[::1]:6379/15"),
        ("REDIS_URL", f"rediss://h/0?ssl_cert_reqs=none&ssl_ca_certs={FILE}"),
        ("ALERT_URLS", "mailtos://u:p@smtp.example?to=a@b.example,c@d.example"),
        ("ALERT_URLS", "jsons://hooks.example/?next=https://trading.example"),
    ],
)
def test_an_address_that_every_library_understands_stays_as_it_is(name: str, text: str) -> None:
    found = judged(name, text)
    assert (found.problems, found.values[name]) == ([], [text] if name == "ALERT_URLS" else text)


@pytest.mark.case("S62")
def test_the_folder_of_a_socket_keeps_its_letters() -> None:
    assert database_settings("postgres://u@%2Fvar%2FRun/db", password="")["HOST"] == "/var/Run"
    assert database_settings("postgres://u:p@[::1]:5432/db", password="")["HOST"] == "::1"


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
        ("ALLOWED_HOSTS", "trading.example., [0:0::1],", ["trading.example", "[::1]"]),
        ("CSRF_TRUSTED_ORIGINS", "HTTPS://Trading.Example:443,http://a:80", ["https://trading.example", "http://a"]),
        ("CSRF_TRUSTED_ORIGINS", "https://[::1]:8443", ["https://[::1]:8443"]),
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


@pytest.mark.case("S25", "S60", "S61")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"IB_PORT=1\n\n# why\nIB_HOST: hunter2\n", "{path}, line 4: write it as NAME=value."),
        (b"hunter2\n", "{path}, line 1: write it as NAME=value."),
        (b"IB_PORT=1\nIB_PORT=2\n", "{path}: IB_PORT stands in line 1 and in line 2."),
        (f"redis://:{SECRET}@h/0?db=1\n".encode(), "{path}, line 1: write it as NAME=value."),
        (f"IB_PORT=1\n'{SECRET} x'=2\n".encode(), "{path}, line 2: write it as NAME=value."),
        (b"IB_PORT=1\n''=2\n", "{path}, line 2: write it as NAME=value."),
        (b"IB_PORT=1\nIB_ACCOUNT=DU\0hunter2\n", CONTROL.format(line=2, code="0000")),
        (b"IB_PORT=1\n\n# hunter2 \0\n", CONTROL.format(line=3, code="0000")),
        (b"IB_\x1b[APORT=1\n", CONTROL.format(line=1, code="001B")),
        (b"IB_PORT=1\rIB_HOST\n", "{path}, line 2: write it as NAME=value."),
        ("IB_PORT=1\n".encode("utf-16-le"), CONTROL.format(line=1, code="0000")),
        ("IB_PORT=1\n".encode("utf-16"), "{path} cannot be read: it must be text in UTF-8."),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(content)
    assert dotenv_read(path).problems == [problem.format(path=path)]


@pytest.mark.case("S83")
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "not mounted" / ".env")
    [problem] = dotenv_read(tmp_path / ".env").problems
    assert problem == f"{tmp_path / '.env'} cannot be read: it is a link to a file that does not exist."


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
