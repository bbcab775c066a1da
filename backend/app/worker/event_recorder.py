"""Takes the broker's events in the order they came and has each stored and applied.

    connection's loop ── put (never blocks) ──> queue ──> one thread ── broker_events_record ──> rows, news

What waits is recorded together, so that a burst pays for locks and commits once. One thread, because order matters; in
a backlog the news of a lost order goes first, without changing the order of its execution's events, and what is about
no order of ours goes last (see event_queue).
While the database is away events wait in the queue; an event that cannot be applied is stored as told and flags its
execution, so that one bad event neither blocks the road nor is lost.

Numbered points at which the process may die, what the rows say then, and who makes it good:

    1 received, in the queue            nothing of the event                the broker is asked: it tells it again
    2 taken, waits for the execution    nothing of the event                the same
    3 stored, not committed             nothing of the event                the same: stored and applied, or neither
    4 committed, news not published     the event and what it means         readers poll; told again, it is known
    5 published, guard has not looked   the event and what it means         the guard looks at all that is held
    6 repair written down, not ahead    PROTECT is CREATED                  never sent: NOT_PLACED, and the guard anew
    7 repair written ahead, not sent    PROTECT is SENT                     the broker does not know it: as 6
    8 repair sent, not answered         PROTECT is SENT                     the broker knows it: it is not sent again
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from django.db import IntegrityError, InterfaceError, InternalError, OperationalError, connections

from app.accounts.fencing import Fenced, Holding
from app.accounts.pool import is_connection_error, pool_renew
from app.core import clock
from app.core.logging import get_logger
from app.domain.broker_events import AnyBrokerEvent
from app.executions.services.apply import broker_event_keep, broker_event_record
from app.executions.services.record import broker_events_record
from app.worker.event_queue import Others, next_batch, tells_of_bare_shares, tells_of_loss
from app.worker.right_of_way import RightOfWay

logger = get_logger(__name__)

RETRY_PAUSE_SECONDS = 0.5
QUEUE_LENGTH_LOUD = 1000
DRAIN_SECONDS_MAX = 30.0
# What one transaction takes at most: more would hold its executions locked for long.
BATCH_MAX = 64
# Of what is not ours, which locks nothing; and after how many batches of ours one of it has its turn all the same.
OTHERS_BATCH_MAX, OURS_IN_A_ROW_MAX = 1000, 8
# From one transaction to the next while news comes thick and fast: fewer of them leave more of the processor to what
# is sent. News of a lost order does not wait, nor does any while it comes as that of a few brackets does.
BATCH_EVERY_SECONDS, OTHERS_EVERY_SECONDS = 0.05, 0.2
BUSY_EVENTS, BUSY_SECONDS = 32, 0.5


class _End:
    """Ends the thread, after what was put before it."""


_END = _End()


class EventRecorder:
    """The thread between the connection and the rows. `on_changed` gets each changed execution's id, and the event.

    `way` is told when what may be a stop is gone or refused, and when that is recorded.
    """

    def __init__(self, *, on_changed: Callable[[int, AnyBrokerEvent], None], way: RightOfWay | None = None) -> None:
        self._on_changed = on_changed
        self.way = way or RightOfWay()
        self._queue: queue.SimpleQueue[AnyBrokerEvent | threading.Event | _End] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="event-recorder", daemon=True)
        self._stopping = threading.Event()
        self._in_hand: list[AnyBrokerEvent] = []
        # What was taken from the queue and waits for its batch; who waits for what was put before, told by identity.
        self._waiting: list[AnyBrokerEvent] = []
        # The same of others; and how many batches since one of theirs.
        self._of_others: list[AnyBrokerEvent] = []
        self._others = Others()
        self._ours_in_a_row = 0
        self._drains: list[tuple[threading.Event, set[int]]] = []
        self._is_ending = False
        self._batch_at = float("-inf")
        self._taken_at: deque[float] = deque(maxlen=BUSY_EVENTS)
        self._keeps_up = threading.Event()
        self._keeps_up.set()
        # By which right it writes: set by who holds the connection. An old holder's events are dropped (see _record).
        self.holding: Holding | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, event: AnyBrokerEvent) -> None:
        """Take an event. Never blocks and never drops one."""
        if tells_of_bare_shares(event):
            self.way.heard()
        self._queue.put(event)
        length = self._queue.qsize()
        if length >= QUEUE_LENGTH_LOUD and length % QUEUE_LENGTH_LOUD == 0:
            logger.error("event_queue_long", length=length)

    def waiting(self) -> tuple[int, datetime | None]:
        """Return how many events are not recorded yet, and when the oldest of them came."""
        taken = [*self._in_hand, *self._waiting, *self._of_others]
        return self._queue.qsize() + len(taken), min((event.received_at for event in taken), default=None)

    def wait_until_it_keeps_up(self, *, seconds_max: float) -> None:
        """Wait until no more than one batch of ours waits: entries do, so that the news of a lost stop need not."""
        self._keeps_up.wait(seconds_max)

    def drain(self, *, seconds_max: float = DRAIN_SECONDS_MAX) -> bool:
        """Wait until everything put so far is recorded; say whether it is."""
        marker = threading.Event()
        self._queue.put(marker)
        return marker.wait(seconds_max)

    def stop(self, *, seconds_max: float) -> None:
        """Record what is in the queue, for at most `seconds_max`, and end the thread."""
        self._queue.put(_END)
        self._thread.join(timeout=seconds_max)
        if self._thread.is_alive():
            # What is left is told again by the broker at the next connect.
            self._stopping.set()
            logger.error("events_left_unrecorded", length=self._queue.qsize())

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._take()
            self._gather()
            if self._is_ending and not self._waiting and not self._of_others:
                self._tell_drained(set())
                break
            self._in_hand = self._next()
            (self._keeps_up.clear if self._waiting else self._keeps_up.set)()
            if self._in_hand:
                self._batch_at = time.monotonic()
                self._record_all(self._in_hand)
                self.way.recorded(sum(map(tells_of_bare_shares, self._in_hand)))
            self._tell_drained({id(event) for event in self._in_hand})
            self._in_hand = []
        connections.close_all()

    def _next(self) -> list[AnyBrokerEvent]:
        """Return what is recorded next, and let it wait no more."""
        if self._waiting and (not self._of_others or self._ours_in_a_row < OURS_IN_A_ROW_MAX):
            self._ours_in_a_row += 1
            batch, self._waiting = next_batch(self._waiting, length_max=BATCH_MAX)
            return batch
        self._ours_in_a_row = 0
        batch, self._of_others = self._of_others[:OTHERS_BATCH_MAX], self._of_others[OTHERS_BATCH_MAX:]
        return batch

    def _take(self) -> None:
        """Take all that is in the queue; wait where nothing is there or left from before."""
        while not self._is_ending:
            try:
                self._sort(self._queue.get(block=not (self._waiting or self._of_others or self._drains)))
            except queue.Empty:
                return

    def _gather(self) -> None:
        """Let what comes within a moment be of the same batch, where much came lately and the last was a moment ago."""
        while not (self._drains or self._is_ending or any(map(tells_of_loss, self._waiting))):
            now = time.monotonic()
            pause = self._batch_at + (BATCH_EVERY_SECONDS if self._waiting else OTHERS_EVERY_SECONDS) - now
            is_busy = len(self._taken_at) == BUSY_EVENTS and now - self._taken_at[0] < BUSY_SECONDS
            is_full = len(self._waiting) >= BATCH_MAX or len(self._of_others) >= OTHERS_BATCH_MAX
            if pause <= 0 or not is_busy or is_full:
                return
            with suppress(queue.Empty):
                self._sort(self._queue.get(timeout=pause))

    def _sort(self, taken: "AnyBrokerEvent | threading.Event | _End") -> None:
        if isinstance(taken, _End):
            self._is_ending = True
        elif isinstance(taken, threading.Event):
            self._drains.append((taken, {id(event) for event in (*self._waiting, *self._of_others)}))
        else:
            (self._of_others if self._others.take(taken) else self._waiting).append(taken)
            self._taken_at.append(time.monotonic())

    def _tell_drained(self, recorded: set[int]) -> None:
        """Tell those who wait for nothing any more. Not by place: a lost order's news overtakes what was put before."""
        waiting = [(marker, left - recorded) for marker, left in self._drains]
        for marker, left in waiting:
            if not left:
                marker.set()
        self._drains = [(marker, left) for marker, left in waiting if left]

    def _record_all(self, events: list[AnyBrokerEvent]) -> None:
        """Record what came together in one transaction; where that fails, each by itself."""
        if len(events) > 1:
            try:
                changed = broker_events_record(events, now=clock.now(), holding=self.holding)
            except Exception as error:  # Not lost: the next line tries each, and says which one it was.
                logger.warning("events_recorded_singly", count=len(events), because=f"{type(error).__name__}: {error}")
            else:
                for execution_id, event in changed:
                    self._tell(execution_id, event)
                return
        for event in events:
            self._record(event)

    def _record(self, event: AnyBrokerEvent) -> None:
        told_twice = False
        while not self._stopping.is_set():
            try:
                changed = broker_event_record(event, now=clock.now(), holding=self.holding)
            except Fenced:
                # The new holder asked the broker for everything after it took over; what is here may be older.
                logger.warning("event_of_old_holder_dropped", kind=event.kind, dedupe_key=event.dedupe_key)
                return
            except (OperationalError, InterfaceError, InternalError) as error:
                if not is_connection_error(error):
                    self._keep(event, error)
                    return
                logger.warning("event_waits_for_database", kind=event.kind, error=str(error).strip())
                connections.close_all()
                pool_renew(error)
                time.sleep(RETRY_PAUSE_SECONDS)
                continue
            except IntegrityError as error:
                if not told_twice:  # Another process stored the same event: the second try finds it.
                    told_twice = True
                    continue
                self._keep(event, error)
                return
            except Exception as error:
                self._keep(event, error)
                return
            if changed is not None:
                self._tell(changed, event)
            return

    def _tell(self, execution_id: int, event: AnyBrokerEvent) -> None:
        try:
            self._on_changed(execution_id, event)
        except Exception:  # The event is recorded; whoever hears of it, or fails to, must not end the recording.
            logger.exception("event_not_told", kind=event.kind, execution=execution_id)

    def _keep(self, event: AnyBrokerEvent, error: Exception) -> None:
        logger.exception("event_not_applied", kind=event.kind, dedupe_key=event.dedupe_key)
        try:
            broker_event_keep(event, because=f"{type(error).__name__}: {error}", now=clock.now())
        except Exception:  # the raw event is in the log above; the broker tells orders and deals again at a reconcile
            logger.exception("event_not_kept", kind=event.kind, dedupe_key=event.dedupe_key)
