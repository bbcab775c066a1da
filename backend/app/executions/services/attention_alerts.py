"""One alert for each execution that a person must look at, brought up to date while it lasts, counted, not repeated.

    a reason nobody has seen ── the first ──> the alert, told to every channel
                             └─ the next ───> its text and count; told again where the guard gave up, or ten minutes on

A reason that was told once is not told again: whoever has seen it ends it on the execution or on the alert.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from app.alerts.kinds import AlertKind
from app.alerts.models import Alert
from app.alerts.services import alert_raise, alert_update
from app.core.decimal_text import plain
from app.executions.models import Actor, Decision, Execution

FLAGGED_MAX = 500
FLAGGED_WITHIN = timedelta(days=1)
TELL_AGAIN_AFTER = timedelta(minutes=10)
KINDS = (AlertKind.ATTENTION.value, AlertKind.GUARD_GAVE_UP.value)


def alert_subject(execution_id: int) -> str:
    """Return the subject of the alert about an execution."""
    return f"execution:{execution_id}"


def sentences_told(alert: Alert) -> list[str]:
    """Return the reasons that the alert told."""
    told: list[str] = alert.details.get("told", [])
    return told


def attention_alerts_follow(*, now: datetime) -> None:
    """Raise an alert for each execution with a reason that was never told, or bring the open one up to date."""
    lately = Q(finished_at__isnull=True) | Q(finished_at__gt=now - FLAGGED_WITHIN)
    flagged = list(Execution.objects.exclude(attention="").filter(lately).order_by("-id")[:FLAGGED_MAX])
    alerts = _alerts_of(flagged)
    news = {execution.pk: _never_told(execution, alerts.get(execution.pk, ())) for execution in flagged}
    given_up = _given_up([execution for execution in flagged if news[execution.pk]])
    for execution in flagged:
        if new := news[execution.pk]:
            before = next((alert for alert in alerts.get(execution.pk, ()) if alert.is_open), None)
            gave_up = bool(given_up.get(execution.pk, set()) & set(new))
            _tell(execution, new=new, before=before, gave_up=gave_up, now=now)


def _never_told(execution: Execution, alerts: Iterable[Alert]) -> list[str]:
    told = {sentence for alert in alerts for sentence in sentences_told(alert)}
    return [line for line in execution.attention.splitlines() if line not in told]


def _alerts_of(executions: Sequence[Execution]) -> Mapping[int, list[Alert]]:
    found: dict[int, list[Alert]] = {}
    subjects = [alert_subject(execution.pk) for execution in executions]
    for alert in Alert.objects.filter(subject__in=subjects, kind__in=KINDS):
        if alert.execution_id is not None:
            found.setdefault(alert.execution_id, []).append(alert)
    return found


def _tell(execution: Execution, *, new: list[str], before: Alert | None, gave_up: bool, now: datetime) -> None:
    kind = AlertKind.GUARD_GAVE_UP if gave_up else AlertKind.ATTENTION
    if before is None:
        alert_raise(
            kind=kind,
            subject=alert_subject(execution.pk),
            text=_text(execution),
            details={"told": new},
            account_id=execution.account_id,
            execution_id=execution.pk,
            now=now,
        )
        return
    was_given_up = before.kind == AlertKind.GUARD_GAVE_UP
    alert_update(
        before,
        kind=AlertKind.GUARD_GAVE_UP if was_given_up else kind,
        text=_text(execution),
        details={"told": [*sentences_told(before), *new]},
        more=len(new),
        # Who was told minutes ago looks; that shares could not be protected is told at once, whatever was told before.
        tell_again=(gave_up and not was_given_up) or now - before.last_told_at >= TELL_AGAIN_AFTER,
        now=now,
    )


def _text(execution: Execution) -> str:
    about = f"{execution.symbol} {execution.side} {plain(execution.quantity)}"
    lines = execution.attention.splitlines()
    if len(lines) == 1:
        return f"{about}: {lines[0]}"
    return "\n".join([f"{about}: {len(lines)} reasons to look, the newest first", *reversed(lines)])


def _given_up(executions: Sequence[Execution]) -> Mapping[int, set[str]]:
    """Return what the guard left to a person, by execution."""
    found: dict[int, set[str]] = {}
    asked = Decision.objects.filter(execution__in=executions, actor=Actor.GUARD.value, action="ASK")
    for execution_id, reason in asked.values_list("execution_id", "reason"):
        if execution_id is not None:
            found.setdefault(execution_id, set()).add(reason)
    return found
