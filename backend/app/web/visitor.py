"""Who looks at a page, asked anew: a page that stays open must not outlive the session and the roles it was made for.

A page carries the `standing` of the user it was made for. While it is open, its stream reads session, user and roles
again and again, and ends where they are no longer the same.
"""

import hashlib
from enum import StrEnum
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from app.core import clock
from app.logins.sessions import AGE_SECONDS_MAX, IDLE_SECONDS_MAX, LOGGED_IN_AT, SEEN_AT

SESSIONS = import_module(settings.SESSION_ENGINE)


class Ending(StrEnum):
    """Why a page can no longer be kept current; the page's script knows these words."""

    SESSION = "session"  # logged out, deactivated, expired, or the password was changed
    STANDING = "standing"  # other roles, or another user in the same browser
    GONE = "gone"  # what the page shows may not be seen, or is not there


ENDING_SENTENCES = {
    Ending.SESSION: "You are logged out.",
    Ending.STANDING: "You are logged in as somebody else, or your roles changed: this page is no longer yours.",
    Ending.GONE: "What this page shows is gone, or is no longer yours to see.",
}


class Ended(Exception):
    """The page can no longer be kept current."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ENDING_SENTENCES[ending])
        self.ending = ending


def standing_of(user: User | AbstractBaseUser | AnonymousUser) -> str:
    """Return a short name for "this user with these permissions"; "" for nobody."""
    if not isinstance(user, User) or not user.is_active:
        return ""
    allowed = sorted(user.get_all_permissions())
    return hashlib.sha256(repr((user.pk, user.is_staff, user.is_superuser, allowed)).encode()).hexdigest()[:16]


def visitor_read_again(request: HttpRequest, *, session_key: str | None, standing: str) -> User:
    """Read session, user and roles from the database into the request; return the user. Raises Ended."""
    request.session = SESSIONS.SessionStore(session_key)
    user = get_user(request)
    if not isinstance(user, User) or _is_too_old(request):
        raise Ended(Ending.SESSION)
    request.user = user
    if standing_of(user) != standing:
        raise Ended(Ending.STANDING)
    return user


def _is_too_old(request: HttpRequest) -> bool:
    now = clock.now().timestamp()
    idle, age = now - request.session.get(SEEN_AT, now), now - request.session.get(LOGGED_IN_AT, now)
    return bool(idle > IDLE_SECONDS_MAX or age > AGE_SECONDS_MAX)
