"""One connection to IB Gateway or TWS: who we are there, who may send, who waits for what, and what became of it.

    connect ── CONNECTING ──> SYNCHRONISING ──> READY <──> DEGRADED    1100, 2110, or a message that could not be read
                    │               │             │            │
                    └───────────────┴─────────────┴────────────┴──> DISCONNECTED

Each connect makes a new session: what the old one knew is gone with its socket. Nothing reconnects by itself: whoever
holds the connection hears DISCONNECTED and decides.
"""

# mypy: allow-untyped-calls
# The library's client has no annotations.

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ib_async.ib import StartupFetchNONE

from app.brokers.base import BrokerSession, ConnectionState, EntriesWait, EventSink, SendPriority, StateSink
from app.brokers.errors import BrokerTimeout, NotConnected
from app.brokers.ib import error_codes, greeting
from app.brokers.ib.handed_on import HandedOn
from app.brokers.ib.pacer import Pacer
from app.brokers.ib.questions import QuestionBook, QuestionKey
from app.brokers.ib.settings import IBSettings
from app.brokers.ib.told import SessionTold
from app.brokers.ib.wire import COMPLETED_ORDERS, CURRENT_TIME, OPEN_ORDERS, WireClient, WireIB
from app.core import clock
from app.core.errors import TradingError
from app.core.logging import get_logger
from app.domain.broker_events import AnyBrokerEvent, MessageMeaning, event_to_payload

log = get_logger(__name__)

EXECUTIONS = "executions"
# How long after the Gateway lost IB a report about an order is no straggler.
REPORTS_PROVE_AFTER_SECONDS = 5.0
# What recovers everything that a lost message may have said.
_RECOVERY_QUESTIONS = frozenset({OPEN_ORDERS, COMPLETED_ORDERS, EXECUTIONS})
_DRAIN_POLL_SECONDS = 0.005
_CLOSE_LIMIT_SECONDS = 1.0
# startApi, positions, and for client 0 the binding of manual orders.
_GREETING_MESSAGES = 3


@dataclass(slots=True)
class Link:
    """One socket's life: made by connect, gone with the socket."""

    ib: WireIB
    told: SessionTold
    questions: QuestionBook
    failed: asyncio.Future[TradingError]
    closed: asyncio.Event
    session: BrokerSession | None = None

    @property
    def client(self) -> WireClient:
        """What sends."""
        return self.ib.client


class Connection:
    """Connects, paces, asks, and tells its state. Lives in one event loop; not thread-safe."""

    def __init__(
        self,
        settings: IBSettings,
        *,
        on_event: EventSink,
        on_state: StateSink,
        readonly: bool = False,
        entries_wait: EntriesWait = lambda: False,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.settings = settings
        self.state = ConnectionState.DISCONNECTED
        self.pacer = Pacer(
            messages_per_window=settings.messages_per_second,
            queue_length_max=settings.send_queue_length_max,
            entries_wait=entries_wait,
        )
        self._on_event, self._on_state = on_event, on_state
        self._readonly = readonly
        self._now = now
        self._link: Link | None = None
        self._connecting = asyncio.Lock()
        self._asking: dict[str, asyncio.Lock] = {}
        self._not_before = float("-inf")
        # When the Gateway lost IB, by the monotonic clock, and whether it told of an order well after that.
        self._connectivity_lost_at: float | None = None
        self._reports_since_lost = False
        self._to_recover: set[str] = set()

    async def connect(self) -> BrokerSession:
        """Connect and check the account; return at once when connected already.

        Raises ConnectionRefused, ClientIdInUse, BrokerTimeout, LiveAccountRefused, and FixRequest
        `account_not_managed` or `account_ambiguous`.
        """
        async with self._connecting:
            if self._link is not None and self._link.session is not None:
                return self._link.session
            await asyncio.sleep(max(self._not_before - time.monotonic(), 0))
            self._tell_state(ConnectionState.CONNECTING, f"connecting to {self.settings.host}:{self.settings.port}")
            link = self._link = self._new_link()
            self._connectivity_lost_at, self._reports_since_lost = None, False
            try:
                session = await self._greet(link)
            except BaseException as error:
                await self._close(link)
                said = f"{error.code}: {error.message}" if isinstance(error, TradingError) else repr(error)
                self._tell_state(ConnectionState.DISCONNECTED, said)
                raise
            self._to_recover.clear()
            if self._connectivity_lost_at is None:
                self._tell_state(ConnectionState.READY, f"connected to account {session.account}")
            else:
                self._tell_state(ConnectionState.DEGRADED, "the Gateway says that it has lost Interactive Brokers")
            return session

    async def disconnect(self) -> None:
        """Close the connection; afterwards nothing is pending. Safe to call twice."""
        link = self._link
        if link is None:
            return
        await self._close(link)
        self._tell_state(ConnectionState.DISCONNECTED, "disconnected on request")

    def session(self) -> BrokerSession:
        """Return whom we are connected to. Raises NotConnected."""
        session = self.require_link().session
        if session is None:
            raise NotConnected("The connection is not synchronised yet.")
        return session

    def require_link(self) -> Link:
        """Return the living link. Raises NotConnected."""
        if self._link is None or not self._link.client.isReady():
            raise NotConnected(f"Not connected to Interactive Brokers ({self.state}).")
        return self._link

    def require_same(self, link: Link) -> None:
        """Raise NotConnected unless `link` is still the one."""
        if self.require_link() is not link:
            raise NotConnected("The connection is another one by now; nothing was sent.")

    def require_ready(self, link: Link) -> None:
        """Raise NotConnected unless `link` is still the one, and IB is behind it."""
        self.require_same(link)
        if self.state is not ConnectionState.READY:
            raise NotConnected(f"The connection changed ({self.state}); nothing was sent.")

    @asynccontextmanager
    async def sending(
        self, *, priority: SendPriority, messages: int, ahead_seconds: Callable[[], float] = lambda: 0.0
    ) -> AsyncIterator[Link]:
        """Hold the socket for so many messages. Raises NotConnected and QueueFull before anything was sent.

        With `ahead_seconds` it is held that much before they may leave: await `pacer.cleared` before the first.
        """
        self.require_link()
        async with self.pacer.turn(priority=priority, messages=messages, ahead_seconds=ahead_seconds):
            yield self.require_link()

    async def delivered(self, link: Link) -> None:
        """Return once the socket has taken what was sent.

        Raises BrokerTimeout, outcome unknown, when the connection broke or the socket did not take it in time.
        """
        deadline = time.monotonic() + self.settings.request_timeout_seconds
        while link.client.unsent_bytes and time.monotonic() < deadline:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        if link.client.unsent_bytes or self._link is not link:
            raise BrokerTimeout("The connection broke while sending: what became of the message is unknown.")

    async def ask(
        self,
        kind: str,
        send: Callable[[WireClient, int], None],
        *,
        key: QuestionKey | None = None,
        priority: SendPriority = SendPriority.QUERY,
        is_enough: Callable[[Any], bool] | None = None,
    ) -> list[Any]:
        """Ask one question and return the rows of its complete answer.

        `key` is given for a question that carries no id; without it `send` gets a fresh request id to send. Of a kind
        one question is pending at a time. Raises NotConnected, BrokerTimeout, IncompleteAnswer, RequestRefused.
        """
        async with self._asking.setdefault(kind, asyncio.Lock()):
            async with self.sending(priority=priority, messages=1) as link:
                request_id = link.client.getReqId() if key is None else 0
                question_key = request_id if key is None else key
                if is_enough is None:
                    question = link.questions.open(question_key)
                else:
                    question = link.questions.open(question_key, is_enough=is_enough)
                send(link.client, request_id)
            try:
                async with asyncio.timeout(self.settings.request_timeout_seconds):
                    rows = await question.answer
            except TimeoutError:
                raise BrokerTimeout(
                    f"No answer to {kind} in {self.settings.request_timeout_seconds:g} s: it is unknown, not empty.",
                    details={"question": kind},
                ) from None
            finally:
                link.questions.give_up(question)
        self._answered(kind)
        return rows

    @property
    def can_recover(self) -> bool:
        """Whether answers to the recovery questions would be enough to leave DEGRADED.

        While the Gateway has no IB it answers from memory, which proves nothing: it has to have told of an order since,
        unasked. Such a report seconds after 1100 was no straggler: IB is there, and the word that it is back was lost.
        """
        return self._connectivity_lost_at is None or self._reports_since_lost

    def recovered(self) -> None:
        """Take it that everything was told again: the questions were answered, and `can_recover` was true before."""
        self._connectivity_lost_at = None
        self._to_recover.clear()
        self._recover("open orders, completed orders and executions were told again; reconcile")

    async def tell(self, send: Callable[[WireClient], None]) -> None:
        """Send one message that has no answer. Raises NotConnected, QueueFull."""
        async with self.sending(priority=SendPriority.QUERY, messages=1) as link:
            send(link.client)

    async def ping(self) -> datetime:
        """Return the Gateway's time. Raises BrokerTimeout when it does not answer: the connection is then dead."""
        # A heartbeat must not wait behind entries, or a full queue would look like a dead Gateway.
        rows = await self.ask(
            CURRENT_TIME,
            lambda client, _id: client.reqCurrentTime(),
            key=CURRENT_TIME,
            priority=SendPriority.PROTECT,
            is_enough=lambda _row: True,
        )
        return datetime.fromtimestamp(rows[0], UTC)

    def _new_link(self) -> Link:
        told = SessionTold(session=str(uuid.uuid4()), client_id=self.settings.client_id, now=self._now)
        questions = QuestionBook(late_answer_seconds=self.settings.late_answer_seconds, monotonic=time.monotonic)
        failed: asyncio.Future[TradingError] = asyncio.get_running_loop().create_future()
        closed, handed_on = asyncio.Event(), HandedOn()
        ib = WireIB(
            told=told,
            questions=questions,
            on_event=lambda event: self._hand_on(event, handed_on),
            on_system=lambda code, text: self._heard_system(link, code, text),
            on_sent=self.pacer.record_sent,
            on_closed=lambda reason: self._heard_closed(link, reason),
            on_unreadable=lambda text: self._heard_unreadable(link, text),
            time_zone=self.settings.time_zone,
            now=self._now,
        )
        link = Link(ib=ib, told=told, questions=questions, failed=failed, closed=closed)
        return link

    async def _greet(self, link: Link) -> BrokerSession:
        async with self.pacer.turn(priority=SendPriority.QUERY, messages=_GREETING_MESSAGES):
            await greeting.shake_hands(link.failed, self._connect_ib(link), self.settings)
        self._tell_state(ConnectionState.SYNCHRONISING, "connected, checking the account")
        greeting.check_version(link.client.serverVersion(), link.client.MaxClientVersion)
        account = greeting.choose_account(link.client.getAccounts(), self.settings)
        link.told.account = account
        link.session = BrokerSession(
            account=account,
            client_id=self.settings.client_id,
            is_paper=greeting.is_paper(account),
            server_version=link.client.serverVersion(),
            next_order_id=link.client.next_id,
        )
        return link.session

    async def _connect_ib(self, link: Link) -> None:
        # The library asks for positions only; the rest is asked by us, typed and paced.
        await link.ib.connectAsync(
            self.settings.host,
            self.settings.port,
            clientId=self.settings.client_id,
            timeout=self.settings.connect_timeout_seconds,
            readonly=self._readonly,
            account=self.settings.account,
            raiseSyncErrors=True,
            fetchFields=StartupFetchNONE,
        )

    async def _close(self, link: Link) -> None:
        self._drop(link, "The connection was closed.")
        if link.client.conn.transport is None:
            return
        link.client.close_socket()
        try:
            async with asyncio.timeout(_CLOSE_LIMIT_SECONDS):
                await link.closed.wait()
        except TimeoutError:
            link.client.abort_socket()

    def _drop(self, link: Link, reason: str) -> None:
        if self._link is not link:
            return
        self._link = None
        self._not_before = time.monotonic() + self.settings.reconnect_pause_seconds
        greeting.fail(link.failed, NotConnected(reason))
        link.questions.fail_all(lambda: NotConnected(reason))
        self.pacer.drop_waiting(lambda: NotConnected(f"{reason} Nothing was sent."))

    # What is heard. Called by the library in the middle of its work: these only note and hand on.

    def _hand_on(self, event: AnyBrokerEvent, handed_on: HandedOn) -> None:
        if self._connectivity_lost_at is not None and self._is_unasked_report():
            self._reports_since_lost |= time.monotonic() - self._connectivity_lost_at >= REPORTS_PROVE_AFTER_SECONDS
        if event.dedupe_key in handed_on:
            return
        try:
            self._on_event(event)
            handed_on.add(event.dedupe_key)
        except Exception as error:
            log.exception("event_not_taken", kind=event.kind, payload=event_to_payload(event))
            self._degrade_until_recovered(f"an event was not taken: {error!r}")

    def _is_unasked_report(self) -> bool:
        return self._link is not None and self._link.questions.is_empty

    def _heard_unreadable(self, link: Link, text: str) -> None:
        log.error("message_unreadable", raw=text)
        link.questions.spoil_all()
        self._degrade_until_recovered(f"a message could not be read: {text[:200]}")

    def _heard_closed(self, link: Link, reason: str) -> None:
        link.closed.set()
        if self._link is not link or not reason:
            return
        if link.session is None:
            greeting.fail(link.failed, greeting.closed_while_connecting(self.settings, reason))
            return
        self._drop(link, f"The connection to Interactive Brokers was lost: {reason}")
        self._tell_state(ConnectionState.DISCONNECTED, f"connection lost: {reason}")

    def _heard_system(self, link: Link, code: int, text: str) -> None:
        if code == error_codes.CLIENT_ID_IN_USE:
            greeting.fail(link.failed, greeting.client_id_in_use(self.settings, text))
            return
        known = error_codes.meaning_of(code) is MessageMeaning.INFORMATION
        (log.info if known else log.warning)("system_message", code=code, text=text)
        if self._link is not link:
            return
        if code in error_codes.CONNECTIVITY_LOST_CODES:
            # May be told before the account is: a new connection learns so that IB is still away.
            self._connectivity_lost_at, self._reports_since_lost = time.monotonic(), False
        if link.session is None:
            return
        if code in error_codes.CONNECTIVITY_LOST_CODES:
            self._tell_state(ConnectionState.DEGRADED, f"{code}: the Gateway has lost Interactive Brokers")
        elif code in error_codes.CONNECTIVITY_RESTORED_CODES:
            self._connectivity_lost_at = None
            self._recover(f"{code}: the Gateway has Interactive Brokers again; reconcile")
        elif code == error_codes.SOCKET_PORT_RESET:
            self._leave(link, "The Gateway moved to another port.", code=code, text=text)
        elif code == error_codes.MESSAGE_RATE_EXCEEDED:
            # It doesn't say which message it refused. What a new connection is told shows it at once.
            self._leave(link, "The Gateway refused messages: there were too many in a second.", code=code, text=text)

    def _leave(self, link: Link, reason: str, *, code: int, text: str) -> None:
        self._drop(link, reason)
        link.client.close_socket()
        self._tell_state(ConnectionState.DISCONNECTED, f"{code}: {text}")

    def _degrade_until_recovered(self, reason: str) -> None:
        self._to_recover = set(_RECOVERY_QUESTIONS)
        if self._link is not None and self._link.session is not None:
            self._tell_state(ConnectionState.DEGRADED, reason)

    def _answered(self, kind: str) -> None:
        if kind in self._to_recover:
            self._to_recover.discard(kind)
            self._recover("open orders, completed orders and executions were told again; reconcile")

    def _recover(self, reason: str) -> None:
        if self.state is ConnectionState.DEGRADED and not self._to_recover and self._connectivity_lost_at is None:
            self._tell_state(ConnectionState.READY, reason)

    def _tell_state(self, state: ConnectionState, reason: str) -> None:
        self.state = state
        log.info("broker_connection", state=state.value, reason=reason, client_id=self.settings.client_id)
        try:
            self._on_state(state, reason)
        except Exception:
            log.exception("state_not_taken", state=state.value)
