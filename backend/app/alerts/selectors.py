"""What is read about alerts, and who may read and acknowledge them."""

from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Q, QuerySet

from app.accounts.access import may_see_accounts
from app.alerts.kinds import AlertKind, Severity
from app.alerts.models import Alert, WatchdogSign
from app.core.errors import Forbidden

WATCHDOG_AGE_SECONDS_MAX = 15


def alerts_visible_to(user: User | AnonymousUser | AbstractBaseUser) -> QuerySet[Alert]:
    """Return the alerts this user may read: those about the system, and about executions of theirs or of all."""
    alerts = Alert.objects.select_related("account", "execution__setup", "acknowledged_by")
    if not isinstance(user, User) or not may_see_accounts(user):
        return alerts.none()
    if user.has_perm("setups.view_all_setups"):
        return alerts
    return alerts.filter(Q(execution=None) | Q(execution__setup__owner=user))


def require_may_acknowledge(alert: Alert, *, user: User | AnonymousUser | AbstractBaseUser) -> User:
    """Return the user. Raises Forbidden `role_missing` for who has neither the permission nor made the setup."""
    if isinstance(user, User):
        own = alert.execution is not None and alert.execution.setup.owner_id == user.pk
        if own or user.has_perm("alerts.acknowledge_alert"):
            return user
    raise Forbidden("Your roles do not let you acknowledge this alert.", code="role_missing")


def alerts_open(user: User | AnonymousUser | AbstractBaseUser) -> QuerySet[Alert]:
    """Return the open alerts this user may read, newest first."""
    return alerts_visible_to(user).filter(resolved_at=None)


def critical_count(user: User | AnonymousUser | AbstractBaseUser) -> int:
    """Return how many open critical alerts nobody has acknowledged, of those this user may read."""
    return alerts_open(user).filter(severity=Severity.CRITICAL.value, acknowledged_at=None).count()


def alert_is_open(*, kind: AlertKind, subject: str) -> bool:
    """Say whether it was told and is not over."""
    return Alert.objects.filter(kind=kind.value, subject=subject, resolved_at=None).exists()


def watchdog_seen_at() -> datetime | None:
    """Return when the watchdog last looked, None where it never did."""
    return WatchdogSign.objects.values_list("seen_at", flat=True).first()


def somebody_watches(*, now: datetime) -> bool:
    """Say whether the watchdog has looked lately."""
    seen_at = watchdog_seen_at()
    return seen_at is not None and now - seen_at <= timedelta(seconds=WATCHDOG_AGE_SECONDS_MAX)
