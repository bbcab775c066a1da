"""The composition root: settings, Celery, ASGI, URLs, checks."""
