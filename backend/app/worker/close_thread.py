"""Takes the next step of closing at once, when the broker has spoken: shares that have no stop do not wait for a sweep.

    guard ── finds shares without a stop that are being closed ──> wake(execution) ──> the next step, in a thread

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
            for execution_id in sorted(self._taken()):
                if not self._stopping.is_set():
                    self._step(execution_id)
        connections.close_all()

    def _step(self, execution_id: int) -> None:
        try:
            if flatten_waits.step(execution_id, broker=self._broker, now=clock.now()):
                self._on_doubt()
        except (DatabaseError, TradingError) as error:
            logger.warning("close_waits", execution=execution_id, error=str(error).strip())
            connections.close_all()
            pool_renew(error)
        except Exception:  # A fault of ours must not end the thread: the sweep asks again, loudly.
            logger.exception("close_fault", execution=execution_id)
