"""The app of logins: who may try a password, who is logged in, from where, and for how long."""

from django.apps import AppConfig


class LoginsConfig(AppConfig):
    name = "app.logins"
    label = "logins"

    def ready(self) -> None:
        """Note every login and logout, whatever page it was made on."""
        from app.logins import signals  # noqa: F401 - Importing connects.
