"""Setups in the admin, to read: they are planned and changed where they are checked, on the pages and over REST."""

from django.contrib import admin

from app.accounts.admin_columns import decimal_shown
from app.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from app.core.decimal_text import plain
from app.setups.models import Setup, TakeProfit


class TakeProfitInline(ReadOnlyInline):
    """The setup's targets."""

    model = TakeProfit
    fields = ("position", "target", "part")
    readonly_fields = ("target", "part")
    target = decimal_shown("price", "price", places_min=2)

    @admin.display(description="part of the position")
    def part(self, target: TakeProfit) -> str:
        """Return the fraction as people say it."""
        return f"{plain(target.fraction * 100)} %"


@admin.register(Setup)
class SetupAdmin(ReadOnlyAdmin):
    """Plans."""

    list_display = (
        *("id", "symbol", "side", "entry_type", "entry", "stop", "state", "account", "owner", "created_at"),
    )
    list_filter = ("side", "entry_type", "account", "owner", "created_at")
    list_select_related = ("account", "owner")
    search_fields = ("symbol", "notes")
    inlines = (TakeProfitInline,)
    fieldsets = (
        (None, {"fields": (("symbol", "side", "state"), ("account", "owner"))}),
        ("Plan", {"fields": (("entry_type", "entry", "entry_limit"), "stop", ("shares", "risk", "risk_part"))}),
        ("In force", {"fields": (("time_in_force", "outside_rth"), ("entry_timeout_seconds", "on_timeout"))}),
        ("Contract", {"fields": (("security_type", "exchange", "currency"),), "classes": ("collapse",)}),
        ("Notes", {"fields": ("notes", "tags")}),
        ("Course", {"fields": (("created_at", "updated_at"), ("executed_at", "archived_at"))}),
    )
    readonly_fields = ("state", "entry", "entry_limit", "stop", "shares", "risk", "risk_part")
    entry = decimal_shown("entry_price", "entry", places_min=2)
    entry_limit = decimal_shown("entry_limit_price", "limit", places_min=2)
    stop = decimal_shown("stop_price", "stop", places_min=2)
    shares = decimal_shown("quantity", "shares")
    risk = decimal_shown("risk_amount", "risk", places_min=2)
    risk_part = decimal_shown("risk_percent", "risk, %")
