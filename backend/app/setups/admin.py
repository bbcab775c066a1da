"""Setups in the admin, to read: they are planned and changed where they are checked, on the pages and over REST."""

from django.contrib import admin

from app.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from app.setups.models import Setup, TakeProfit


class TakeProfitInline(ReadOnlyInline):
    """The setup's targets."""

    model = TakeProfit
    fields = ("position", "price", "fraction")


@admin.register(Setup)
class SetupAdmin(ReadOnlyAdmin):
    """Plans."""

    list_display = ("id", "symbol", "side", "entry_type", "entry_price", "stop_price", "state", "account", "owner")
    list_filter = ("side", "entry_type", "account", "owner", "created_at")
    list_select_related = ("account", "owner")
    search_fields = ("symbol", "notes")
    inlines = (TakeProfitInline,)
