"""Logging in. How many passwords are looked at is `app.logins.attempts`' business."""

from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from app.logins.attempts import TooManyAttempts
from app.logins.origin import client_address
from app.web.way_back import page_above

__all__ = ["LimitedAdminLoginForm", "Login", "client_address"]


class LimitedLoginForm(AuthenticationForm):
    """Says how long to wait where no more passwords are looked at."""

    def clean(self) -> dict[str, Any]:
        """Return the cleaned values. Raises ValidationError."""
        try:
            return super().clean()
        except TooManyAttempts as error:
            raise ValidationError(error.message, code=error.code) from None


class LimitedAdminLoginForm(LimitedLoginForm, AdminAuthenticationForm):
    """The same limit where the admin asks for the password."""


class Login(LoginView):
    """The login page."""

    template_name = "web/login.html"
    authentication_form = LimitedLoginForm

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Return the page that was asked for; never the address of a button, which shows none."""
        asked_for = super().get_redirect_url()
        return page_above(asked_for) if asked_for else ""
