"""`IBBroker`: brackets, changes, cancels and questions at Interactive Brokers, in domain words."""

# mypy: allow-untyped-calls
# The library's client has no annotations.

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from ib_async.objects import ExecutionFilter

from app.brokers.base import (
    AccountSummary,
    BracketTicket,
    BrokerSession,
    Confirm,
    ConnectionState,
    EntriesWait,
    EventSink,
    OpenOrder,
    OrderTicket,
    PlacedBracket,
    Position,
    SendPermit,
    SendPriority,
    StateSink,
)
from app.brokers.errors import BrokerTimeout, IncompleteAnswer, NotConnected
from app.brokers.ib import translate
from app.brokers.ib.connection import EXECUTIONS, Connection, Link
from app.brokers.ib.settings import IBSettings
from app.brokers.ib.wire import COMPLETED_ORDERS, OPEN_ORDERS, POSITIONS, WireClient
from app.core import clock
from app.core.errors import FixRequest, RetryLater
from app.core.logging import get_logger
from app.domain.broker_events import AnyBrokerEvent, CommissionTold, FillTold, OrderTold
from app.domain.contract import Contract

log = get_logger(__name__)

# How long before its slot an order is written ahead: as long as that took lately. More would only hold the socket.
_AHEAD_SECONDS_MAX = 0.05
_AHEAD_WEIGHT = 0.125
# For how long a confirmation holds, and how much longer that of each further try: a slow database answers the second as
# slowly as the first, a process that stood still is quick when it asks again.
_CONFIRMED_SECONDS_MAX = 0.5
_EACH_TRY_LONGER = 4
# A question of its own kind: its answer recovers nothing that a lost message may have said.
EXECUTIONS_OF_SYMBOL = "executions_of_symbol"
_SUMMARY_TAGS = ("NetLiquidation", "AvailableFunds", "BuyingPower")


def _ignore_event(_event: AnyBrokerEvent) -> None:
    pass


def _ignore_state(_state: ConnectionState, _reason: str) -> None:
    pass


class IBBroker:
    """Implements `Broker`. `on_event` and `on_state` are called in the event loop and must not block.

    Events are what the wire said, translated before the client library interprets it, and may be told twice with one
    `dedupe_key`. `confirm` is asked, in a thread, before a change or a cancel leaves: nothing is written ahead of them.
    `entries_wait` says whether entries let everything else go first for the moment; it must not block.
    Lives in the event loop in which `connect` runs; not thread-safe.
    """

    def __init__(
        self,
        settings: IBSettings | None = None,
        *,
        on_event: EventSink = _ignore_event,
        on_state: StateSink = _ignore_state,
        confirm: Confirm | None = None,
        entries_wait: EntriesWait = lambda: False,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.settings = settings or IBSettings.from_environment()
        self._connection = Connection(
            self.settings, on_event=on_event, on_state=on_state, entries_wait=entries_wait, now=now
        )
        self._confirm = confirm
        self._ahead_seconds = 0.0

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._connection.state

    async def connect(self) -> BrokerSession:
        """Connect; return at once when connected already. See `Broker.connect` and docs/ib_setup.md for the errors."""
        return await self._connection.connect()

    async def disconnect(self) -> None:
        """Close the connection; safe to call twice."""
        await self._connection.disconnect()

    def ids_begin_above(self, id_floor: int) -> None:
        """See `Broker.ids_begin_above`."""
        self._connection.require_link().client.updateReqId(id_floor + 1)

    async def ping(self) -> datetime:
        """Return the Gateway's time. Raises BrokerTimeout when it does not answer: the connection is then dead."""
        return await self._connection.ping()

    async def place_bracket(
        self, bracket: BracketTicket, *, id_floor: int = 0, permit: SendPermit | None = None
    ) -> PlacedBracket:
        """Send all legs as one native bracket; see `Broker.place_bracket`.

        `permit` is asked in a thread (see `_cleared`). When it takes longer than the settings allow, nothing is sent
        and RetryLater `write_ahead_timeout` is raised, though it may still finish.
        """
        tickets = bracket.orders
        if len({ticket.order_ref for ticket in tickets}) != len(tickets):
            raise FixRequest("Two legs of a bracket have one order_ref.", code="order_ref_twice")
        turn = self._connection.sending(
            priority=SendPriority.ENTRY, messages=len(tickets), ahead_seconds=lambda: self._ahead_seconds
        )
        async with turn as link:
            self._connection.require_ready(link)
            link.client.updateReqId(id_floor + 1)
            taken = link.client.take_order_ids(len(tickets))
            order_ids = {ticket.order_ref: order_id for ticket, order_id in zip(tickets, taken, strict=True)}
            await self._written_ahead(permit, order_ids)
            self._connection.require_ready(link)
            self._send_bracket(link, bracket, order_ids)
            log.info("bracket_on_wire", order_ids=list(order_ids.values()))
            await self._connection.delivered(link)
        entry_id, stop_id = order_ids[bracket.entry.order_ref], order_ids[bracket.stop_loss.order_ref]
        return PlacedBracket(order_ids=order_ids, reference=f"IB-{entry_id}:{stop_id}")

    async def place_order(
        self,
        ticket: OrderTicket,
        *,
        contract: Contract,
        id_floor: int = 0,
        permit: SendPermit | None = None,
        cancels: Sequence[int] = (),
    ) -> int:
        """Send one order outside any native bracket, ahead of waiting entries; see `Broker.place_order`."""
        queued_at = time.monotonic()
        turn = self._connection.sending(
            priority=SendPriority.PROTECT, messages=1 + len(cancels), ahead_seconds=lambda: self._ahead_seconds
        )
        async with turn as link:
            turn_at = time.monotonic()
            self._connection.require_ready(link)
            link.client.updateReqId(id_floor + 1)
            (order_id,) = link.client.take_order_ids(1)
            await self._written_ahead(permit, {ticket.order_ref: order_id})
            self._connection.require_ready(link)
            link.told.record_placed(order_id)
            self._send(link, contract, ticket, order_id=order_id, parent_id=0, transmit=True)
            for cancelled_id in cancels:
                self._send_cancel(link, cancelled_id)
            times = {"waited_ms": turn_at - queued_at, "sent_ms": time.monotonic() - queued_at}
            told = {name: round(seconds * 1000, 1) for name, seconds in times.items()}
            log.info("single_order_sent", order_ref=ticket.order_ref, order_id=order_id, **told)
            await self._connection.delivered(link)
        return order_id

    async def modify_order(self, *, order_id: int, contract: Contract, ticket: OrderTicket, parent_id: int = 0) -> None:
        """Send the order again under its id, changed. Give `parent_id` only while the parent lives (else 135)."""
        async with self._connection.sending(priority=SendPriority.PROTECT, messages=1) as link:
            await self._cleared(self._confirm)
            self._connection.require_ready(link)
            link.told.record_request(order_id)
            self._send(link, contract, ticket, order_id=order_id, parent_id=parent_id, transmit=True)
            log.info("change_on_wire", order_id=order_id)
            await self._connection.delivered(link)

    async def cancel_order(self, order_id: int) -> None:
        """Ask for a cancel of any order of this client id, of this session or an earlier one."""
        async with self._connection.sending(priority=SendPriority.PROTECT, messages=1) as link:
            await self._cleared(self._confirm)
            self._connection.require_same(link)
            self._send_cancel(link, order_id)
            log.info("cancel_on_wire", order_id=order_id)
            await self._connection.delivered(link)

    def _send_cancel(self, link: Link, order_id: int) -> None:
        link.told.record_request(order_id)
        try:
            link.client.cancelOrder(order_id)
        except ConnectionError as error:
            raise NotConnected("The connection broke before the cancel was sent.") from error

    async def recover(self) -> bool:
        """Have everything told again and leave DEGRADED; see `Broker.recover`."""
        if not self._connection.can_recover:
            return False
        await self.open_orders()
        await self.completed_orders()
        await self.fills_since()
        self._connection.recovered()
        return True

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Return every order open in the account now, of any client id and of TWS itself."""
        session = self._connection.session()
        told = self._connection.require_link().told
        keys = await self._connection.ask(
            OPEN_ORDERS,
            lambda client, _id: client.reqAllOpenOrders(),
            key=OPEN_ORDERS,
            priority=SendPriority.ACCOUNT,
        )
        orders = (told.open_order_of(key) for key in dict.fromkeys(keys))
        return [order for order in orders if order is not None and order.told.account in ("", session.account)]

    async def completed_orders(self) -> Sequence[OrderTold]:
        """Return the orders that finished today; many carry no order id, so match them by `order_ref` or `perm_id`."""
        session = self._connection.session()
        rows = await self._connection.ask(
            COMPLETED_ORDERS,
            lambda client, _id: client.reqCompletedOrders(apiOnly=False),
            key=COMPLETED_ORDERS,
            priority=SendPriority.ACCOUNT,
        )
        return [told for told in rows if told.account in ("", session.account)]

    async def fills_since(
        self, since: datetime | None = None, *, symbol: str = ""
    ) -> Sequence[FillTold | CommissionTold]:
        """Return the deals of today (of the Gateway's day) and their costs as far as told, oldest first.

        Those of one symbol are asked for beside all of them: what is about to be sent does not wait for a busy
        account's whole day.
        """
        session = self._connection.session()
        told = self._connection.require_link().told
        execution_filter = ExecutionFilter(acctCode=session.account, symbol=symbol)
        fills: list[FillTold] = await self._connection.ask(
            EXECUTIONS_OF_SYMBOL if symbol else EXECUTIONS,
            lambda client, request_id: client.reqExecutions(request_id, execution_filter),
            priority=SendPriority.ACCOUNT,
        )
        costs = told.commissions_take()
        facts: list[FillTold | CommissionTold] = []
        for fill in sorted(fills, key=lambda fill: fill.executed_at):
            if since is None or fill.executed_at >= since:
                facts.append(fill)
                cost = costs.get(fill.exec_id)
                facts += [cost] if cost else []
        return facts

    async def positions(self) -> Sequence[Position]:
        """Return what the account holds, without what it held and closed."""
        session = self._connection.session()
        rows = await self._connection.ask(
            POSITIONS, lambda client, _id: client.reqPositions(), key=POSITIONS, priority=SendPriority.ACCOUNT
        )
        latest = {(account, contract.conId): (contract, size, cost) for account, contract, size, cost in rows}
        return [
            Position(
                account=account,
                contract=translate.to_contract(contract),
                quantity=translate.require_decimal(size),
                average_cost=translate.to_decimal(cost),
            )
            for (account, _con_id), (contract, size, cost) in latest.items()
            if account == session.account and size
        ]

    def positions_pushed_take(self) -> Mapping[int, Decimal]:
        """Return what the account holds by contract id, of what changed since this was called last."""
        told = self._connection.require_link().told
        pushed, told.positions_pushed = told.positions_pushed, {}
        return pushed

    async def account_summary(self) -> AccountSummary:
        """Return what the account is worth. Raises IncompleteAnswer when IB leaves out a figure."""
        session = self._connection.session()
        request_ids: list[int] = []

        def send(client: WireClient, request_id: int) -> None:
            request_ids.append(request_id)
            client.reqAccountSummary(request_id, "All", ",".join(_SUMMARY_TAGS))

        rows = await self._connection.ask("account_summary", send)
        await self._connection.tell(lambda client: client.cancelAccountSummary(request_ids[0]))
        told = {tag: (value, currency) for account, tag, value, currency in rows if account == session.account}
        missing = [tag for tag in _SUMMARY_TAGS if tag not in told]
        if missing:
            raise IncompleteAnswer(f"The account summary of {session.account} lacks {', '.join(missing)}.")
        figures = {tag: translate.require_decimal(told[tag][0]) for tag in _SUMMARY_TAGS}
        return AccountSummary(
            account=session.account,
            currency=told["NetLiquidation"][1],
            net_liquidation=figures["NetLiquidation"],
            available_funds=figures["AvailableFunds"],
            buying_power=figures["BuyingPower"],
        )

    async def _written_ahead(self, permit: SendPermit | None, order_ids: Mapping[str, int]) -> None:
        """Have the ids stored and return once the order may leave (see `_cleared`). Learns how long storing takes."""

        if permit is None:
            await self._cleared()
            return

        def store() -> None:
            begun = time.monotonic()
            permit.note_ids(order_ids)
            took = min(time.monotonic() - begun, _AHEAD_SECONDS_MAX)
            self._ahead_seconds += (took - self._ahead_seconds) * _AHEAD_WEIGHT

        await self._cleared(store, again=permit.require_still_ours)

    async def _cleared(self, confirm: Confirm | None = None, *, again: Confirm | None = None) -> None:
        """Return once the next message may leave, confirmed a moment ago; send it without another await.

        Who confirms asks the database whether this worker still holds the connection. A process that was stopped since
        may have been deposed meanwhile: it asks again.
        """
        limit = self.settings.write_ahead_timeout_seconds
        try:
            # Not wait_for: before Python 3.12 it loses a cancel that comes with the answer, and we would send after it.
            async with asyncio.timeout(limit):
                holds = _CONFIRMED_SECONDS_MAX
                while True:
                    begun = time.monotonic()
                    if confirm is not None:
                        await asyncio.to_thread(confirm)
                    await self._connection.pacer.cleared()
                    if confirm is None or time.monotonic() - begun < holds:
                        return
                    log.warning("confirmed_again", after_seconds=round(time.monotonic() - begun, 1))
                    holds *= _EACH_TRY_LONGER
                    confirm = again or confirm
        except TimeoutError:
            raise RetryLater(
                f"It was not confirmed within {limit:g} s that it may be sent; nothing was.", code="write_ahead_timeout"
            ) from None

    def _send_bracket(self, link: Link, bracket: BracketTicket, order_ids: Mapping[str, int]) -> None:
        for order_id in order_ids.values():
            link.told.record_placed(order_id)
        entry_id = order_ids[bracket.entry.order_ref]
        for ticket in bracket.orders:
            is_entry = ticket is bracket.entry
            self._send(
                link,
                bracket.contract,
                ticket,
                order_id=order_ids[ticket.order_ref],
                parent_id=0 if is_entry else entry_id,
                # The last leg transmits the others: until it arrives, the Gateway holds them (TWS API, bracket orders).
                transmit=ticket is bracket.stop_loss,
            )

    def _send(
        self, link: Link, contract: Contract, ticket: OrderTicket, *, order_id: int, parent_id: int, transmit: bool
    ) -> None:
        order = translate.wire_order(
            ticket,
            order_id=order_id,
            client_id=self.settings.client_id,
            account=self._connection.session().account,
            parent_id=parent_id,
            transmit=transmit,
        )
        try:
            link.client.placeOrder(order_id, translate.wire_contract(contract), order)
        except ConnectionError as error:
            raise BrokerTimeout("The connection broke while sending: what became of the order is unknown.") from error
