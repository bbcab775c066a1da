"""The accounts app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "app.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Keep the roles' permissions as the code says, after every migration."""
        post_migrate.connect(_ensure_roles, dispatch_uid="accounts.roles")


def _ensure_roles(*, app_config: AppConfig, **_: Any) -> None:
    from app.accounts.services import roles_ensure  # Models can be imported only once all apps are loaded.

    if app_config.label == "executions":  # The last of the apps whose permissions the roles name.
        roles_ensure()
