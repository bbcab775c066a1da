"""Closing that has to wait is tried again, ever more rarely, and told once.

Each sweep, once a second, asks for the next step of everything that is to be closed. While the account may not hold a
position, each try asks the broker for its deals and positions and changes nothing, so the pause grows:

    in doubt ── 1, 2, 4 ... 30 s ──> tried again ──> sent
        │ ten seconds of it: a person is told, once
        └ a comparison that settles the doubt: tried at once
    refused ── 1, 2, 4, 5 ... s ──> tried again: the broker refuses what closes other positions, so its stop is kept

Every other reason (no connection, a full queue) costs the broker nothing and is over in a moment, so there is no pause.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.accounts.models import Position
from app.brokers.base import BlockingBroker
from app.core.errors import Conflict, RetryLater
from app.core.logging import get_logger
from app.executions.models import Execution
from app.executions.services.connection_row import holding_of
from app.executions.services.flatten import (
    CLOSES_REFUSED,
    POSITION_IN_DOUBT,
    ClosingAnswer,
    execution_flatten_send,
    flatten_wait_tell,
)

logger = get_logger(__name__)

PAUSE_FIRST = timedelta(seconds=1)
PAUSE_MAX = {POSITION_IN_DOUBT: timedelta(seconds=30), CLOSES_REFUSED: timedelta(seconds=5)}
TOLD_AFTER = {POSITION_IN_DOUBT: timedelta(seconds=10), CLOSES_REFUSED: timedelta(0)}
# Who waits and is asked for no more has ended by another way.
FORGOTTEN_AFTER = timedelta(minutes=10)


@dataclass
class _Wait:
    """Why one execution waits, since when, and when it is tried again."""

    reason: str
    since: datetime
    tried_at: datetime
    pause: timedelta = timedelta()
    was_noted: bool = False
    is_told: bool = False


class FlattenWaits:
    """What waits to be closed. Steps of several executions may be taken at once, from threads."""

    def __init__(self) -> None:
        self._waits: dict[int, _Wait] = {}
        self._lock = threading.Lock()

    def step(
        self, execution_id: int, *, broker: BlockingBroker, now: datetime, answer: ClosingAnswer | None = None
    ) -> bool:
        """Take the next step of closing unless its pause lasts; say whether the broker should be asked for everything.

        `answer` is what the broker said of the account, where it was asked for several.
        Raises what `execution_flatten_send` raises, but for what is only a reason to wait.
        """
        wait = self._waits.get(execution_id)
        if wait is not None and now < wait.tried_at + wait.pause and not _is_settled(execution_id, wait):
            return False
        try:
            execution_flatten_send(execution_id=execution_id, broker=broker, now=now, answer=answer)
        except (RetryLater, Conflict) as error:
            wait = self._note(execution_id, reason=error.code, now=now)
        else:
            self._forget(execution_id)
            return False
        if wait.reason not in PAUSE_MAX:
            return False
        if not wait.is_told and now - wait.since >= TOLD_AFTER[wait.reason]:
            flatten_wait_tell(execution_id=execution_id, reason=wait.reason, holding=holding_of(broker))
            wait.is_told = True
        if wait.reason != POSITION_IN_DOUBT:
            return False
        wait.was_noted = _is_noted(execution_id)
        return True

    def _note(self, execution_id: int, *, reason: str, now: datetime) -> _Wait:
        with self._lock:
            self._waits = {pk: wait for pk, wait in self._waits.items() if now - wait.tried_at < FORGOTTEN_AFTER}
            wait = self._waits.get(execution_id)
            if wait is None or wait.reason != reason:
                logger.warning("flatten_waits", execution=execution_id, reason=reason)
                wait = self._waits[execution_id] = _Wait(reason=reason, since=now, tried_at=now)
            wait.tried_at = now
            if reason in PAUSE_MAX:
                wait.pause = min(max(wait.pause * 2, PAUSE_FIRST), PAUSE_MAX[reason])
        return wait

    def _forget(self, execution_id: int) -> None:
        with self._lock:
            wait = self._waits.pop(execution_id, None)
        if wait is not None:
            logger.info("flatten_goes_on", execution=execution_id, waited_for=wait.reason)


# Of this process: the steps of one execution are taken by its tasks and by the thread that closes.
flatten_waits = FlattenWaits()


def _is_settled(execution_id: int, wait: _Wait) -> bool:
    """Say whether the comparison that noted the doubt was followed by one that ended it."""
    return wait.was_noted and not _is_noted(execution_id)


def _is_noted(execution_id: int) -> bool:
    of_it = Execution.objects.filter(pk=execution_id).values_list("account_id", "con_id").first()
    if of_it is None:
        return False
    account_id, con_id = of_it
    return Position.objects.filter(account=account_id, con_id=con_id, disputed_since__isnull=False).exists()
