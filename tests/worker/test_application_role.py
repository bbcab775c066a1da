"""The whole system trades as a role that owns nothing: whoever is inside it cannot touch what it has written."""

import json

import psycopg
import pytest

from tests.worker.desk import Desk

pytestmark = [pytest.mark.slow, pytest.mark.case("S30")]


def test_a_bracket_is_executed_by_a_role_that_cannot_touch_the_history(desk: Desk) -> None:
    # Given a setup that was executed, filled and recorded by the running processes
    desk.held()
    events = desk.stack.rows("SELECT count(*) FROM executions_brokerevent")
    # Then the role that all of them use is no superuser and owns nothing
    powers = "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    assert desk.stack.rows(powers) == [(False, False, False)]
    owned = "SELECT relname FROM pg_class WHERE relowner = current_user::regrole"
    assert desk.stack.rows(owned) == []
    # And each way to get rid of what it has written is refused
    for statement in (
        "TRUNCATE executions_brokerevent CASCADE",
        "ALTER TABLE executions_brokerevent DISABLE TRIGGER ALL",
        "DROP FUNCTION executions_append_only() CASCADE",
        "SET session_replication_role = 'replica'",
        "SET ROLE trading_analyst",
        "CREATE TABLE public.another (id int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.stack.execute(statement)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        desk.stack.execute("DELETE FROM executions_brokerevent")
    assert desk.stack.rows("SELECT count(*) FROM executions_brokerevent") >= events
    # And no process but the one that migrated was told how the owner logs in
    told = json.dumps(desk.stack.up)
    owners_password = json.loads((desk.stack.folder / "secrets.json").read_text())["postgres"]
    assert owners_password not in told
