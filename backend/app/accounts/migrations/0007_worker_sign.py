from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("accounts", "0006_role_grants")]

    operations = [
        migrations.CreateModel(
            name="WorkerSign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("client_id", models.PositiveIntegerField(unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("DISCONNECTED", "DISCONNECTED"),
                            ("CONNECTING", "CONNECTING"),
                            ("SYNCHRONISING", "SYNCHRONISING"),
                            ("READY", "READY"),
                            ("DEGRADED", "DEGRADED"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
            ],
        ),
    ]
