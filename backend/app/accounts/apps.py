"""The accounts app."""

import sys
from typing import Any

from django.apps import AppConfig
from django.core.signals import got_request_exception
from django.db.models.signals import post_migrate

from app.accounts.pool import pool_renew


class AccountsConfig(AppConfig):
    name = "app.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Keep the roles as the code says after every migration, and the pool without dead connections."""
        post_migrate.connect(_ensure_roles, dispatch_uid="accounts.roles")
        got_request_exception.connect(_renew_pool, dispatch_uid="accounts.pool")


def _renew_pool(**_: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None:
        pool_renew(error)


def _ensure_roles(*, app_config: AppConfig, **_: Any) -> None:
    from app.accounts.services import roles_ensure  # Models can be imported only once all apps are loaded.

    if app_config.label == "executions":  # The last of the apps whose permissions the roles name.
        roles_ensure()
