"""The Celery application: `celery -A app.config.celery worker -Q broker -P threads`."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")
# Celery would run all of Django's checks, for which every page is loaded: ours are run below.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("trading_analyst", include=["app.worker.tasks", "app.worker.life"])
app.config_from_object("django.conf:settings", namespace="CELERY")
# "Current" holds for the creating thread alone; requests run in others, and theirs would send to a broker of no name.
app.set_default()


@setup_logging.connect
def log_as_the_settings_say(**_: Any) -> None:
    """Keep Celery from setting the level of all loggers by its own option: LOG_LEVEL would have no effect."""
    logging.config.dictConfig(settings.LOGGING)


@beat_init.connect
@worker_init.connect
def refuse_unsafe_settings(**_: Any) -> None:
    """End the worker, or beat, before it connects to anything."""
    from app.config.checks import require_safe_settings  # Its models exist only once Django is set up.

    require_safe_settings(with_pages=False)
