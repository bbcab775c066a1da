"""One alert for each execution that a person must look at, brought up to date while it lasts, counted, not repeated.

    a reason nobody has seen ── the first ──> the alert, told to every channel
                             └─ the next ───> its text and count; told again where the guard gave up, or ten minutes on

A reason that was told once is not told again: whoever has seen it ends it on the execution or on the alert.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from app.alerts.kinds import AlertKind
from app.alerts.models import Alert
from app.alerts.services import alert_raise, alert_update
from app.core.decimal_text import plain
from app.executions.batches import in_batches
from app.executions.models import Execution, ExecutionFlag

BATCH_LENGTH = 500
FLAGGED_WITHIN = timedelta(days=1)
TELL_AGAIN_AFTER = timedelta(minutes=10)
KINDS = (AlertKind.ATTENTION.value, AlertKind.GUARD_GAVE_UP.value)


def alert_subject(execution_id: int) -> str:
    """Return the subject of the alert about an execution."""
    return f"execution:{execution_id}"


def flags_told(alert: Alert) -> set[int]:
    """Return the ids of the flags that the alert told."""
    return set(alert.details.get("flags", []))


def attention_alerts_follow(*, now: datetime) -> None:
    """Raise an alert for each execution with a reason that was never told, or bring the open one up to date."""
    lately = Q(finished_at__isnull=True) | Q(finished_at__gt=now - FLAGGED_WITHIN)
    for flagged in in_batches(Execution.objects.exclude(attention="").filter(lately), length=BATCH_LENGTH):
        _follow(flagged, now=now)


def _follow(flagged: Sequence[Execution], *, now: datetime) -> None:
    alerts = _alerts_of(flagged)
    unseen = _unseen(flagged)
    for execution in flagged:
        flags, about = unseen.get(execution.pk, []), alerts.get(execution.pk, [])
        told = {flag for alert in about for flag in flags_told(alert)}
        if new := [flag for flag in flags if flag.pk not in told]:
            before = next((alert for alert in about if alert.is_open), None)
            _tell(execution, flags=flags, new=new, before=before, now=now)


def _unseen(executions: Sequence[Execution]) -> Mapping[int, list[ExecutionFlag]]:
    found: dict[int, list[ExecutionFlag]] = {}
    for flag in ExecutionFlag.objects.filter(execution__in=executions, seen_at__isnull=True):
        found.setdefault(flag.execution_id, []).append(flag)
    return found


def _alerts_of(executions: Sequence[Execution]) -> Mapping[int, list[Alert]]:
    found: dict[int, list[Alert]] = {}
    subjects = [alert_subject(execution.pk) for execution in executions]
    for alert in Alert.objects.filter(subject__in=subjects, kind__in=KINDS):
        if alert.execution_id is not None:
            found.setdefault(alert.execution_id, []).append(alert)
    return found


def _tell(
    execution: Execution,
    *,
    flags: Sequence[ExecutionFlag],
    new: Sequence[ExecutionFlag],
    before: Alert | None,
    now: datetime,
) -> None:
    gave_up = any(flag.nature.gives_up for flag in new)
    kind = AlertKind.GUARD_GAVE_UP if gave_up else AlertKind.ATTENTION
    text, ids = _text(execution, flags=flags), [flag.pk for flag in new]
    if before is None:
        alert_raise(
            kind=kind,
            subject=alert_subject(execution.pk),
            text=text,
            details={"flags": ids},
            account_id=execution.account_id,
            execution_id=execution.pk,
            now=now,
        )
        return
    was_given_up = before.kind == AlertKind.GUARD_GAVE_UP
    alert_update(
        before,
        kind=AlertKind.GUARD_GAVE_UP if was_given_up else kind,
        text=text,
        details={"flags": sorted({*flags_told(before), *ids})},
        more=len(new),
        # Who was told minutes ago looks; that shares could not be protected is told at once, whatever was told before.
        tell_again=(gave_up and not was_given_up) or now - before.last_told_at >= TELL_AGAIN_AFTER,
        now=now,
    )


def _text(execution: Execution, *, flags: Sequence[ExecutionFlag]) -> str:
    about = f"{execution.symbol} {execution.side} {plain(execution.quantity)}"
    if len(flags) == 1:
        return f"{about}: {flags[0].sentence}"
    newest = reversed([flag.sentence for flag in flags])
    return "\n".join([f"{about}: {len(flags)} reasons to look, the newest first", *newest])
