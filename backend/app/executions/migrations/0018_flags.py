"""Flags get a code, who raised them, and what ended them; alerts name the flags that they told."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from app.domain.reasons import FlagCode, RaisedBy


def flags_code(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("executions", "ExecutionFlag").objects.filter(code="").update(code=FlagCode.EARLIER.value)


def alerts_name_flags(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    Alert, ExecutionFlag = apps.get_model("alerts", "Alert"), apps.get_model("executions", "ExecutionFlag")
    for alert in Alert.objects.filter(kind__in=["attention", "guard_gave_up"]).exclude(execution=None):
        told = alert.details.get("told", [])
        flags = ExecutionFlag.objects.filter(execution_id=alert.execution_id)
        # What was an alert for one reason each is over: all that is seen was told.
        mine = flags.filter(sentence__in=told) if told else flags.filter(raised_at__lte=alert.last_seen_at)
        alert.details = {"flags": sorted(mine.values_list("pk", flat=True))}
        alert.save(update_fields=["details"])


class Migration(migrations.Migration):
    dependencies = [("executions", "0017_claim_taken_over"), ("alerts", "0004_market_data_silent")]

    operations = [
        migrations.AddField(
            model_name="executionflag",
            name="raised_by",
            field=models.CharField(max_length=16, default=RaisedBy.UNKNOWN.value),
        ),
        migrations.AddField(
            model_name="executionflag", name="resolved_at", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="executionflag", name="resolved_how", field=models.CharField(max_length=64, blank=True, default="")
        ),
        migrations.RunPython(flags_code, migrations.RunPython.noop),
        migrations.RunPython(alerts_name_flags, migrations.RunPython.noop),
    ]
