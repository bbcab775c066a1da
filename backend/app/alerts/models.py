"""Alerts, what became of telling them, and the sign of life of who watches.

Alert ──┬─ AlertDelivery (one for each channel)      WatchdogSign: when somebody last looked
        └─ one open alert for each (kind, subject)
"""

from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.db import models
from django.db.models import Max, Q

from app.accounts.models import Account
from app.alerts.kinds import AlertKind, Severity


def _choices(vocabulary: type[StrEnum]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in vocabulary]


class Alert(models.Model):
    """One thing a person is told. `subject` names what it is about, so that it is told once while it lasts."""

    kind = models.CharField(max_length=32, choices=_choices(AlertKind))
    subject = models.CharField(max_length=200)
    severity = models.CharField(max_length=16, choices=_choices(Severity))
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="alerts")
    execution = models.ForeignKey("executions.Execution", on_delete=models.PROTECT, null=True, related_name="alerts")
    title = models.CharField(max_length=200)
    text = models.TextField()
    details = models.JSONField(default=dict)
    times = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("acknowledge_alert", "May acknowledge alerts")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(resolved_at__isnull=True), name="one_open_alert_per_subject"
            ),
        ]
        indexes = [
            models.Index(fields=["raised_at"], name="alert_by_time"),
            models.Index(fields=["subject"], name="alert_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    @property
    def is_open(self) -> bool:
        """Whether it still lasts."""
        return self.resolved_at is None

    @property
    def last_told_at(self) -> datetime:
        """When a channel last took it; when it was raised where none has."""
        told: datetime | None = self.deliveries.aggregate(at=Max("sent_at"))["at"]
        return told or self.raised_at


class DeliveryState(StrEnum):
    """Where telling an alert to a channel stands."""

    PENDING = "PENDING"  # to be sent, or to be tried again
    SENDING = "SENDING"  # taken by a process
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"  # the process ended while it sent: it may have arrived, and is not sent again
    GIVEN_UP = "GIVEN_UP"


class AlertDelivery(models.Model):
    """One alert on its way to one channel. `channel` names the address without telling it."""

    alert = models.ForeignKey(Alert, on_delete=models.PROTECT, related_name="deliveries")
    channel = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=_choices(DeliveryState), default=DeliveryState.PENDING.value)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["alert_id", "channel"]
        constraints = [models.UniqueConstraint(fields=["alert", "channel"], name="one_delivery_per_channel")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state__in=["PENDING", "SENDING"]), name="delivery_unfinished")
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} {self.channel} {self.state}"


class WatchdogSign(models.Model):
    """When the watchdog last looked: one row. Where it grows old, nobody watches."""

    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_watchdog_sign")]

    def __str__(self) -> str:
        return f"{self.seen_at:%Y-%m-%d %H:%M:%S}"
