"""The ASGI application: `uvicorn app.config.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.config.settings")

_django = get_asgi_application()

# Their models exist once Django is set up.
from app.config.checks import require_safe_settings  # noqa: E402
from app.config.front_door import FrontDoor  # noqa: E402

application = FrontDoor(_django)

require_safe_settings()
