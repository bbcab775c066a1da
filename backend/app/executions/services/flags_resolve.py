"""End flags by evidence: what a flag of its code says is true no more, or its execution is over.

    unresolved flags ── by `over_when` of their code ──> resolved_at, resolved_how

Seeing a flag ends it only where it tells of something past; what lasts ends when it is over, seen or not. A flag that
is resolved still stands in `attention` until somebody has seen it: that shares were bare is to be known afterwards too.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.db.models import QuerySet

from app.domain.market_hours import regular_hours_next
from app.domain.protection import Coverage
from app.domain.reasons import FLAGS, LASTING, FlagCode, OverWhen
from app.executions.batches import in_batches
from app.executions.models import Execution, ExecutionFlag
from app.executions.services.close_facts import keep_of
from app.executions.services.guard import bracket_protection
from app.executions.services.overdue import overdue_find

EXECUTION_OVER = "execution_over"
BATCH_LENGTH = 500


def flags_resolve(*, now: datetime) -> int:
    """Resolve what is over; return how many flags were."""
    lasting = ExecutionFlag.objects.filter(resolved_at__isnull=True, code__in=LASTING)
    asks = any(FLAGS[FlagCode(code)].over_when is OverWhen.ANSWERED for code in _codes(lasting))
    waiting = {(late.execution_id, late.text) for late in overdue_find(now=now)} if asks else set()
    return sum(_batch_resolve(flags, waiting=waiting, now=now) for flags in in_batches(lasting, length=BATCH_LENGTH))


def _codes(flags: QuerySet[ExecutionFlag]) -> Iterable[str]:
    return flags.order_by().values_list("code", flat=True).distinct()


def _batch_resolve(flags: Sequence[ExecutionFlag], *, waiting: Collection[tuple[int, str]], now: datetime) -> int:
    by_execution: dict[int, list[ExecutionFlag]] = {}
    for flag in flags:
        by_execution.setdefault(flag.execution_id, []).append(flag)
    executions = Execution.objects.filter(pk__in=by_execution).prefetch_related("brackets__orders")
    return sum(
        _resolve(flag, how=how, now=now)
        for execution in executions
        for flag in by_execution[execution.pk]
        if (how := _over(flag, execution, waiting=waiting, now=now))
    )


def _over(flag: ExecutionFlag, execution: Execution, *, waiting: Collection[tuple[int, str]], now: datetime) -> str:
    """Return what ended the flag, "" where nothing has."""
    when = flag.nature.over_when
    if when is OverWhen.ANSWERED:
        is_over = (execution.pk, flag.sentence) not in waiting
    elif when is OverWhen.BALANCED:
        is_over = execution.open_quantity >= 0
    elif execution.is_finished:
        return EXECUTION_OVER
    elif when is OverWhen.COVERED:
        judged = [bracket_protection(bracket).coverage for bracket in execution.brackets.all()]
        is_over = all(coverage is Coverage.COVERED for coverage in judged)
    elif when is OverWhen.NOT_CLOSING:
        is_over = all(keep_of(execution, bracket) is None for bracket in execution.brackets.all())
    elif when is OverWhen.MARKET_OPEN:
        is_over = execution.open_quantity == 0 or regular_hours_next(now) is None
    else:
        is_over = execution.open_quantity == 0
    return when.value.lower() if is_over else ""


def _resolve(flag: ExecutionFlag, *, how: str, now: datetime) -> int:
    unresolved = ExecutionFlag.objects.filter(pk=flag.pk, resolved_at__isnull=True)
    return unresolved.update(resolved_at=now, resolved_how=how)
