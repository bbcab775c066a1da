"""The one way in: Django's own look at a password, which happens only after the attempt was counted."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from app.logins.attempts import attempt_begin, attempt_end
from app.logins.origin import attempt_of


class CountedBackend(ModelBackend):
    """Looks at a limited number of passwords. Raises TooManyAttempts, which says nothing about the name."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the user whose password it is. Without a request it is a command of ours, and not counted."""
        if request is None or username is None or password is None:
            return super().authenticate(request, username=username, password=password, **kwargs)
        attempt = attempt_of(request, name=username)
        places = attempt_begin(attempt)
        user = None
        try:
            user = super().authenticate(request, username=username, password=password, **kwargs)
        finally:  # What failed in the middle was no right password.
            attempt_end(attempt, places, right=user is not None)
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Do the same; Django's own would go round the count."""
        return await sync_to_async(self.authenticate)(request, username=username, password=password, **kwargs)
