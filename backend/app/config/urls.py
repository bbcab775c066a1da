"""All addresses."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path
from django.views import defaults

from app.api import health
from app.api.metrics import metrics
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
    path("admin/", admin.site.urls),
    path("", include("app.web.urls")),
]


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what is refused before a view: JSON under `/api/`, a page elsewhere."""
    return health.refused(request) if _is_api(request) else defaults.bad_request(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """Answer what nobody foresaw: JSON under `/api/`, a page elsewhere."""
    return health.failed(request) if _is_api(request) else defaults.server_error(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
