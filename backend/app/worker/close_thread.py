"""Closes what is to be closed, one step after the other: shares without a stop first, and never many of them at once.

    a person, kill switch, sweep ──> want(execution) ──> waits, with its stop, until there is room ──┐
    guard ── finds shares that are bare because they are being closed ──> wake(execution) ──> first ─┴──> next step

On most roads an exit is cancelled before its shares can be closed. Were all cancelled at once, the last of hundreds
would be bare for as long as the steps of all others take. So no more than `UNDER_WAY_MAX` are bare by our doing at a
time: the next one gives up its stop when an earlier one is closed. One that stays bare for longer than
`UNDER_WAY_SECONDS_MAX` (the account may not hold it, the broker says nothing, the market is closed) is told by others,
and does not keep the rest from being closed.

The account is asked once for a few whose turn it is: it tells the deals of one symbol after the other. One thread takes
all steps, because it knows then how many are bare, and the guard may not wait for the broker's answers. Nothing hangs
on what it remembers: who is bare is read from the rows, and the sweep asks for every step again.
"""

import time
from collections.abc import Callable, Iterable

from django.db import DatabaseError, connections

from app.accounts.pool import pool_renew
from app.brokers.base import BlockingBroker
from app.core import clock
from app.core.errors import TradingError
from app.core.logging import get_logger
from app.domain.close import Bareness
from app.executions.services.close_facts import closed_bare
from app.executions.services.flatten import ClosingAnswer, closing_ask
from app.worker.flatten_waits import flatten_waits
from app.worker.woken_thread import WokenThread

logger = get_logger(__name__)

UNDER_WAY_MAX = 4
UNDER_WAY_SECONDS_MAX = 10.0
# How soon to look again whether there is room, where nobody wakes the thread: a stop may fill while it is cancelled.
ROOM_EVERY_SECONDS = 0.1


class CloseThread(WokenThread):
    """Closes for one connection. `on_doubt` is called where the broker has to be asked for everything first."""

    def __init__(self, *, broker: BlockingBroker, on_doubt: Callable[[], None]) -> None:
        self._broker = broker
        self._on_doubt = on_doubt
        super().__init__(name="close")
        self._wanted: set[int] = set()
        # Of the thread alone: who is bare; who waits for room, with a stop; whose closing order is out.
        self._first: dict[int, None] = {}
        self._waiting: dict[int, None] = {}
        self._last: dict[int, None] = {}
        # Who was bare by the last step, and since when.
        self._under_way: dict[int, float] = {}
        # Of these, whose closing has begun: it is brought to its end before another one begins.
        self._begun: set[int] = set()
        self._answer: ClosingAnswer | None = None

    def want(self, execution_id: int) -> None:
        """Have the next step of closing an execution taken when there is room. Never blocks."""
        with self._lock:
            self._wanted.add(execution_id)
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(ROOM_EVERY_SECONDS if self._waiting else None)
            self._wake.clear()
            self._work()
        connections.close_all()

    def _work(self) -> None:
        """Take steps until none is due, or none has room."""
        while not self._stopping.is_set():
            try:
                self._arrivals()
                turn = self._turn()
            except DatabaseError as error:  # Who is bare cannot be read: the guard and the sweep ask again.
                _note("close_not_read", error)
                return
            if not turn:
                return
            self._step(turn[0], answer=self._answer_for(turn))

    def _arrivals(self) -> None:
        """Take over who was woken or is wanted since: who is bare comes first."""
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        self._first |= dict.fromkeys(sorted(self._taken()))
        new = wanted - self._first.keys() - self._waiting.keys() - self._last.keys()
        bare = _bare(new) or {}
        for execution_id in bare:  # Also whom somebody else, or an earlier process, has left so.
            self._under_way.setdefault(execution_id, time.monotonic())
        urgent = {pk for pk, stands in bare.items() if Bareness.BARE in stands}
        self._first |= dict.fromkeys(sorted(urgent))
        self._last |= dict.fromkeys(sorted(bare.keys() - urgent))
        self._waiting |= dict.fromkeys(sorted(new - bare.keys()))

    def _turn(self) -> list[int]:
        """Return whose turn it is: who is bare, then as many as there is room for, then whose closing order is out."""
        if self._first:
            return sorted(self._first, key=lambda pk: pk not in self._begun)[:UNDER_WAY_MAX]
        bare, now = _bare(self._under_way), time.monotonic()
        if bare is not None:
            self._under_way = {pk: since for pk, since in self._under_way.items() if pk in bare}
            self._begun &= self._under_way.keys()
        counted = sum(now - since < UNDER_WAY_SECONDS_MAX for since in self._under_way.values())
        room = max(UNDER_WAY_MAX - counted, 0)
        return list(self._waiting)[:room] or list(self._last)[:UNDER_WAY_MAX]

    def _answer_for(self, turn: list[int]) -> ClosingAnswer | None:
        """Return what the broker says of the account, asked once for all whose turn it is; None: the step asks."""
        if len(turn) > 1 and (self._answer is None or not self._answer.is_young or turn[0] not in self._answer.asked):
            self._answer = self._ask(turn)
        return self._answer

    def _ask(self, execution_ids: list[int]) -> ClosingAnswer | None:
        try:
            return closing_ask(execution_ids=execution_ids, broker=self._broker, now=clock.now())
        except (DatabaseError, TradingError) as error:  # Each step asks by itself, then.
            _note("close_not_asked", error)
        except Exception:
            logger.exception("close_fault")
        return None

    def _step(self, execution_id: int, *, answer: ClosingAnswer | None) -> None:
        for queue in (self._first, self._waiting, self._last):
            queue.pop(execution_id, None)
        self._under_way.setdefault(execution_id, time.monotonic())  # Until its rows say that it is not.
        self._begun.add(execution_id)
        try:
            if flatten_waits.step(execution_id, broker=self._broker, now=clock.now(), answer=answer):
                self._on_doubt()
        except (DatabaseError, TradingError) as error:
            _note("close_waits", error, execution=execution_id)
        except Exception:  # A fault of ours must not end the thread: the sweep asks again, loudly.
            logger.exception("close_fault", execution=execution_id)


def _bare(execution_ids: Iterable[int]) -> dict[int, set[Bareness]] | None:
    """Return how those stand that are bare; None by a fault of ours, which must not end the only thread that closes.

    Raises DatabaseError.
    """
    try:
        return closed_bare(execution_ids)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("close_fault")
        return None


def _note(what: str, error: DatabaseError | TradingError, **about: int) -> None:
    """Log what failed, and begin the next step with connections that work."""
    logger.warning(what, error=str(error).strip(), **about)
    connections.close_all()
    pool_renew(error)
