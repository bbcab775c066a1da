"""Open alerts about executions were one for each reason: the newest of each execution stands for all of them."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F


def alerts_join(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    Alert = apps.get_model("alerts", "Alert")
    kept: set[int] = set()
    open_alerts = Alert.objects.filter(resolved_at=None, kind__in=["attention", "guard_gave_up"])
    for alert in open_alerts.exclude(execution=None).select_related("execution").order_by("-id"):
        if alert.execution_id in kept:
            Alert.objects.filter(pk=alert.pk).update(resolved_at=F("last_seen_at"))
            continue
        kept.add(alert.execution_id)
        told = {"told": alert.execution.attention.splitlines()}
        Alert.objects.filter(pk=alert.pk).update(subject=f"execution:{alert.execution_id}", details=told)


class Migration(migrations.Migration):
    dependencies = [("executions", "0013_open_rows"), ("alerts", "0004_market_data_silent")]
    operations = [migrations.RunPython(alerts_join, migrations.RunPython.noop)]
