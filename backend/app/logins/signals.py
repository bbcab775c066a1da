"""Django tells of every login and logout, on whatever page."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from app.logins.sessions import session_begin, session_over


@receiver(user_logged_in, dispatch_uid="logins.in")
def _logged_in(*, request: HttpRequest, user: Any, **_: Any) -> None:
    session_begin(request, user=user)


@receiver(user_logged_out, dispatch_uid="logins.out")
def _logged_out(*, request: HttpRequest | None, **_: Any) -> None:
    if request is not None:
        session_over(request)
