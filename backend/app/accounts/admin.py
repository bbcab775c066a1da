"""Accounts in the admin: everything is told by the broker, but whether we trade it is ours to switch."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from app.accounts.admin_columns import decimal_shown
from app.accounts.models import Account, BrokerConnection, KillSwitch
from app.accounts.read_only_admin import AnyModelAdmin, ReadOnlyAdmin, ReadOnlyInline


class ConnectionInline(ReadOnlyInline):
    """The account's connections."""

    model = BrokerConnection
    fields = (
        "client_id",
        "state",
        "reason",
        "heartbeat_at",
        "gateway_heard_at",
        "events_waiting",
        "state_changed_at",
        "reconciled_at",
        "order_id_floor",
    )
    readonly_fields = fields


@admin.register(Account)
class AccountAdmin(AnyModelAdmin):
    """`is_active` can be changed; no account is ever deleted."""

    list_display = ("account_id", "mode", "is_active", "currency", "worth", "worth_updated_at")
    list_filter = ("is_active",)
    search_fields = ("account_id",)
    fields = (
        "account_id",
        "mode",
        "is_active",
        "currency",
        "worth",
        "available",
        "power",
        "worth_updated_at",
        "created_at",
    )
    inlines = (ConnectionInline,)
    worth = decimal_shown("net_liquidation", "net liquidation", places_min=2)
    available = decimal_shown("available_funds", "available funds", places_min=2)
    power = decimal_shown("buying_power", "buying power", places_min=2)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return all fields but the switch; a new account is also named."""
        writable = {"is_active"} if obj else {"is_active", "account_id"}
        return tuple(name for name in self.fields or () if isinstance(name, str) and name not in writable)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes: switch it off instead."""
        return False


@admin.register(KillSwitch)
class KillSwitchAdmin(ReadOnlyAdmin):
    """When trading was stopped, by whom and why; released here by who may, never deleted."""

    list_display = ("id", "subject", "is_engaged", "flatten", "reason", "engaged_at", "engaged_by", "released_at")
    list_filter = ("flatten",)
    list_select_related = ("account", "engaged_by")
