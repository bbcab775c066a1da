"""The ASGI application: `uvicorn app.config.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")

application = get_asgi_application()

from app.config.checks import require_safe_settings  # noqa: E402 - Its models exist once Django is set up.

require_safe_settings()
