"""Where a request comes from: its address, its road, and whether its browser is known."""

import secrets
from ipaddress import ip_address

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from app.core.addresses import address_read, client_of
from app.logins.attempts import Attempt, name_folded
from app.logins.models import Road

DEVICE_COOKIE = "known_browser"
DEVICE_SALT = "app.logins.device"
DEVICE_DAYS = 90
BROWSER_LENGTH_MAX = 200
_WRITTEN_BY_PROXIES = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def client_address(request: HttpRequest) -> str:
    """Return the address the request came from, as the outermost of our proxies saw it."""
    return client_of(
        peer=str(request.META.get("REMOTE_ADDR", "")),
        forwarded=[part for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()],
        proxy_count=settings.PROXY_COUNT,
    )


def is_from_this_machine(request: HttpRequest) -> bool:
    """Say whether a program on this machine asks, itself: what came through a proxy is from anywhere."""
    through_a_proxy = any(name in request.META for name in _WRITTEN_BY_PROXIES)
    peer = address_read(str(request.META.get("REMOTE_ADDR", "")))
    return not through_a_proxy and bool(peer) and ip_address(peer).is_loopback


def attempt_of(request: HttpRequest, *, name: str) -> Attempt:
    """Return who tries to log in, and from where."""
    return Attempt(name=name, address=client_address(request), road=road_of(request), device=_device(request, name))


def road_of(request: HttpRequest) -> Road:
    """Return where the password was given."""
    if request.path.startswith("/api/"):
        return Road.TOKEN
    return Road.ADMIN if request.path.startswith("/admin/") else Road.PAGE


def browser_of(request: HttpRequest) -> str:
    """Return what the browser calls itself, fit to be shown."""
    told = str(request.META.get("HTTP_USER_AGENT", ""))[:BROWSER_LENGTH_MAX]
    return "".join(letter if letter.isprintable() else "?" for letter in told)


def device_remember(response: HttpResponse, *, name: str) -> None:
    """Let this browser be known as one in which this user has logged in. It lets nobody in."""
    response.set_cookie(
        DEVICE_COOKIE,
        signing.dumps([name_folded(name), secrets.token_hex(8)], salt=DEVICE_SALT),
        max_age=DEVICE_DAYS * 86_400,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _device(request: HttpRequest, name: str) -> str:
    try:
        known, device = signing.loads(
            request.COOKIES.get(DEVICE_COOKIE, ""), salt=DEVICE_SALT, max_age=DEVICE_DAYS * 86_400
        )
    except (signing.BadSignature, TypeError, ValueError):
        return ""
    return str(device) if known == name_folded(name) else ""
