"""The admin, in which no address typed by hand is an error of ours.

Django judges a list's filters only in part: a year 0, half a range or a broken pattern ends in an exception of the
list or of the database, and so in a page about an error of the server.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.db import DataError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse

View = Callable[..., HttpResponseBase]
_LISTS = ("_changelist", "_export")
# The database would judge whatever pattern somebody typed, row by row.
_PATTERNS = ("__regex", "__iregex")


class OrderHistorySite(AdminSite):
    """The admin's site; a filter that cannot be carried out leads to the list without it, as Django's own do."""

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's own signature.
        """Return the view with its permission checked, and with filters that nobody can carry out answered."""
        return super().admin_view(_filters_answered(view), cacheable)


class OrderHistoryConfig(AdminConfig):
    """Django's admin with our site."""

    default_site = "app.web.admin_site.OrderHistorySite"


def _filters_answered(view: View) -> View:
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        without_filters = HttpResponseRedirect(f"{request.path.removesuffix('export/')}?{ERROR_FLAG}=1")
        is_filtered = request.method in ("GET", "HEAD") and _is_list(request) and set(request.GET) - {ERROR_FLAG}
        if is_filtered and any(name.endswith(_PATTERNS) for name in request.GET):
            return without_filters
        try:
            response = view(request, *args, **kwargs)
            # Rendered here: the calendar above a list is drawn with what the address says.
            return response.render() if isinstance(response, TemplateResponse) else response
        except (ValueError, IndexError, OverflowError, DataError, IncorrectLookupParameters):
            if not is_filtered:
                raise
        return without_filters

    return answered


def _is_list(request: HttpRequest) -> bool:
    name = request.resolver_match.url_name if request.resolver_match else None
    return name is not None and name.endswith(_LISTS)
