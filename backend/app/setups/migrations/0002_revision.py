"""The revision of a plan is counted by the database, so that nobody who writes can forget it.

A change counts when it is one of the plan (see PLAN), of its targets, or of the id of its account: what is paper and
what is live follows from that id. `app.setup_revision` is what `setups.revision.one_revision` says: `<id>:begun` makes
everything that follows in the transaction one change, `<id>:counted` none.
"""

from django.db import migrations, models

PLAN = (
    *("owner_id", "account_id", "symbol", "security_type", "exchange", "currency", "side"),
    *("entry_type", "entry_price", "entry_limit_price", "stop_price", "quantity", "risk_amount", "risk_percent"),
    *("time_in_force", "outside_rth", "entry_timeout_seconds", "on_timeout", "notes", "tags", "archived_at"),
)


def _row(name: str) -> str:
    return ", ".join(f"{name}.{column}" for column in PLAN)


COUNT = f"""
CREATE FUNCTION setups_change_counts(setup bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE said text := current_setting('app.setup_revision', true);
BEGIN
    IF said = setup || ':begun' THEN
        PERFORM set_config('app.setup_revision', setup || ':counted', true);
    END IF;
    RETURN said IS DISTINCT FROM setup || ':counted';
END
$$;

CREATE FUNCTION setups_count_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() > 1 AND NEW.revision > OLD.revision THEN
        RETURN NEW;  -- Counted by the trigger of the targets or of the account.
    END IF;
    -- A row that was read before the change is saved with the number it had then: the database knows better.
    NEW.revision := OLD.revision;
    IF ROW({_row("NEW")}) IS DISTINCT FROM ROW({_row("OLD")}) AND setups_change_counts(OLD.id) THEN
        NEW.revision := OLD.revision + 1;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION setups_count_target() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND setups_change_counts(OLD.setup_id) THEN
        UPDATE setups_setup SET revision = revision + 1 WHERE id = OLD.setup_id;
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.setup_id <> OLD.setup_id) THEN
        IF setups_change_counts(NEW.setup_id) THEN
            UPDATE setups_setup SET revision = revision + 1 WHERE id = NEW.setup_id;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION setups_count_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE setups_setup SET revision = revision + 1 WHERE account_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER setups_plan_counted BEFORE UPDATE ON setups_setup
    FOR EACH ROW EXECUTE FUNCTION setups_count_plan();
CREATE TRIGGER setups_target_counted AFTER INSERT OR UPDATE OR DELETE ON setups_takeprofit
    FOR EACH ROW EXECUTE FUNCTION setups_count_target();
CREATE TRIGGER setups_account_counted AFTER UPDATE OF account_id ON accounts_account
    FOR EACH ROW WHEN (NEW.account_id IS DISTINCT FROM OLD.account_id) EXECUTE FUNCTION setups_count_account();
"""

DROP = """
DROP TRIGGER setups_account_counted ON accounts_account;
DROP TRIGGER setups_target_counted ON setups_takeprofit;
DROP TRIGGER setups_plan_counted ON setups_setup;
DROP FUNCTION setups_count_account();
DROP FUNCTION setups_count_target();
DROP FUNCTION setups_count_plan();
DROP FUNCTION setups_change_counts(bigint);
"""


class Migration(migrations.Migration):

    dependencies = [("setups", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="setup",
            name="revision",
            field=models.PositiveIntegerField(default=1, editable=False),
        ),
        migrations.RunSQL(sql=COUNT, reverse_sql=DROP),
    ]
