"""Two roles for one database: the owner changes its structure, the application reads and writes rows.

    migrate ──> DATABASE_OWNER_URL   owns tables, functions and triggers
    web, workers ──> DATABASE_URL    SELECT, INSERT, UPDATE, DELETE; owns nothing, creates nothing, empties nothing

So a process of the application, whoever has got into it, cannot switch off, drop or replace the triggers that keep the
history append-only: all of that needs the owner. Without DATABASE_OWNER_URL one role does both, as a server that
somebody else keeps may want it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from psycopg import sql

# What only migrations write.
READ_ONLY_TABLES = ("django_migrations",)


class ApplicationRoleUnsafe(Exception):
    """The application's role could do what only the owner may; the message says what to change."""


@contextmanager
def connected_as(owner: Mapping[str, Any]) -> Iterator[None]:
    """Let Django's connection be the owner's within the block."""
    application = dict(connection.settings_dict)
    # The database stays the application's: in a test run it is the test's, whatever the owner's address names.
    owners = {**owner, "NAME": application["NAME"], "OPTIONS": {**application["OPTIONS"], **owner["OPTIONS"]}}
    _use({**application, **owners})
    try:
        yield
    finally:
        _use(application)


def _use(settings: Mapping[str, Any]) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict.clear()
    connection.settings_dict.update(settings)


@transaction.atomic
def application_role_ensure(*, role: str, password: str) -> None:
    """Make the application's role where it is missing, and give it the rows and nothing else; safe to repeat.

    Call it connected as the owner. What the role owned, in a database of before there were two, becomes the owner's.
    Raises ApplicationRoleUnsafe where the role is too powerful, or the owner may not change that.
    """
    name = sql.Identifier(role)
    is_superuser = bool(_value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
    known = _row("SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = %s", role)
    if known is None:
        _run("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS", name)
    elif any(known):
        raise ApplicationRoleUnsafe(f"The application's role {role} is a superuser or may make roles: take it away.")
    if password and (known is None or is_superuser):
        _run("ALTER ROLE {} PASSWORD {}", name, sql.Literal(password))
    if _value("SELECT EXISTS (SELECT FROM pg_auth_members WHERE member = %s::regrole)", f'"{role}"'):
        raise ApplicationRoleUnsafe(f"The application's role {role} is a member of other roles: take them from it.")
    if is_superuser:
        _run("REASSIGN OWNED BY {} TO CURRENT_USER", name)
    if _value("SELECT EXISTS (SELECT FROM pg_class WHERE relowner = %s::regrole)", f'"{role}"'):
        raise ApplicationRoleUnsafe(
            f"The application's role {role} owns tables: as a superuser, REASSIGN OWNED BY {role} to the owner."
        )
    _grant(name)


def _grant(name: sql.Identifier) -> None:
    _run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    _run("REVOKE ALL ON SCHEMA public FROM {}", name)
    _run("GRANT USAGE ON SCHEMA public TO {}", name)
    _run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}", name)
    _run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}", name)
    _run("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}", name)
    for table in READ_ONLY_TABLES:
        _run("REVOKE INSERT, UPDATE, DELETE ON {} FROM {}", sql.Identifier(table), name)
    rows = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}"
    _run(rows, name)
    _run("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {}", name)


def _run(statement: str, *parts: sql.Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*parts).as_string(connection.connection))


def _row(query: str, *parameters: str) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: tuple[Any, ...] | None = cursor.fetchone()
        return found


def _value(query: str, *parameters: str) -> Any:
    row = _row(query, *parameters)
    return row[0] if row else None
