"""The composition root: settings, Celery, ASGI, URLs, checks."""

from app.config.celery import app as celery_app

__all__ = ["celery_app"]
