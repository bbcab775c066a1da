"""The accounts app."""

import sys
from typing import Any

from django.apps import AppConfig
from django.apps.registry import Apps
from django.core.signals import got_request_exception
from django.db.models.signals import post_migrate

from app.accounts.pool import pool_renew


class AccountsConfig(AppConfig):
    name = "app.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Make what is new of the roles after every migration, and keep the pool without dead connections."""
        post_migrate.connect(_ensure_roles, dispatch_uid="accounts.roles")
        got_request_exception.connect(_renew_pool, dispatch_uid="accounts.pool")


def _renew_pool(**_: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None:
        pool_renew(error)


def _ensure_roles(*, app_config: AppConfig, apps: Apps | None = None, **_: Any) -> None:
    from app.accounts.roles import roles_ensure  # Models can be imported only once all apps are loaded.

    # While an older state is migrated to, the table that remembers may not be there.
    is_known = apps is None or "rolegrant" in apps.all_models["accounts"]
    if app_config.label == "executions" and is_known:  # The last of the apps whose permissions the roles name.
        roles_ensure()
