"""The application's role reads and writes rows; what keeps the history append-only is out of its reach."""

# ruff: noqa: S608 - The statements are the tests' own.

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from app.config.database_roles import ApplicationRoleUnsafe, application_role_ensure, connected_as
from app.executions.decisions import decision_record
from app.executions.models import Actor, Decision
from tests.services.heard import at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.case("S30")]

Application = psycopg.Connection[tuple[object, ...]]
TABLE, TRIGGER = "executions_decision", "executions_decision_append_only"
OWNER_ONLY = psycopg.errors.InsufficientPrivilege

# Every way that somebody inside the application could try, and what it is refused with.
WAYS = {
    "update": (f"UPDATE {TABLE} SET reason = 'another'", psycopg.errors.IntegrityConstraintViolation),
    "delete": (f"DELETE FROM {TABLE}", psycopg.errors.IntegrityConstraintViolation),
    "truncate": (f"TRUNCATE {TABLE} CASCADE", OWNER_ONLY),
    "truncate as the tests do": (f"BEGIN; SET LOCAL app.emptying = 'on'; TRUNCATE {TABLE} CASCADE", OWNER_ONLY),
    "disable trigger": (f"ALTER TABLE {TABLE} DISABLE TRIGGER {TRIGGER}", OWNER_ONLY),
    "disable all triggers": (f"ALTER TABLE {TABLE} DISABLE TRIGGER ALL", OWNER_ONLY),
    "drop trigger": (f"DROP TRIGGER {TRIGGER} ON {TABLE}", OWNER_ONLY),
    "drop function": ("DROP FUNCTION executions_append_only() CASCADE", OWNER_ONLY),
    "replace function": (
        "CREATE OR REPLACE FUNCTION executions_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        OWNER_ONLY,
    ),
    "alter function": ("ALTER FUNCTION executions_append_only() SET app.emptying = 'on'", OWNER_ONLY),
    "own trigger": (
        f"CREATE TRIGGER a_first BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION executions_append_only()",
        OWNER_ONLY,
    ),
    "own rule": (f"CREATE RULE nothing AS ON INSERT TO {TABLE} DO INSTEAD NOTHING", OWNER_ONLY),
    "replica": ("SET session_replication_role = 'replica'", OWNER_ONLY),
    "drop table": (f"DROP TABLE {TABLE} CASCADE", OWNER_ONLY),
    "rename table": (f"ALTER TABLE {TABLE} RENAME TO gone", OWNER_ONLY),
    "alter column": (f"ALTER TABLE {TABLE} DROP COLUMN reason", OWNER_ONLY),
    "take the table": (f"ALTER TABLE {TABLE} OWNER TO CURRENT_USER", OWNER_ONLY),
    "become the owner": ("SET ROLE {owner}", OWNER_ONLY),
    "log in as the owner": ("SET SESSION AUTHORIZATION {owner}", OWNER_ONLY),
    "become a superuser": ("ALTER ROLE CURRENT_USER SUPERUSER", OWNER_ONLY),
    "change the owner's password": ("ALTER ROLE {owner} PASSWORD 'known'", OWNER_ONLY),
    "make a role": ("CREATE ROLE another SUPERUSER", OWNER_ONLY),
    "give oneself a right": (f"GRANT TRUNCATE ON {TABLE} TO CURRENT_USER; TRUNCATE {TABLE} CASCADE", OWNER_ONLY),
    "make a table": ("CREATE TABLE public.another (id int)", OWNER_ONLY),
    "make a function": ("CREATE FUNCTION public.another() RETURNS int LANGUAGE sql AS 'SELECT 1'", OWNER_ONLY),
    "make a schema": ("CREATE SCHEMA another", OWNER_ONLY),
    "run a program": ("COPY (SELECT 1) TO PROGRAM 'true'", OWNER_ONLY),
    "write a file": ("COPY (SELECT 1) TO '/tmp/another'", OWNER_ONLY),
    "read a file": ("SELECT pg_read_file('PG_VERSION')", OWNER_ONLY),
    "list a folder": ("SELECT pg_ls_dir('.')", OWNER_ONLY),
    "read the passwords": ("SELECT rolpassword FROM pg_authid", OWNER_ONLY),
    "import a large object": ("SELECT lo_import('/etc/hostname')", OWNER_ONLY),
    "change the server": ("ALTER SYSTEM SET fsync = off", OWNER_ONLY),
    "change the database": ("ALTER DATABASE {database} SET session_replication_role = 'replica'", OWNER_ONLY),
    "change the catalog": ("UPDATE pg_trigger SET tgenabled = 'D'", OWNER_ONLY),
    "forget a migration": ("DELETE FROM django_migrations", OWNER_ONLY),
}


def connected(role: str, password: str) -> Application:
    to = connection.get_connection_params()
    return psycopg.connect(
        host=to["host"], port=to["port"], dbname=to["dbname"], user=role, password=password, autocommit=True
    )


@pytest.fixture
def role() -> Iterator[str]:
    """The name of a role of this test's own, gone afterwards."""
    name = f"app_{secrets.token_hex(4)}"
    yield name
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        if cursor.fetchone():
            cursor.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def application(role: str) -> Iterator[Application]:
    """The application's connection, beside a history of one decision."""
    application_role_ensure(role=role, password="secret")
    decision_record(actor=Actor.SWEEP, action="TEST", reason="because", now=at(0))
    with connected(role, "secret") as opened:
        yield opened


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_past_the_triggers(application: Application, way: str) -> None:
    statements, refusal = WAYS[way]
    to = connection.get_connection_params()
    names = {"owner": sql.Identifier(str(to["user"])), "database": sql.Identifier(str(to["dbname"]))}
    with pytest.raises(refusal):
        application.execute(sql.SQL(statements).format(**names))  # type: ignore[arg-type]
    application.rollback()
    assert list(Decision.objects.values_list("reason", flat=True)) == ["because"]
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        application.execute(f"DELETE FROM {TABLE}")  # type: ignore[arg-type]


def test_what_the_application_does_all_day_is_granted(application: Application) -> None:
    with application.transaction():
        application.execute("SELECT pg_advisory_xact_lock(1)")
        application.execute(
            "INSERT INTO executions_decision (actor, action, reason, evidence, decided_at) "
            "VALUES ('SWEEP', 'TEST', 'more', '{}', now())"
        )
        application.execute("SELECT 1 FROM executions_execution FOR UPDATE")
        application.execute("DELETE FROM django_session")
        application.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND false"
        )
    assert Decision.objects.filter(reason="more").exists()


def test_what_is_migrated_later_is_granted_too(application: Application) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE later (id bigserial PRIMARY KEY)")
    try:
        application.execute("INSERT INTO later DEFAULT VALUES")
        with pytest.raises(OWNER_ONLY):
            application.execute("TRUNCATE later")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE later")


def test_what_the_role_owned_before_there_were_two_becomes_the_owners(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'old'; CREATE TABLE older (id int)")
        cursor.execute(f"ALTER TABLE older OWNER TO {role}; ALTER TABLE {TABLE} OWNER TO {role}")
        cursor.execute(f"GRANT TRUNCATE, TRIGGER ON {TABLE} TO {role}; GRANT CREATE ON SCHEMA public TO {role}")
    try:
        application_role_ensure(role=role, password="secret")
        application_role_ensure(role=role, password="secret")
        with connected(role, "secret") as application:
            for statement in ("TRUNCATE older", f"DROP TABLE {TABLE} CASCADE", "CREATE TABLE newer (id int)"):
                with pytest.raises(OWNER_ONLY):
                    application.execute(statement)  # type: ignore[arg-type]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE older")


@pytest.mark.parametrize("power", ["SUPERUSER", "CREATEROLE", "BYPASSRLS", "IN ROLE pg_write_server_files"])
def test_a_role_that_could_help_itself_is_refused(role: str, power: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {role} LOGIN {power}")
    with pytest.raises(ApplicationRoleUnsafe, match=role):
        application_role_ensure(role=role, password="secret")


def test_the_owner_is_connected_only_within_the_block(application: Application, role: str) -> None:
    def who() -> object:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user, current_database()")
            return cursor.fetchone()

    before = who()
    with connected_as({"USER": role, "PASSWORD": "secret", "NAME": "not asked for", "OPTIONS": {}}):
        assert who() == (role, connection.settings_dict["NAME"])
    assert who() == before
