"""Logging in, with a limit on guessing passwords."""

from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from redis.exceptions import RedisError

from app.core.addresses import client_of
from app.core.logging import get_logger

logger = get_logger(__name__)

ATTEMPTS_MAX = 10
WINDOW_SECONDS = 60


class LimitedLoginForm(AuthenticationForm):
    """Refuses to look at passwords after ten failures in a minute, for one name or from one address."""

    def clean(self) -> dict[str, Any]:
        """Return the cleaned values. Raises ValidationError."""
        keys = self._keys()
        if any(_count(key) >= ATTEMPTS_MAX for key in keys):
            raise ValidationError("Too many attempts; wait a minute.", code="throttled")
        try:
            return super().clean()
        except ValidationError:
            for key in keys:
                _add(key)
            raise

    def _keys(self) -> list[str]:
        address = client_address(self.request) if self.request else ""
        return [f"login:address:{address!r}", f"login:name:{self.cleaned_data.get('username', '')!r}"]


class LimitedAdminLoginForm(LimitedLoginForm, AdminAuthenticationForm):
    """The same limit where the admin asks for the password."""


class Login(LoginView):
    """The login page."""

    template_name = "web/login.html"
    authentication_form = LimitedLoginForm


def client_address(request: HttpRequest) -> str:
    """Return the address the request came from, as the outermost of our proxies saw it."""
    return client_of(
        peer=str(request.META.get("REMOTE_ADDR", "")),
        forwarded=[part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()],
        proxy_count=settings.PROXY_COUNT,
    )


def _count(key: str) -> int:
    try:
        return int(cache.get(key, 0))
    except RedisError as error:
        logger.warning("login_not_limited", error=str(error))
        return 0


def _add(key: str) -> None:
    try:
        cache.add(key, 0, timeout=WINDOW_SECONDS)
        cache.incr(key)
    except (RedisError, ValueError) as error:  # ValueError: the window ended between the two calls.
        logger.warning("login_not_counted", error=str(error))
