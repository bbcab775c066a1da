"""All addresses."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.db import close_old_connections, connection
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views import defaults

from app.api import health
from app.api.metrics import metrics
from app.config.front_door import is_for_machines
from app.web.login import LimitedAdminLoginForm

admin.site.site_header = "Trading Analyst: order history"
admin.site.site_title = "Trading Analyst"
admin.site.index_title = "Order history"
# Records are wide, and the index is one click away: the lists have the whole width.
admin.site.enable_nav_sidebar = False
admin.site.login_form = LimitedAdminLoginForm

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/", include("app.api.urls")),
    path("api", health.unknown_address),
    path("admin/", admin.site.urls),
    path("", include("app.web.urls")),
]


def lets_the_database_go(handler: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Give back the database connection that a page about an error needed.

    Django renders such a page in a thread of its own, beside the request's, and ends the use of connections in the
    request's thread only: each of those threads would keep one of the pool's connections for as long as we run.
    """

    @wraps(handler)
    def answered(*args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return handler(*args, **kwargs)
        finally:
            # Within a transaction the connection is somebody's, who goes on with it.
            if not connection.in_atomic_block:
                close_old_connections()

    return answered


@lets_the_database_go
def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what is refused before a view: JSON to machines, a page to people."""
    return health.refused(request) if is_for_machines(request.path) else defaults.bad_request(request, exception)


# Nothing under an address for machines gets here: what is not found there is `unknown_address`, and no view of theirs
# is under Django's own protection against forms of other sites.
handler403 = lets_the_database_go(defaults.permission_denied)
handler404 = lets_the_database_go(defaults.page_not_found)


@lets_the_database_go
def handler500(request: HttpRequest) -> HttpResponse:
    """Answer what nobody foresaw: JSON to machines, a page to people."""
    return health.failed(request) if is_for_machines(request.path) else defaults.server_error(request)
