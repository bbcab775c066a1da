"""How long a session lasts, and how all of a user's are ended.

8 hours without an act of a person    the page's own polling does not count, or no open page would ever be idle
7 days after the password was given   whatever happened meanwhile
"""

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from app.core import clock
from app.core.addresses import network_of
from app.core.logging import get_logger
from app.logins.models import Login, Road
from app.logins.origin import browser_of, client_address, device_remember, road_of

logger = get_logger(__name__)

IDLE_SECONDS_MAX = 8 * 3600
AGE_SECONDS_MAX = settings.SESSION_COOKIE_AGE
# An act is written down no more often than this.
SEEN_SECONDS = 300
LOGGED_IN_AT, SEEN_AT = "logged_in_at", "seen_at"
_POLLED = ("text/event-stream",)
_ASKS_NOBODY = ("/healthz", "/readyz", "/metrics")


class SessionLimits(MiddlewareMixin):
    """Ends a session that is idle or old, and lets the browser of a login be known."""

    def process_request(self, request: HttpRequest) -> None:
        """Look at the session's age before any view does."""
        if request.path in _ASKS_NOBODY or "HTTP_AUTHORIZATION" in request.META or SESSION_KEY not in request.session:
            return
        now = clock.now().timestamp()
        since = float(request.session.setdefault(LOGGED_IN_AT, now))
        seen = float(request.session.setdefault(SEEN_AT, now))
        if now - since > AGE_SECONDS_MAX or now - seen > IDLE_SECONDS_MAX:
            logger.info("session_ended", why="old" if now - since > AGE_SECONDS_MAX else "idle")
            logout(request)
        elif now - seen > SEEN_SECONDS and is_act(request):
            request.session[SEEN_AT] = now
            Login.objects.filter(session_digest=digest_of(request), ended_at=None).update(last_seen_at=clock.now())

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Give the browser its cookie after a login."""
        name = getattr(request, "logged_in_name", "")
        if name:
            device_remember(response, name=name)  # type: ignore[arg-type]
        return response


def is_act(request: HttpRequest) -> bool:
    """Say whether a person did something: sent a form, or went to a page. What a page asks for by itself is none."""
    if request.method not in ("GET", "HEAD"):
        return True
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    polled = request.headers.get("HX-Request") or request.headers.get("Accept", "") in _POLLED
    return not polled


def digest_of(request: HttpRequest) -> str:
    """Return what names the request's session without letting anybody in; empty without a session."""
    key = request.session.session_key if hasattr(request, "session") else None
    return hashlib.sha256(key.encode()).hexdigest() if key else ""


def login_note(request: HttpRequest, *, user: User, now: datetime) -> Login:
    """Write down who logged in from where, by page, admin or for a token."""
    address, road = client_address(request), road_of(request)
    login = Login.objects.create(
        user=user,
        road=road.value,
        address=address[:64],
        network=network_of(address)[:64],
        browser=browser_of(request),
        session_digest="" if road is Road.TOKEN else digest_of(request),
        at=now,
        last_seen_at=now,
        ended_at=now if road is Road.TOKEN else None,
    )
    logger.info("logged_in", user=user.pk, address=address, road=road.value)
    return login


@transaction.atomic
def sessions_end(*, user: User, now: datetime) -> int:
    """End all sessions of a user, in every browser; return how many there were.

    Every session is read, because the key alone does not tell whose it is.
    """
    keys = [
        session.session_key
        for session in Session.objects.filter(expire_date__gte=now).iterator()
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    Session.objects.filter(session_key__in=keys).delete()
    Login.objects.filter(user=user, ended_at=None).update(ended_at=now)
    logger.info("sessions_ended", user=user.pk, count=len(keys))
    return len(keys)


def logins_open(user: User, *, now: datetime) -> list[Login]:
    """Return where the user is logged in, the latest first."""
    return [login for login in Login.objects.filter(user=user, ended_at=None)[:100] if is_open(login, now=now)]


def is_open(login: Login, *, now: datetime) -> bool:
    """Say whether the login's session can be used still."""
    idle, age = (now - login.last_seen_at).total_seconds(), (now - login.at).total_seconds()
    # Acts are written down up to five minutes late.
    return login.ended_at is None and idle <= IDLE_SECONDS_MAX + SEEN_SECONDS and age <= AGE_SECONDS_MAX


def session_begin(request: HttpRequest, *, user: Any) -> None:
    """Give the session of a login its age, and its row."""
    now = clock.now()
    if not request.session.session_key:
        request.session.save()
    request.session[LOGGED_IN_AT] = request.session[SEEN_AT] = now.timestamp()
    login_note(request, user=user, now=now)
    request.logged_in_name = user.get_username()  # type: ignore[attr-defined]  # Read by SessionLimits.


def session_over(request: HttpRequest) -> None:
    """Note that a session was ended."""
    if digest := digest_of(request):
        Login.objects.filter(session_digest=digest, ended_at=None).update(ended_at=clock.now())
