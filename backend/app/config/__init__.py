"""The composition root: settings, Celery, ASGI, URLs, checks.

Importing it makes our Celery application the one that `executions.dispatch` and `market.dispatch` send with.
"""

from app.config.celery import app as celery_app

__all__ = ["celery_app"]
