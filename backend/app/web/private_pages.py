"""What keeps an answer to the one who asked: a middleware for pages, API and admin alike.

    Cache-Control: no-store    after a logout nothing of an account is left in the browser, or in a proxy
    Vary                       an answer by cookie or token is nobody else's
    Permissions-Policy         a page of ours needs no camera, no place, no payment; so none can be talked out of it

Static files do not come this way: they are anybody's. The Content-Security-Policy is django-csp's, in the settings.
"""

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from app.web.static_files import GetResponse

_NEVER_NEEDED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY = ", ".join(f"{name}=()" for name in _NEVER_NEEDED)


@sync_and_async_middleware
def private_pages(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return _kept_private(request, await get_response(request))

        return answer_async  # type: ignore[return-value]  # Django accepts either kind.

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _kept_private(request, get_response(request))

    return answer


def _kept_private(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
    by_token = ("Authorization",) if request.path.startswith("/api/") else ()
    patch_vary_headers(response, ("Cookie", *by_token))
    return response
