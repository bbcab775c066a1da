import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def flags_of_what_is_flagged(apps, schema_editor):
    """Make each line of an execution's text a flag; when it was raised is not known."""
    flags = apps.get_model("executions", "ExecutionFlag")
    for execution in apps.get_model("executions", "Execution").objects.exclude(attention="").iterator():
        lines = dict.fromkeys(line[:500] for line in execution.attention.splitlines())
        flags.objects.bulk_create([flags(execution=execution, sentence=line) for line in lines])
        execution.attention = "\n".join(lines)
        execution.save(update_fields=["attention"])


class Migration(migrations.Migration):

    dependencies = [
        ("executions", "0005_told_filled"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ExecutionFlag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(blank=True, max_length=64)),
                ("sentence", models.TextField()),
                ("raised_at", models.DateTimeField(null=True)),
                ("seen_at", models.DateTimeField(null=True)),
                (
                    "execution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="executions.execution"
                    ),
                ),
                (
                    "seen_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("execution", "sentence"), name="one_flag_per_sentence_of_an_execution"
                    )
                ],
            },
        ),
        migrations.RunPython(flags_of_what_is_flagged, migrations.RunPython.noop),
    ]
