from django.db import migrations


class Migration(migrations.Migration):
    """The admin calls them "Kill switches"; nothing in the database changes."""

    dependencies = [("accounts", "0004_failures")]
    operations = [
        migrations.AlterModelOptions(
            name="killswitch",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("engage_kill_switch", "May stop trading"),
                    ("release_kill_switch", "May let trading go on after it was stopped"),
                ],
                "verbose_name_plural": "kill switches",
            },
        ),
    ]
