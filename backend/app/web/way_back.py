"""The way through the login page and back: whoever finds the session gone comes back to the page they were on.

a page         302 to the login page, `next` is the page (Django's own)
a button       302 to the login page, `next` is the page with the button: the button's own address shows no page
htmx           401 with `HX-Redirect`: the whole page goes there; the login page is never put into a part of it
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urlsplit

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve
from django.utils.decorators import sync_and_async_middleware

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
SAFE_METHODS = ("GET", "HEAD")
# Addresses that only take what a button sends; the page with the button stands above them.
BUTTONS = frozenset(
    {
        "web:setup-execute",
        "web:setup-archive",
        "web:setup-restore",
        "web:execution-cancel",
        "web:execution-close",
        "web:execution-move",
        "web:execution-seen",
        "web:alert-seen",
        "web:kill-switch-engage",
        "web:kill-switch-release",
        "web:login-end-all",
        "web:logout",
        "web:live-stream",
        "web:live-now",
    }
)


@sync_and_async_middleware
def back_to_the_page(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""
    if iscoroutinefunction(get_response):

        async def asynchronous(request: HttpRequest) -> HttpResponseBase:
            return _led(request, await get_response(request))

        return asynchronous

    def synchronous(request: HttpRequest) -> HttpResponseBase:
        return _led(request, get_response(request))  # type: ignore[arg-type]

    return synchronous


def page_above(address: str) -> str:
    """Return the address of the page that this address belongs to: itself, unless it only takes what a button sends."""
    path = urlsplit(address).path
    while path.strip("/"):
        try:
            if resolve(path).view_name not in BUTTONS:
                return address if path == urlsplit(address).path else path
        except Resolver404:
            if path == urlsplit(address).path:
                return address
        path = path.rstrip("/").rpartition("/")[0] + "/"
    return "/"


def _led(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    login = resolve_url(settings.LOGIN_URL)
    if response.status_code != 302 or not response.headers.get("Location", "").startswith(f"{login}?"):
        return response
    by_htmx = request.headers.get("HX-Request") == "true"
    if not by_htmx and request.method in SAFE_METHODS:
        return response
    named = request.headers.get("HX-Current-URL" if by_htmx else "Referer", "")
    shown = _own_path(request, named) or request.get_full_path()
    target = f"{login}?{urlencode({'next': page_above(shown)}, safe='/')}"
    if not by_htmx:
        response["Location"] = target
        return response
    return HttpResponse("You are logged out.", status=401, headers={"HX-Redirect": target, "Cache-Control": "no-store"})


def _own_path(request: HttpRequest, url: str) -> str:
    parts = urlsplit(url)
    if (parts.scheme, parts.netloc) != (request.scheme, request.get_host()):
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")
