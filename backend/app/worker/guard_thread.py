"""Runs the guard beside the connection: after each applied event, and every second over everything that is held.

    recorder ── wake(execution) ──┐
                                  ├──> one thread ── guard_look ──> repairs through the connection, while it is READY
    every second: all that is held┘

A thread of its own, because a repair waits for its turn to be sent, and neither the recorder nor the loop may wait.
No statement of a look may take longer than `STATEMENT_SECONDS_MAX`: what one execution waits for (its row is locked, a
table is read whole) holds up no other. A person is told, until a look is whole again.
"""

import time
from collections.abc import Callable

from django.db import DatabaseError, connections

from app.accounts.models import Account
from app.accounts.pool import pool_renew
from app.accounts.statement_limit import is_held_up, statement_limit
from app.alerts.kinds import AlertKind
from app.alerts.services import alert_raise, alert_resolve
from app.brokers.base import BlockingBroker, ConnectionState
from app.core import clock
from app.core.errors import TradingError
from app.core.logging import get_logger
from app.executions.services.guard import GuardLook, execution_ids_to_guard, guard_look
from app.executions.services.guard_watch import Watch
from app.worker.right_of_way import RightOfWay
from app.worker.woken_thread import WokenThread

logger = get_logger(__name__)

SWEEP_SECONDS = 1.0
# From one look to the next where events follow each other: those of a moment are one look.
LOOK_EVERY_SECONDS = 0.05
# How soon a repair that waits for the broker to put it right by itself is looked at again.
RECHECK_SECONDS = 0.2
STATEMENT_SECONDS_MAX = 2.0


class GuardThread(WokenThread):
    """Keeps promise 2 for one connection. `on_unknown` is called when only the broker's answer can tell more.

    `on_closing` is called with an execution whose shares have no stop, because they are being closed. `way` is told how
    far the looks have come.
    """

    def __init__(
        self,
        *,
        broker: BlockingBroker,
        state: Callable[[], ConnectionState],
        on_unknown: Callable[[], None],
        on_closing: Callable[[int], None] = lambda _execution_id: None,
        way: RightOfWay | None = None,
    ) -> None:
        self._broker = broker
        self._state = state
        self._on_unknown = on_unknown
        self._on_closing = on_closing
        self._way = way or RightOfWay()
        super().__init__(name="guard")
        self._watch = Watch()
        self._swept_at = self._looked_at = float("-inf")
        self._told_held_up: bool | None = None  # Not known: whoever ran before may have told it.

    def _run(self) -> None:
        pause = SWEEP_SECONDS
        while not self._stopping.is_set():
            self._wake.wait(pause)
            self._stopping.wait(max(0.0, self._looked_at + LOOK_EVERY_SECONDS - time.monotonic()))
            self._wake.clear()
            if self._stopping.is_set():
                break
            self._looked_at = time.monotonic()
            recorded = self._way.begins()
            pause = self._look()
            if pause:
                self._way.looked(recorded)
        connections.close_all()

    def _look(self) -> float:
        """Look at what is due; return after how many seconds to look again: none where stops are due still."""
        woken = self._taken()
        if self._state() is not ConnectionState.READY:
            return SWEEP_SECONDS
        self._watch.held_up = ""
        try:
            with statement_limit(seconds=STATEMENT_SECONDS_MAX):
                found = self._look_at(woken)
            self._tell_held_up()
        except (DatabaseError, TradingError) as error:
            logger.warning("guard_waits", error=str(error).strip())
            connections.close_all()
            pool_renew(error)
            if is_held_up(error):
                self._watch.held_up = str(error).strip()
                self._tell_held_up()
            with self._lock:  # They are looked at with all the others, once that works.
                self._woken |= woken
            return SWEEP_SECONDS
        except Exception:  # A fault of ours must not end the guard: the next look comes in a second, loudly.
            logger.exception("guard_fault")
            return SWEEP_SECONDS
        if found.asks_broker:
            self._on_unknown()
        for execution_id in sorted(found.closing):
            self._on_closing(execution_id)
        with self._lock:
            self._woken |= found.again
        if found.repaired:
            self._way.goes_on()
        if found.left:
            return 0.0
        return RECHECK_SECONDS if found.again else SWEEP_SECONDS

    def _tell_held_up(self) -> None:
        """Alert that a look was held up, or that looks are whole again."""
        held_up, account_id = self._watch.held_up, self._broker.account_id
        if bool(held_up) == self._told_held_up or not account_id:
            return
        try:
            if held_up:
                alert_raise(
                    kind=AlertKind.GUARD_HELD_UP,
                    subject=account_id,
                    text=f"A statement of the guard took more than {STATEMENT_SECONDS_MAX:g} s: {held_up}",
                    account_id=Account.objects.get(account_id=account_id).pk,
                    now=clock.now(),
                )
            else:
                alert_resolve(kind=AlertKind.GUARD_HELD_UP, subject=account_id, now=clock.now())
            self._told_held_up = bool(held_up)
        except DatabaseError as error:
            logger.warning("guard_held_up_not_told", error=str(error).strip())

    def _look_at(self, woken: set[int]) -> GuardLook:
        now = clock.now()
        if time.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            woken |= set(execution_ids_to_guard(self._broker.account_id))
        return guard_look(execution_ids=sorted(woken), broker=self._broker, watch=self._watch, now=now)
