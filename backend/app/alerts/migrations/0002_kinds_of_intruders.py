from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='alert',
            name='kind',
            field=models.CharField(choices=[('worker_silent', 'worker_silent'), ('gateway_silent', 'gateway_silent'), ('queue_lag', 'queue_lag'), ('attention', 'attention'), ('kill_switch', 'kill_switch'), ('live_connected', 'live_connected'), ('guard_gave_up', 'guard_gave_up'), ('reconcile_failed', 'reconcile_failed'), ('position_drift', 'position_drift'), ('delivery_failed', 'delivery_failed'), ('connections_flooded', 'connections_flooded'), ('login_attempts', 'login_attempts')], max_length=32),
        ),
    ]
