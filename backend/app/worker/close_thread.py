"""Takes the next step of closing at once, when the broker has spoken: shares that have no stop do not wait for a sweep.

    guard ── finds shares without a stop that are being closed ──> wake(execution) ──> the next step, in a thread

The account is asked once for all that were woken: who comes last has been without a stop for the steps of the others.
A thread of its own, because a step asks the broker what the account holds, and the guard may not wait for that. The
sweep asks for every step, too, by the queue: nothing hangs on this thread but the time that shares are without a stop.
"""

from collections.abc import Callable

from django.db import DatabaseError, connections

from app.accounts.pool import pool_renew
from app.brokers.base import BlockingBroker
from app.core import clock
from app.core.errors import TradingError
from app.core.logging import get_logger
from app.executions.services.flatten import ClosingAnswer, closing_ask
from app.worker.flatten_waits import flatten_waits
from app.worker.woken_thread import WokenThread

logger = get_logger(__name__)


class CloseThread(WokenThread):
    """Closes for one connection. `on_doubt` is called where the broker has to be asked for everything first."""

    def __init__(self, *, broker: BlockingBroker, on_doubt: Callable[[], None]) -> None:
        self._broker = broker
        self._on_doubt = on_doubt
        super().__init__(name="close")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            self._steps(sorted(self._taken()))
        connections.close_all()

    def _steps(self, execution_ids: list[int]) -> None:
        """Take the next step of each, oldest first, by one answer as long as that is young."""
        answer: ClosingAnswer | None = None
        for place, execution_id in enumerate(execution_ids):
            if self._stopping.is_set():
                break
            together = execution_ids[place:]
            if len(together) > 1 and (answer is None or not answer.is_young):
                answer = self._ask(together)
            self._step(execution_id, answer=answer)

    def _ask(self, execution_ids: list[int]) -> ClosingAnswer | None:
        try:
            return closing_ask(execution_ids=execution_ids, broker=self._broker, now=clock.now())
        except (DatabaseError, TradingError) as error:  # Each step asks by itself, then.
            logger.warning("close_not_asked", error=str(error).strip())
            connections.close_all()
            pool_renew(error)
            return None

    def _step(self, execution_id: int, *, answer: ClosingAnswer | None) -> None:
        try:
            if flatten_waits.step(execution_id, broker=self._broker, now=clock.now(), answer=answer):
                self._on_doubt()
        except (DatabaseError, TradingError) as error:
            logger.warning("close_waits", execution=execution_id, error=str(error).strip())
            connections.close_all()
            pool_renew(error)
        except Exception:  # A fault of ours must not end the thread: the sweep asks again, loudly.
            logger.exception("close_fault", execution=execution_id)
