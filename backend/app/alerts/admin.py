"""Alerts in the admin, with what became of telling them; only to read."""

from django.contrib import admin

from app.accounts.read_only_admin import ReadOnlyAdmin, ReadOnlyInline
from app.alerts.models import Alert, AlertDelivery


class DeliveryInline(ReadOnlyInline):
    """The alert's way to each channel."""

    model = AlertDelivery
    verbose_name_plural = "alert deliveries"
    fields = ("channel", "state", "attempts", "due_at", "sent_at", "error")
    readonly_fields = fields


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What people were told."""

    list_display = ("id", "kind", "severity", "subject", "text", "raised_at", "times", "acknowledged_by", "resolved_at")
    list_filter = ("kind", "severity")
    list_select_related = ("acknowledged_by",)
    inlines = (DeliveryInline,)
