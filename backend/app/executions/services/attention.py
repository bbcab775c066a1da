"""Why a person must look at an execution, and that somebody has.

    attention_add ──> ExecutionFlag (sentence, raised_at) ──> execution.attention: the sentences nobody has seen yet
    execution_seen, alert_seen ──> seen_at, seen_by, a decision SEEN; the alert is over when all that it told is seen

Flags are kept for good. A sentence that somebody has seen does not come back by being found again at the next look,
unless what it tells was over meanwhile (see `flags_resolve`); another sentence raises the execution again.
"""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from app.alerts.models import Alert
from app.alerts.services import alert_acknowledge
from app.core import clock
from app.core.logging import get_logger
from app.domain.reasons import COMES_BACK, FLAGS, LASTING, FlagCode
from app.executions import news
from app.executions.decisions import decision_record
from app.executions.models import Actor, Execution, ExecutionFlag
from app.executions.services.attention_alerts import alert_subject, flags_told

logger = get_logger(__name__)

SENTENCE_LENGTH_MAX = 500


def attention_add(execution: Execution, text: str, *, code: FlagCode) -> None:
    """Note why a person must look at the execution, which the caller has locked; each reason once. The caller saves."""
    # One reason is one line, whatever the broker put into its text, and short enough for the index over it.
    text = " ".join(text.splitlines())[:SENTENCE_LENGTH_MAX]
    if text in execution.attention.splitlines():
        return
    # The newest of this sentence: what has come back since it was over is another flag.
    flag = execution.flags.filter(sentence=text).order_by("-id").first()
    if flag is None or (flag.resolved_at is not None and code in COMES_BACK):
        flag = ExecutionFlag.objects.create(
            execution=execution, sentence=text, code=code, raised_at=clock.now(), raised_by=FLAGS[code].raised_by
        )
    if flag.seen_at is not None:
        return
    execution.attention = f"{execution.attention}\n{text}".strip()
    logger.warning("attention", code=str(code), reason=text)


@transaction.atomic
def execution_seen(*, execution_id: int, through: int | None, user: User | None, now: datetime) -> Execution:
    """Note that `user` has looked at the flags up to the one with the id `through`, or at all where it is None.

    What was raised after the page was read is not seen by that. Nothing to see is no error: it is seen already.
    """
    execution = Execution.objects.select_for_update(no_key=True).get(pk=execution_id)
    flags = execution.flags.filter(seen_at__isnull=True)
    _see(execution, list(flags if through is None else flags.filter(pk__lte=through)), user=user, now=now)
    return execution


@transaction.atomic
def alert_seen(*, alert_id: int, user: User, now: datetime) -> Alert:
    """Acknowledge an alert; one about an execution's flag is seen on the execution too. Raises NotFound."""
    execution_id = Alert.objects.filter(pk=alert_id).values_list("execution_id", flat=True).first()
    # The execution is locked first, as everybody locks it, and only then the alert.
    executions = Execution.objects.select_for_update(no_key=True)
    execution = executions.get(pk=execution_id) if execution_id is not None else None
    alert = alert_acknowledge(alert_id=alert_id, user=user, now=now)
    if execution is not None:
        told = flags_told(alert)
        flags = [flag for flag in execution.flags.filter(seen_at__isnull=True) if flag.pk in told]
        _see(execution, flags, user=user, now=now)
    return alert


def _see(execution: Execution, flags: list[ExecutionFlag], *, user: User | None, now: datetime) -> None:
    if not flags:
        return
    for flag in flags:
        flag.seen_at, flag.seen_by = now, user
        if flag.resolved_at is None and flag.code not in LASTING:
            flag.resolved_at, flag.resolved_how = now, "seen"
        flag.save(update_fields=["seen_at", "seen_by", "resolved_at", "resolved_how"])
    seen = {flag.sentence for flag in flags}
    execution.attention = "\n".join(line for line in execution.attention.splitlines() if line not in seen)
    execution.save(update_fields=["attention"])
    left = set(execution.flags.filter(seen_at__isnull=True).values_list("pk", flat=True))
    for alert in Alert.objects.filter(subject=alert_subject(execution.pk), acknowledged_at=None):
        if not left & flags_told(alert):
            alert_acknowledge(alert_id=alert.pk, user=user, now=now)
    decision_record(
        actor=Actor.PERSON,
        user=user,
        action="SEEN",
        reason="\n".join(flag.sentence for flag in flags),
        evidence={"flags": [flag.pk for flag in flags]},
        account=execution.account,
        execution=execution,
        now=now,
    )
    news.publish_on_commit(execution.pk)
