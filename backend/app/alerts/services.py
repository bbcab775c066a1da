"""What is written about alerts: raised once while they last, acknowledged by a person, resolved when they are over."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from app.alerts.kinds import NATURE, AlertKind
from app.alerts.models import Alert, DeliveryState, WatchdogSign
from app.core.errors import NotFound
from app.core.logging import get_logger

logger = get_logger(__name__)


def alert_raise(
    *,
    kind: AlertKind,
    subject: str,
    text: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
    account_id: int | None = None,
    execution_id: int | None = None,
) -> Alert:
    """Raise an alert, or note that the open one of this kind and subject still lasts; return it.

    It is sent from its row within seconds, once to each channel. `account_id` and `execution_id` are our rows' keys.
    """
    nature = NATURE[kind]
    alert, new = Alert.objects.get_or_create(
        kind=kind.value,
        subject=subject,
        resolved_at=None,
        defaults={
            "severity": nature.severity.value,
            "title": nature.title,
            "text": text,
            "details": dict(details or {}),
            "account_id": account_id,
            "execution_id": execution_id,
            "raised_at": now,
            "last_seen_at": now,
        },
    )
    if new:
        logger.warning("alert_raised", kind=kind.value, subject=subject, text=text)
    else:
        Alert.objects.filter(pk=alert.pk).update(times=F("times") + 1, last_seen_at=now)
    return alert


@transaction.atomic
def alert_update(
    alert: Alert,
    *,
    kind: AlertKind,
    text: str,
    details: Mapping[str, Any],
    more: int,
    tell_again: bool,
    now: datetime,
) -> None:
    """Bring an open alert up to date: `more` happened since. With `tell_again` every channel is told once more."""
    nature = NATURE[kind]
    Alert.objects.filter(pk=alert.pk, resolved_at=None).update(
        kind=kind.value,
        severity=nature.severity.value,
        title=nature.title,
        text=text,
        details=dict(details),
        times=F("times") + more,
        last_seen_at=now,
    )
    if tell_again:
        alert.deliveries.filter(state=DeliveryState.SENT.value).update(
            state=DeliveryState.PENDING.value, attempts=0, due_at=now
        )
    logger.warning("alert_updated", kind=kind.value, subject=alert.subject, text=text)


@transaction.atomic
def alert_acknowledge(*, alert_id: int, user: User | None, now: datetime) -> Alert:
    """Note that somebody has seen it; the first one stays. What only a person can end is over with that.

    Raises NotFound `alert_not_found`.
    """
    alert = Alert.objects.select_for_update(no_key=True).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound(f"There is no alert {alert_id}.", code="alert_not_found")
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by = now, user
        if NATURE[AlertKind(alert.kind)].ends_with_person and alert.resolved_at is None:
            alert.resolved_at = now
        alert.save(update_fields=["acknowledged_at", "acknowledged_by", "resolved_at"])
    return alert


def alert_resolve(*, kind: AlertKind, subject: str, now: datetime) -> bool:
    """Note that what was alerted is over; say whether it was open."""
    return Alert.objects.filter(kind=kind.value, subject=subject, resolved_at=None).update(resolved_at=now) > 0


def alerts_follow(
    *, kind: AlertKind, texts: Mapping[str, str], now: datetime, account_ids: Mapping[str, int] | None = None
) -> None:
    """Make the open alerts of a kind exactly those of `texts` (subject to text): raise these, resolve all others."""
    for subject, text in texts.items():
        alert_raise(kind=kind, subject=subject, text=text, account_id=(account_ids or {}).get(subject), now=now)
    for subject in _open_subjects(kind):
        if subject not in texts and alert_resolve(kind=kind, subject=subject, now=now):
            logger.info("alert_resolved", kind=kind.value, subject=subject)


def _open_subjects(kind: AlertKind) -> Iterable[str]:
    return list(Alert.objects.filter(kind=kind.value, resolved_at=None).values_list("subject", flat=True))


def watchdog_sign(*, now: datetime) -> None:
    """Note that the watchdog looked."""
    WatchdogSign.objects.update_or_create(pk=1, defaults={"seen_at": now})
