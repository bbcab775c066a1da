"""The row that each reconcile leaves: what was answered, what differed, what was done, or why it failed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from app.accounts.fencing import Holding, fence_require
from app.accounts.models import BrokerConnection
from app.accounts.services import account_ensure
from app.domain.broker_events import AnyBrokerEvent
from app.executions.models import ReconcileRun

# A run that found nothing is of no interest for long; one that did, or failed, is kept.
QUIET_RUNS_KEPT = 100
DIFFERENCES_MAX = 500


def reconcile_run_begin(*, account_id: str, connection_id: int, now: datetime) -> ReconcileRun:
    """Add a run that has only begun."""
    client_id = BrokerConnection.objects.values_list("client_id", flat=True).get(pk=connection_id)
    return ReconcileRun.objects.create(account=account_ensure(account_id), client_id=client_id, started_at=now)


def reconcile_run_fail(run: ReconcileRun, *, error_code: str, error: str, now: datetime) -> None:
    """Note why nothing could be concluded."""
    run.error_code, run.error, run.finished_at = error_code, error, now
    run.save(update_fields=["error_code", "error", "finished_at"])


def reconcile_run_note(
    run: ReconcileRun,
    *,
    answered: Mapping[str, Any],
    news: Sequence[AnyBrokerEvent],
    not_placed: Sequence[str],
    vanished: Sequence[str],
    left_behind: Sequence[int],
    drifts: Sequence[str],
) -> None:
    """Note what was answered, what we had not known, and what follows from it; `reconcile_run_complete` saves it."""
    run.answered |= dict(answered)
    differences = [{"what": event.kind, "key": event.dedupe_key} for event in news]
    differences += [{"what": "unknown_to_broker", "order_ref": ref} for ref in [*not_placed, *vanished]]
    differences += [{"what": "position_drift", "text": text} for text in drifts]
    run.differences = differences[:DIFFERENCES_MAX]
    run.actions = [
        *({"action": "not_placed", "order_ref": ref} for ref in not_placed),
        *({"action": "flagged", "order_ref": ref} for ref in vanished),
        *({"action": "cancel", "order_id": order_id} for order_id in left_behind),
        *({"action": "alert", "text": text} for text in drifts),
    ]


@transaction.atomic
def reconcile_run_complete(run: ReconcileRun, *, holding: Holding, now: datetime) -> None:
    """Save a run whose every question was answered, and forget old ones that found nothing.

    Raises Fenced where another worker has taken over meanwhile: what is true now is in its run.
    """
    fence_require(holding)
    run.is_complete, run.finished_at = True, now
    run.save()
    quiet = ReconcileRun.objects.filter(account=run.account, is_complete=True, differences=[], actions=[])
    oldest_kept = quiet.order_by("-id").values_list("id", flat=True)[QUIET_RUNS_KEPT - 1 : QUIET_RUNS_KEPT]
    for kept in oldest_kept:
        quiet.filter(id__lt=kept).delete()
