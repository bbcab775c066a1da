"""The Celery application: `celery -A app.config.celery worker -Q broker -P threads`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")

app = Celery("trading_analyst", include=["app.worker.tasks", "app.worker.life"])
app.config_from_object("django.conf:settings", namespace="CELERY")
# "Current" holds for the creating thread alone; requests run in others, and theirs would send to a broker of no name.
app.set_default()
