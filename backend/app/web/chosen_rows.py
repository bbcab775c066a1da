"""The rows that an action of the admin is for: a middleware that refuses what is no row's number.

Django asks the database with what the form says, and fails where that is no number.
"""

from collections.abc import Callable

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

ID_DIGITS_MAX = 18
GetResponse = Callable[[HttpRequest], HttpResponseBase]


def readable_choices(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method == "POST" and request.path.startswith(reverse("admin:index")):
            for chosen in request.POST.getlist(ACTION_CHECKBOX_NAME):
                if not (chosen.isascii() and chosen.isdigit() and len(chosen) <= ID_DIGITS_MAX):
                    raise BadRequest("A chosen row is named by its number.")
        return get_response(request)

    return middleware
