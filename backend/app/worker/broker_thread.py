"""The broker connection of a worker: connect, reconcile, serve, and again when it is lost.

    DISCONNECTED ──> CONNECTING ──> SYNCHRONISING (reconcile) ──> READY ──> lost: DISCONNECTED, pause, again
                            └ 1100, a message unread: DEGRADED ──> 1101, 1102, all told again: SYNCHRONISING
                                                          └──────> two minutes: a new connection

Tasks call this object from their threads (see BrokerCalls). Orders and cancels pass only in READY: nothing is
sent before the reconcile that follows a connect is complete.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import psycopg
from django.db import DatabaseError

from app.accounts import services as accounts
from app.accounts.entry_gate import failure_note
from app.accounts.fencing import Fenced, Holding
from app.brokers.base import (
    BrokerSession,
    ConnectionState,
    MakeBroker,
)
from app.brokers.errors import NotConnected
from app.core import clock
from app.core.errors import FixRequest, RetryLater, TradingError
from app.core.logging import get_logger
from app.executions.services.commands_send import left_behind_send
from app.executions.services.exposure import PushedLook, pushed_positions_look
from app.executions.services.reconcile import execution_reconcile
from app.executions.services.sweep import SweepReport, execution_sweep, requested_resend
from app.worker.account_check import ACCOUNT_CHANGED, account_changed_text, unfinished_on_other_accounts
from app.worker.backoff import backoff_seconds
from app.worker.broker_calls import SEND_SECONDS_MAX, BrokerCalls
from app.worker.event_recorder import EventRecorder
from app.worker.holder import HOLDER_SILENT_SECONDS, Holder
from app.worker.loop_thread import LoopThread, in_database_thread, with_own_connection
from app.worker.reconcile_plan import ReconcilePlan
from app.worker.recovery import Recovery
from app.worker.sign_of_life import SignOfLife

logger = get_logger(__name__)

TICK_SECONDS = 1.0
PING_EVERY_TICKS, ASK_AGAIN_EVERY_TICKS = 5, 15
# What may still wait for its turn to be sent is not looked for yet.
RECONCILE_SETTLE_SECONDS = SEND_SECONDS_MAX + 30.0
# How long a stop waits for what the connection is doing; a question that is not answered is not waited for.
LIFE_ENDS_SECONDS_MAX = 2.0


class BrokerThread(BrokerCalls):
    """Owns the one broker connection of this process. `account_id` may be "" until the first connect."""

    def __init__(
        self,
        *,
        make_broker: MakeBroker,
        recorder: EventRecorder,
        account_id: str,
        client_id: int,
        session_name: str = "",
        on_holding: Callable[[bool], None] = lambda _is_holder: None,
        silent_seconds: float = HOLDER_SILENT_SECONDS,
        address: str = "the broker",
    ) -> None:
        self._broker = make_broker(
            on_event=recorder.put,
            on_state=self._on_broker_state,
            confirm=self._confirm,
            entries_wait=recorder.way.is_claimed,
        )
        self._recorder = recorder
        self._account_id = account_id
        self._account_is_named = bool(account_id)
        self._client_id = client_id
        self._connection_id = 0
        self._address = address
        self._state, self._reason, self._last_failure = ConnectionState.DISCONNECTED, "", ""
        self._holder = Holder(
            account_id=account_id,
            client_id=client_id,
            session_name=session_name,
            silent_seconds=silent_seconds,
            on_change=self._on_holding,
        )
        self._sign = SignOfLife(client_id=client_id, holder=self._holder, recorder=recorder)
        self._tell_holding = on_holding
        self._loop_thread = LoopThread("broker")
        self._stopping, self._changed = asyncio.Event(), asyncio.Event()
        self._lives: list[Future[None]] = []
        self._plan = ReconcilePlan()
        self._recovery = Recovery(self._broker)
        self._worth: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the thread; it connects by itself and keeps trying."""
        self._loop_thread.start()
        self._lives = [self._loop_thread.submit(self._life()), self._loop_thread.submit(self._show_life())]

    def stop(self, *, seconds_max: float) -> None:
        """Close the connection and end the thread."""
        try:
            self._loop_thread.call(self._shut_down(), seconds_max=seconds_max)
        except TradingError as error:
            logger.warning("broker_thread_stop", error=error.code)
        self._loop_thread.stop(seconds_max=seconds_max)

    def reconcile_soon(self) -> None:
        """Have the broker asked for everything at the next tick. Never blocks."""
        self._plan.soon()

    def _confirm(self) -> None:
        with_own_connection(self._holder.require)

    # The connection's life; everything below runs in the loop.

    async def _life(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                if not await in_database_thread(self._holder.try_acquire):
                    await self._stand_by()
                    continue
                await self._connect()
                failures, self._last_failure = 0, ""
                await self._serve()
            except Fenced as error:
                await self._lost(f"{error.code}: {error.message}")
                await asyncio.to_thread(self._holder.release)
            except TradingError as error:
                failures += 1
                await self._lost(f"{error.code}: {error.message}")
                await self._note_failure(error.code)
            except (DatabaseError, psycopg.Error) as error:
                failures += 1
                await self._lost(f"database: {str(error).strip()}")
            except Exception as error:  # a fault of ours must not end the connection's life without a word
                failures += 1
                logger.exception("broker_life_fault")
                await self._lost(f"{type(error).__name__}: {error}")
            await self._pause(backoff_seconds(failures))

    async def _stand_by(self) -> None:
        logger.info("standing_by", account=self._account_id, client_id=self._client_id)
        if not await in_database_thread(self._holder.depose_if_silent):
            await self._pause(TICK_SECONDS)

    async def _connect(self) -> None:
        if self._account_id:
            await self._adopt(self._account_id)
        # Waiting for an answer takes longer than being refused: why the last try failed stays to be read meanwhile.
        last = f"; the last try: {self._last_failure}" if self._last_failure else ""
        await self._set_state(ConnectionState.CONNECTING, f"connecting to {self._address}{last}")
        session = await self._broker.connect()
        await self._require_same_account(session.account)
        self._broker.ids_begin_above(await self._adopt(session.account))
        await self._synchronise(session)

    async def _require_same_account(self, account_id: str) -> None:
        """Raise FixRequest where no account is named, and executions of another one would be watched by nobody."""
        if self._account_is_named:
            return
        asked = {"account_id": account_id, "client_id": self._client_id, "now": clock.now()}
        if left := await in_database_thread(unfinished_on_other_accounts, **asked):
            await self._adopt(left[0][0])  # Its row says what is wrong.
            raise FixRequest(account_changed_text(account_id=account_id, left=left), code=ACCOUNT_CHANGED)

    async def _adopt(self, account_id: str) -> int:
        """Hold the account's connection; return the floor of its order ids."""
        named = {"account_id": account_id, "client_id": self._client_id}
        connection = await in_database_thread(accounts.connection_ensure, **named)
        self._account_id, self._connection_id = account_id, connection.pk
        await in_database_thread(self._holder.hold, connection.pk)
        return connection.order_id_floor

    async def _synchronise(self, session: BrokerSession | None = None) -> None:
        version = session.server_version if session else None
        self._changed.clear()
        await self._set_state(ConnectionState.SYNCHRONISING, "", server_version=version)
        await asyncio.to_thread(self._recorder.drain)
        await self._reconcile(settle_seconds=0)
        if self._broker.state is ConnectionState.DEGRADED:
            # The Gateway said so while it greeted us, or since.
            reason = self._reason or "the Gateway has lost Interactive Brokers"
            await self._set_state(ConnectionState.DEGRADED, reason)
            return
        if self._changed.is_set():
            # The connection was lost, or IB was away (1100, 1102), while the questions were asked: some of the answers
            # are from before it. `_serve` begins again, or ends.
            return
        self._recovery.ended()
        await self._set_state(ConnectionState.READY, "")
        await in_database_thread(requested_resend)
        self._ask_worth()

    async def _serve(self) -> None:
        """Keep the connection until it is lost: heartbeat, deadlines, questions. Raises what ends it."""
        ticks = 0
        while not self._stopping.is_set():
            await self._pause(TICK_SECONDS, on=self._changed)
            self._changed.clear()
            if self._state is ConnectionState.DISCONNECTED:
                raise NotConnected("The connection to the broker was lost.")
            if self._state is ConnectionState.DEGRADED:
                await self._recover()
            if self._state is ConnectionState.SYNCHRONISING:
                await self._synchronise()
            ticks += 1
            await self._tick(ticks)

    async def _recover(self) -> None:
        if self._recovery.begins():
            await self._set_state(ConnectionState.DEGRADED, self._reason)
        if self._state is ConnectionState.DEGRADED:  # It may be back since.
            await self._recovery.attempt(self._reason)

    def _sweep(self) -> SweepReport:
        holding = self._holder.check()  # In the same database session, which whoever deposes us ends.
        return execution_sweep(now=clock.now(), holding=holding)

    def _cancel_left_behind(self) -> None:
        try:
            left_behind_send(broker=self, now=clock.now())
        except RetryLater as error:  # They are rows: the next tick tries again.
            logger.warning("cancel_waits", reason=error.code)

    async def _tick(self, ticks: int) -> None:
        swept = await in_database_thread(self._sweep)
        if self._state is ConnectionState.READY:
            await in_database_thread(self._cancel_left_behind)
        if pushed := self._broker.positions_pushed_take():
            about = {"account_id": self._account_id, "pushed": pushed, "now": clock.now()}
            look = await in_database_thread(pushed_positions_look, **about)
            if look is PushedLook.DIFFERS:
                self._plan.soon()
            elif look is PushedLook.LAGS:
                self._plan.look_again()
        if swept.asks_broker and ticks % ASK_AGAIN_EVERY_TICKS == 0:
            self._plan.soon()
        if ticks % PING_EVERY_TICKS == 0:
            await self._broker.ping()
            if self._state is ConnectionState.READY:
                await in_database_thread(accounts.connection_gateway_heard, **self._holding(), now=clock.now())
        if self._state is ConnectionState.READY and self._plan.is_due(ticks):
            self._plan.begun()
            await self._reconcile(settle_seconds=RECONCILE_SETTLE_SECONDS)
            self._ask_worth()

    async def _show_life(self) -> None:
        """Note every second that the worker lives and how far its news is recorded, whatever the connection does."""
        while not self._stopping.is_set():
            try:
                await self._show_sign()
            except (DatabaseError, psycopg.Error) as error:
                # The watchdog hears the silence.
                logger.warning("heartbeat_not_recorded", error=str(error).strip())
            await self._pause(TICK_SECONDS)

    async def _show_sign(self) -> None:
        row, state, reason = self._connection_id, self._state, self._reason
        await in_database_thread(self._sign.show, connection_id=row, state=state, reason=reason)

    async def _reconcile(self, *, settle_seconds: float) -> None:
        now = clock.now()
        report = await in_database_thread(
            execution_reconcile, broker=self, now=now, settle_seconds=settle_seconds, drain=self._recorder.drain
        )
        if report.look_again:
            self._plan.look_again()
        await in_database_thread(accounts.connection_reconciled, **self._holding(), now=now)

    def _holding(self) -> dict[str, int]:
        return {"connection_id": self._connection_id, "fence": self.fence}

    def _ask_worth(self) -> None:
        """Have the account's worth asked for, beside everything else: no order and no guard waits for a figure."""
        if self._worth is None or self._worth.done():
            self._worth = asyncio.ensure_future(self._record_worth())

    async def _record_worth(self) -> None:
        try:
            summary = await self._broker.account_summary()
            await in_database_thread(accounts.account_worth_record, summary=summary, now=clock.now())
        except (TradingError, DatabaseError, psycopg.Error) as error:
            # What was known stays, with its age; the next reconcile asks again.
            logger.warning("equity_unknown", error=str(error).strip())

    async def _lost(self, reason: str) -> None:
        self._last_failure = reason
        self._recovery.ended()
        logger.error("broker_connection_lost", reason=reason)
        await self._broker.disconnect()
        if self._stopping.is_set():
            return  # What it was stopped for is what is to be read.
        try:
            await self._set_state(ConnectionState.DISCONNECTED, reason)
        except DatabaseError as error:
            logger.warning("state_not_recorded", error=str(error).strip())

    async def _note_failure(self, code: str) -> None:
        try:
            if self.fence:
                await in_database_thread(failure_note, connection_id=self._connection_id, code=code, now=clock.now())
        except (DatabaseError, psycopg.Error) as error:
            logger.warning("failure_not_recorded", error=str(error).strip())

    async def _set_state(self, state: ConnectionState, reason: str, *, server_version: int | None = None) -> None:
        self._state, self._reason = state, reason
        logger.info("broker_connection", state=state.value, reason=reason)
        if not self.fence:
            await self._show_sign()
            return
        recorded: dict[str, Any] = {"state": state, "reason": reason, "server_version": server_version}
        await in_database_thread(accounts.connection_state_record, **self._holding(), **recorded, now=clock.now())

    def _on_holding(self, holding: Holding | None, *, is_holder: bool) -> None:
        if holding is not None:
            # What still waits when the holding is lost was heard by the old fence, and passes by that or not at all.
            self._recorder.holding = holding
        self._tell_holding(is_holder)

    def _on_broker_state(self, state: ConnectionState, reason: str) -> None:
        """Take what the broker says of its connection; called in the loop, so it only notes it."""
        if self._state not in (ConnectionState.READY, ConnectionState.DEGRADED, ConnectionState.SYNCHRONISING):
            return
        if state is ConnectionState.READY:
            # Restored after a gap (1101, 1102): what happened meanwhile is asked for before anything is sent.
            state = ConnectionState.SYNCHRONISING if self._state is ConnectionState.DEGRADED else self._state
        logger.warning("broker_told_state", state=state.value, reason=reason)
        self._state, self._reason = state, reason
        self._changed.set()

    async def _pause(self, seconds: float, *, on: asyncio.Event | None = None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await (on or self._stopping).wait()
        except TimeoutError:
            return

    async def _shut_down(self) -> None:
        self._stopping.set()
        self._changed.set()
        await self._broker.disconnect()
        self._state = ConnectionState.DISCONNECTED
        if self._lives:  # What they were about to note is not to be read after why it was stopped.
            await asyncio.wait([asyncio.wrap_future(life) for life in self._lives], timeout=LIFE_ENDS_SECONDS_MAX)
        await self._set_state(ConnectionState.DISCONNECTED, accounts.STOPPED_ON_PURPOSE)
        await asyncio.to_thread(self._holder.release)
