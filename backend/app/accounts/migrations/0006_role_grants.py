from django.db import migrations, models

# What the groups were given at every migration until now.
GIVEN = {
    "analyst": ["add_setup"],
    "trader": ["add_setup", "trade_live", "engage_kill_switch", "acknowledge_alert"],
    "reviewer": [
        "view_all_setups",
        "view_setup",
        "view_execution",
        "view_bracket",
        "view_order",
        "view_fill",
        "view_commission",
        "view_brokerevent",
        "view_account",
        "view_brokerconnection",
        "view_killswitch",
        "view_alert",
        "view_alertdelivery",
    ],
}


def remember_what_was_given(apps, schema_editor):
    """Do not give groups that exist already what an admin has taken from them since the last migration."""
    grants = apps.get_model("accounts", "RoleGrant")
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GIVEN):
        grants.objects.bulk_create([grants(role=group.name, codename=codename) for codename in GIVEN[group.name]])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_kill_switches_plural"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="RoleGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("role", models.CharField(max_length=150)),
                ("codename", models.CharField(max_length=100)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("role", "codename"), name="role_is_given_a_permission_once")
                ],
            },
        ),
        migrations.RunPython(remember_what_was_given, migrations.RunPython.noop),
    ]
