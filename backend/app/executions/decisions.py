"""Write down what was decided, in the transaction that does it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from app.accounts.models import Account
from app.core.logging import get_logger
from app.executions.models import Actor, Bracket, Decision, Execution, Order

logger = get_logger(__name__)


def decision_record(
    *,
    actor: Actor,
    action: str,
    reason: str,
    now: datetime,
    evidence: Mapping[str, Any] | None = None,
    user: User | None = None,
    account: Account | None = None,
    execution: Execution | None = None,
    bracket: Bracket | None = None,
    order: Order | None = None,
) -> Decision:
    """Add a decision. `evidence` is JSON: what was known when it was taken."""
    logger.info("decided", actor=actor.value, action=action, reason=reason)
    return Decision.objects.create(
        actor=actor.value,
        user=user,
        action=action,
        reason=reason,
        evidence=dict(evidence or {}),
        account=account,
        execution=execution,
        bracket=bracket,
        order=order,
        decided_at=now,
    )
