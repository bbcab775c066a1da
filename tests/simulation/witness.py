"""The database's own word on which worker wrote what, and when: what was rolled back is not in it.

A worker's log cannot say it: a process that is stopped between its commit and the line about it says so when it wakes.
Every database session is called after its worker, and the clock is the server's, which no jump moves.
"""

from datetime import datetime

from django.db import connection

# What the holder of a connection alone may write. How a run of the reconcile failed, each notes for itself.
_TABLES = (
    "executions_execution",
    "executions_order",
    "executions_fill",
    "executions_commission",
    "executions_brokerevent",
    "executions_decision",
)

STATEMENTS = (
    "CREATE TABLE simulation_write (id bigserial, at timestamptz, who text, what text)",
    "CREATE TABLE simulation_fence (id bigserial, at timestamptz, who text, fence int)",
    """
    CREATE FUNCTION simulation_note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO simulation_write (at, who, what)
        VALUES (clock_timestamp(), current_setting('application_name'), TG_OP || ' ' || TG_TABLE_NAME);
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION simulation_note_fence() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO simulation_fence (at, who, fence)
        VALUES (clock_timestamp(), current_setting('application_name'), NEW.fence);
        RETURN NULL;
    END $$
    """,
    *(
        f"CREATE TRIGGER simulation_write AFTER INSERT OR UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION simulation_note_write()"
        for table in _TABLES
    ),
    """
    CREATE TRIGGER simulation_fence AFTER UPDATE ON accounts_brokerconnection
    FOR EACH ROW WHEN (NEW.fence <> OLD.fence) EXECUTE FUNCTION simulation_note_fence()
    """,
)

# Of each worker its writes after another had raised the fence above its own, with who that was.
_BY_DEPOSED = """
    SELECT written.who, written.what, written.at, newer.who
    FROM simulation_write AS written
    JOIN simulation_fence AS newer ON newer.at + %s * interval '1 second' < written.at
    WHERE written.who IN (SELECT who FROM simulation_fence)
      AND newer.fence > (
          SELECT coalesce(max(mine.fence), 0) FROM simulation_fence AS mine
          WHERE mine.who = written.who AND mine.at <= written.at
      )
    ORDER BY written.id LIMIT 3
"""


def writes_of_deposed(*, after_seconds: float) -> list[tuple[str, str, datetime, str]]:
    """Return (worker, what, when, who had taken over) of what a worker wrote so long after it had been deposed."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_DEPOSED, [after_seconds])
        return cursor.fetchall()
