"""The composition root as a Django app, so that its system checks are known to every command."""

from django.apps import AppConfig


class CompositionConfig(AppConfig):
    name = "app.config"
    label = "config"

    def ready(self) -> None:
        """Register the checks; they read models, which are loaded by now."""
        from app.config import checks  # noqa: F401 - Importing registers.
