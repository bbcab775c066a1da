"""What was told and what was decided is only ever added to: the database itself refuses to change or remove it.

Emptying is refused too, unless the transaction says `app.emptying = on`, which only the tests' clean-up does.
"""

from django.db import migrations

TABLES = ("executions_brokerevent", "executions_decision")

REFUSE = """
CREATE FUNCTION executions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' AND current_setting('app.emptying', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END
$$;
"""

TRIGGERS = "".join(
    f"""
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION executions_append_only();
CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION executions_append_only();
"""
    for table in TABLES
)

DROP = (
    "".join(
        f"DROP TRIGGER {table}_append_only ON {table}; DROP TRIGGER {table}_not_emptied ON {table};"
        for table in TABLES
    )
    + "DROP FUNCTION executions_append_only();"
)


class Migration(migrations.Migration):

    dependencies = [("executions", "0003_flatten_and_flagged")]

    operations = [migrations.RunSQL(sql=REFUSE + TRIGGERS, reverse_sql=DROP)]
