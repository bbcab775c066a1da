"""Send alerts, each to each channel once.

    PENDING ── claimed, committed ──> SENDING ── taken ─────────────> SENT
       ▲                                 ├────── refused ──> PENDING with back-off, at last GIVEN_UP
       └───────────── later ─────────────┘
                                         └────── the process died ──> UNKNOWN

At most once where the outcome is not known: a row is claimed before anything is sent, and one whose process died is
not sent again, because the message may have arrived; an alert of its own says so on the pages and to the other
channels. A refusal is certain, so that is tried again. The row is the outbox: no task has to arrive.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from app.alerts import notify
from app.alerts.kinds import AlertKind, Severity
from app.alerts.models import Alert, AlertDelivery, DeliveryState
from app.alerts.notify import Channel, NotDelivered
from app.alerts.services import alert_raise
from app.core import clock
from app.core.logging import get_logger

logger = get_logger(__name__)

ATTEMPTS_MAX = 10
BACKOFF_SECONDS_MIN = 10
BACKOFF_SECONDS_MAX = 900
# A channel that is added later is not told what happened long before.
TOLD_WITHIN = timedelta(hours=1)
# Longer than any send can take: the library gives up connecting and reading well before.
SEND_SECONDS_MAX = 120
BATCH_MAX = 50

Send = Callable[..., None]


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryReport:
    """How many alerts were sent, and how many attempts failed."""

    sent: int
    failed: int


def alerts_deliver(
    *, now: datetime, channels: Sequence[Channel] | None = None, send: Send = notify.send
) -> DeliveryReport:
    """Send what is due. Safe to run in several processes at once. Call it outside any transaction."""
    by_name = {channel.name: channel for channel in (notify.channels() if channels is None else channels)}
    _rows_make(by_name, now=now)
    _lost_tell(now=now)
    due = AlertDelivery.objects.filter(state=DeliveryState.PENDING.value, due_at__lte=now, channel__in=by_name)
    queues: dict[str, list[AlertDelivery]] = {}
    for name in by_name:
        # What was never tried goes before what was refused.
        of_channel = due.filter(channel=name).select_related("alert").order_by("attempts", "due_at", "id")
        queues[name] = list(of_channel[:BATCH_MAX])
    return _round(queues, by_name=by_name, send=send, now=now)


def _round(
    queues: dict[str, list[AlertDelivery]], *, by_name: dict[str, Channel], send: Send, now: datetime
) -> DeliveryReport:
    """Send each channel's deliveries one after the other, and the channels at once: one that hangs delays no other.

    A channel that fails has its turn again at the next round, so that a round ends. Rows are written by this thread.
    """
    sent = failed = 0
    going: dict[Future[None], AlertDelivery] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(queues)), thread_name_prefix="alert") as pool:

        def begin_next(name: str) -> None:
            while queues[name]:
                delivery = queues[name].pop(0)
                if _claim(delivery, due_at=now):
                    going[pool.submit(send, by_name[name], **_message(delivery.alert))] = delivery
                    return

        for name in queues:
            begin_next(name)
        while going:
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                delivery = going.pop(future)
                if _note(delivery, future, now=now):
                    sent += 1
                    begin_next(delivery.channel)
                else:
                    failed += 1
    return DeliveryReport(sent=sent, failed=failed)


def _rows_make(by_name: dict[str, Channel], *, now: datetime) -> None:
    if not by_name:
        return
    recent = Alert.objects.filter(raised_at__gt=now - TOLD_WITHIN)
    known = set(AlertDelivery.objects.filter(alert__in=recent).values_list("alert_id", "channel"))
    AlertDelivery.objects.bulk_create(
        [
            AlertDelivery(alert=alert, channel=name, due_at=now)
            for alert in recent.order_by("id")
            for name in by_name
            # That a channel fails is not told to that channel.
            if (alert.pk, name) not in known and not (_is_of_delivery(alert) and alert.subject == name)
        ],
        ignore_conflicts=True,
    )


def _claim(delivery: AlertDelivery, *, due_at: datetime) -> bool:
    """Take the row for this process alone, from this moment on; say whether it was free.

    A round may have begun minutes ago: by its begin another process would take what is sent now for lost.
    """
    free = AlertDelivery.objects.filter(pk=delivery.pk, state=DeliveryState.PENDING.value, due_at__lte=due_at)
    return free.update(state=DeliveryState.SENDING.value, claimed_at=clock.now()) == 1


def _message(alert: Alert) -> dict[str, Any]:
    severity = Severity(alert.severity)
    return {"title": f"[{alert.severity}] {alert.title}", "body": _body(alert), "severity": severity}


def _note(delivery: AlertDelivery, sending: Future[None], *, now: datetime) -> bool:
    """Store what came of it; say whether the channel has taken it."""
    try:
        sending.result()
    except NotDelivered as error:
        _note_failed(delivery, because=error.message, now=now)
        return False
    delivery.state, delivery.sent_at, delivery.error = DeliveryState.SENT.value, now, ""
    delivery.attempts += 1
    delivery.save(update_fields=["state", "sent_at", "attempts", "error"])
    logger.info("alert_sent", alert=delivery.alert_id, kind=delivery.alert.kind, channel=delivery.channel)
    return True


def _note_failed(delivery: AlertDelivery, *, because: str, now: datetime) -> None:
    delivery.attempts += 1
    delivery.error = because
    last = delivery.attempts >= ATTEMPTS_MAX
    delivery.state = (DeliveryState.GIVEN_UP if last else DeliveryState.PENDING).value
    delivery.due_at = now + timedelta(seconds=backoff_seconds(delivery.attempts))
    delivery.save(update_fields=["state", "attempts", "due_at", "error"])
    logger.warning("alert_not_sent", alert=delivery.alert_id, channel=delivery.channel, tries=delivery.attempts)
    if last:
        _tell(delivery, f"It was given up after {delivery.attempts} attempts: {because}", now=now)


def backoff_seconds(attempts: int) -> int:
    """Return how long to wait after so many failed attempts."""
    return min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN << (attempts - 1))


def _lost_tell(*, now: datetime) -> None:
    """Settle what a process took and never finished: it may have arrived, so it is not sent again."""
    before = now - timedelta(seconds=SEND_SECONDS_MAX)
    lost = AlertDelivery.objects.filter(Q(claimed_at__lte=before), state=DeliveryState.SENDING.value)
    for delivery in lost.select_related("alert")[:BATCH_MAX]:
        because = "The process ended while it was sending: it may have arrived."
        mine = AlertDelivery.objects.filter(pk=delivery.pk, state=DeliveryState.SENDING.value)
        if mine.update(state=DeliveryState.UNKNOWN.value, error=because) == 1:
            _tell(delivery, because, now=now)


def _tell(delivery: AlertDelivery, because: str, *, now: datetime) -> None:
    if _is_of_delivery(delivery.alert):
        return  # Once is enough: an alert about an alert about an alert helps nobody.
    alert_raise(
        kind=AlertKind.DELIVERY_FAILED,
        subject=delivery.channel,
        text=f"{delivery.channel}, alert {delivery.alert_id} ({delivery.alert.title}): {because}",
        details={"alert": delivery.alert_id, "channel": delivery.channel},
        now=now,
    )


def _is_of_delivery(alert: Alert) -> bool:
    return alert.kind == AlertKind.DELIVERY_FAILED.value


def _body(alert: Alert) -> str:
    about = [f"Account: {alert.account}" if alert.account else "", f"Execution: {alert.execution_id or ''}"]
    lines = [alert.text, "", *(line for line in about if line and not line.endswith(": "))]
    return "\n".join([*lines, f"Raised: {alert.raised_at:%Y-%m-%d %H:%M:%S} UTC", f"Alert {alert.pk}, {alert.kind}"])
