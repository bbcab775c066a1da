"""The ASGI application: `uvicorn app.config.asgi:application`."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")

# WhiteNoise hands out static files as ordinary iterators: small files, read whole; said once for each of them.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators", category=Warning)

application = get_asgi_application()

from app.config.checks import require_safe_settings  # noqa: E402 - Its models exist once Django is set up.

require_safe_settings()
