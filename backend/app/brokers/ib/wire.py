"""The client library with its ears open: every message about orders is translated before the library interprets it.

    socket -> WireDecoder -> WireWrapper -> SessionTold -> on_event          orders, deals, costs, codes about orders
                                         -> QuestionBook                     rows and ends of answers
                                         -> on_system                        codes about the connection

The library's own books (trades, fills, local statuses) are not kept: it calls live orders cancelled after codes that
say no such thing (ib_async #191, #217), and emits no commission for an order it has not met. It is used for what it
does well: framing, the handshake, the layout of every message.
"""

# mypy: allow-untyped-calls
# The library's client has no annotations.

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from ib_async.client import Client
from ib_async.contract import Contract as WireContract
from ib_async.contract import ContractDetails
from ib_async.ib import IB
from ib_async.objects import BarData, CommissionReport, Execution, PriceIncrement
from ib_async.order import Order as WireOrder
from ib_async.order import OrderState
from ib_async.util import UNSET_INTEGER
from ib_async.wrapper import Wrapper

from app.brokers.ib import translate
from app.brokers.ib.deal_time import gateway_zone
from app.brokers.ib.decoder import OnUnreadable, WireDecoder
from app.brokers.ib.error_codes import fails_question
from app.brokers.ib.questions import QuestionBook
from app.brokers.ib.told import SessionTold
from app.core.errors import FixRequest
from app.domain.broker_events import AnyBrokerEvent, CommissionTold, FillTold

OPEN_ORDERS = "open_orders"
COMPLETED_ORDERS = "completed_orders"
POSITIONS = "positions"
CURRENT_TIME = "current_time"
# An order id is a signed 32-bit number; what is above this is ours only if our own orders got there.
FOREIGN_ID_MAX = 2_000_000_000
# What is read at once: some tens of messages. In a long answer an order's steps come between, and the library, which
# copies all that was read behind each message, copies little.
READ_BYTES_MAX = 8192
# An answer to an older request is not awaited by anybody.
REQUEST_IDS_KEPT = 1000
NO_REQUEST, NO_ORDER = -1, 0  # what is about no order comes with -1, and no order has 0

OnSystem = Callable[[int, str], None]
OnClosed = Callable[[str], None]  # given "" when it was us who closed


class WireClient(Client):
    """The library's client without its throttle: our pacer is in front of it, and counts every message."""

    MaxRequests = 0
    decoder: WireDecoder

    def __init__(
        self,
        wrapper: "WireWrapper",
        *,
        on_sent: Callable[[], None],
        on_closed: OnClosed,
        on_unreadable: OnUnreadable,
        time_zone: str,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(wrapper)
        self.decoder = WireDecoder(wrapper, 0, on_unreadable, deals=wrapper, now=now)
        self._time_zone = time_zone
        self._now = now
        self.request_ids: set[int] = set()
        self._on_sent = on_sent
        self._on_closed = on_closed

    @property
    def next_id(self) -> int:
        """The id that the next order or request takes."""
        return int(self._reqIdSeq)

    @property
    def unsent_bytes(self) -> int:
        """How much waits in this process for the socket to take it."""
        transport = self.conn.transport
        return int(transport.get_write_buffer_size()) if transport else 0

    def getReqId(self) -> int:  # noqa: N802  # the library's name
        """Take an id for a request."""
        request_id = int(super().getReqId())
        self.request_ids.add(request_id)
        if len(self.request_ids) > 2 * REQUEST_IDS_KEPT:
            self.request_ids = set(sorted(self.request_ids)[-REQUEST_IDS_KEPT:])
        return request_id

    def take_order_ids(self, count: int) -> list[int]:
        """Take ids for orders, above every id seen. Requests take theirs from the same sequence: none collide.

        Raises FixRequest `order_ids_used_up`: beyond the last one IB's numbers start again below zero.
        """
        if self.next_id + count > UNSET_INTEGER:
            raise FixRequest(
                f"The next order id, {self.next_id}, leaves no room below {UNSET_INTEGER}: nothing was sent. In TWS or "
                "Gateway choose Configure > API > Settings > Reset API order ID sequence, while no API order is open.",
                code="order_ids_used_up",
                details={"next_id": self.next_id},
            )
        return [int(super(WireClient, self).getReqId()) for _ in range(count)]

    def sendMsg(self, msg: str) -> None:  # noqa: N802  # the library's name
        """Send one message."""
        if msg:
            self._on_sent()
        super().sendMsg(msg)

    def close_socket(self) -> None:
        """Close the connection; the end of it is heard by `on_closed`."""
        transport = self.conn.transport
        try:
            self.disconnect()
        except OSError:
            # Saying good-bye to a peer that is gone fails; there is nothing left to flush.
            if transport is not None:
                transport.abort()

    def abort_socket(self) -> None:
        """Drop the connection with whatever waits to be sent."""
        if self.conn.transport is not None:
            self.conn.transport.abort()

    def _onSocketHasData(self, data: bytes) -> None:  # noqa: N802  # the library's name
        if not self._serverVersion:
            self._hear_handshake(self._data + data)
            # What asyncio's transport reads for one turn of the loop.
            setattr(self.conn.transport, "max_size", READ_BYTES_MAX)  # noqa: B010 - no part of the typed interface
        super()._onSocketHasData(data)

    def _hear_handshake(self, data: bytes) -> None:
        """Take the Gateway's time zone from its first message, of which the library keeps the version only."""
        end = 4 + int.from_bytes(data[:4], "big")
        _version, _, told = data[4:end].decode(errors="replace").partition("\0")
        if len(data) >= end > 4:
            zone = gateway_zone(told.rstrip("\0"), now=self._now(), named=self._time_zone)
            self.decoder.gateway_zone = zone

    def _onSocketDisconnected(self, msg: str) -> None:  # noqa: N802  # the library's name
        by_us = self.connState == Client.DISCONNECTED
        super()._onSocketDisconnected(msg)
        self._on_closed("" if by_us else msg or "The peer closed the connection.")


class WireWrapper(Wrapper):
    """Hears what the Gateway says. Callbacks only translate and hand on."""

    ib: "WireIB"

    def __init__(
        self,
        ib: "WireIB",
        *,
        told: SessionTold,
        questions: QuestionBook,
        on_event: Callable[[AnyBrokerEvent], None],
        on_system: OnSystem,
        on_unreadable: OnUnreadable,
    ) -> None:
        self.told = told
        self.questions = questions
        self._on_event = on_event
        self._on_system = on_system
        self._on_unreadable = on_unreadable
        super().__init__(ib)

    @contextmanager
    def _hearing(self, name: str, *raw: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._logger.exception("Could not translate %s%r", name, raw)
            self._on_unreadable(f"{name}{raw!r}: {error!r}")

    def _saw_order_id(self, order_id: int, *, client_id: int) -> None:
        """Keep our next id above every id seen, as IB's documents ask, but for ids of others that would use up all."""
        most = UNSET_INTEGER if client_id == self.told.client_id else FOREIGN_ID_MAX
        if 0 < order_id < most:
            self.ib.client.updateReqId(order_id + 1)

    # Orders. The names and signatures of what follows are the library's.

    def openOrder(  # noqa: N802
        self,
        orderId: int,  # noqa: N803
        contract: WireContract,
        order: WireOrder,
        orderState: OrderState,  # noqa: N803
    ) -> None:
        with self._hearing("openOrder", contract, order, orderState):
            if order.whatIf:
                return
            event = self.told.open_order(contract=contract, order=order, raw_status=orderState.status)
            self._saw_order_id(event.order_id, client_id=event.client_id)
            self._on_event(event)
            self.questions.add_row(OPEN_ORDERS, self.told.key_of(event))

    def openOrderEnd(self) -> None:  # noqa: N802
        self.questions.finish(OPEN_ORDERS)

    def orderStatus(  # noqa: N802
        self,
        orderId: int,  # noqa: N803
        status: str,
        filled: float,
        remaining: float,
        avgFillPrice: float,  # noqa: N803
        permId: int,  # noqa: N803
        parentId: int,  # noqa: N803
        lastFillPrice: float,  # noqa: N803
        clientId: int,  # noqa: N803
        whyHeld: str,  # noqa: N803
        mktCapPrice: float = 0.0,  # noqa: N803
    ) -> None:
        raw = (orderId, status, filled, remaining, avgFillPrice, permId, parentId, clientId, whyHeld)
        with self._hearing("orderStatus", *raw):
            self._saw_order_id(orderId, client_id=clientId)
            event = self.told.order_status(
                order_id=orderId,
                client_id=clientId,
                perm_id=permId,
                raw_status=status,
                filled=filled,
                remaining=remaining,
                average_price=avgFillPrice,
                parent_id=parentId,
                why_held=whyHeld,
            )
            self._on_event(event)

    def completedOrder(self, contract: WireContract, order: WireOrder, orderState: OrderState) -> None:  # noqa: N802, N803
        with self._hearing("completedOrder", contract, order, orderState):
            event = self.told.completed_order(
                order=order, raw_status=orderState.status, completed_status=orderState.completedStatus
            )
            self._on_event(event)
            self.questions.add_row(COMPLETED_ORDERS, event)

    def completedOrdersEnd(self) -> None:  # noqa: N802
        self.questions.finish(COMPLETED_ORDERS)

    def execDetails(self, reqId: int, contract: WireContract, execution: Execution) -> None:  # noqa: N802, N803
        with self._hearing("execDetails", contract, execution):
            unreadable_time = self.ib.client.decoder.unreadable_time
            event = self.told.execution(contract=contract, execution=execution, unreadable_time=unreadable_time)
            self._saw_order_id(event.order_id, client_id=event.client_id)
            self.ib.client.decoder.note_read(event)
            self._on_event(event)
            self.questions.add_row(reqId, event)

    def told_again(self, event: FillTold | CommissionTold, *, request_id: int = NO_REQUEST) -> None:
        """Take in a deal, or the cost of one, that was told before, word for word."""
        self.told.told_again(event)
        self._on_event(event)
        self.questions.add_row(request_id, event)

    def deal_unreadable(self, **deal: Any) -> None:
        """Take in a deal that could not be read in an answer, which is complete but for what nobody can read."""
        event = self.told.deal_unreadable(**deal)
        self._logger.error("Deal that cannot be read: %s", event.evidence)
        self._on_event(event)

    def execDetailsEnd(self, reqId: int) -> None:  # noqa: N802, N803
        self.questions.finish(reqId)

    def commissionReport(self, commissionReport: CommissionReport) -> None:  # noqa: N802, N803
        if translate.to_decimal(commissionReport.commission) is None:
            self._logger.warning("The cost of deal %s was not told.", commissionReport.execId)
            return
        with self._hearing("commissionReport", commissionReport):
            event = self.told.commission(commissionReport)
            if event.account:  # Without, it came before its deal.
                self.ib.client.decoder.note_read(event)
            self._on_event(event)

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:  # noqa: N803
        with self._hearing("error", reqId, errorCode, errorString, advancedOrderRejectJson):
            if reqId in self.questions:
                if fails_question(errorCode):
                    self.questions.refuse(reqId, code=errorCode, text=errorString)
            elif reqId <= NO_ORDER or reqId in self.ib.client.request_ids:
                self._on_system(errorCode, errorString)
            else:
                self._on_event(self.told.message(order_id=reqId, code=errorCode, text=errorString))

    # Answers.

    def position(self, account: str, contract: WireContract, posSize: float, avgCost: float) -> None:  # noqa: N803
        with self._hearing("position", account, contract, posSize, avgCost):
            if POSITIONS not in self.questions and account == self.told.account:
                self.told.positions_pushed[contract.conId] = translate.require_decimal(posSize)
            self.questions.add_row(POSITIONS, (account, contract, posSize, avgCost))

    def positionEnd(self) -> None:  # noqa: N802
        super().positionEnd()
        self.questions.finish(POSITIONS)

    def currentTime(self, time: int) -> None:  # noqa: N802
        self.questions.add_row(CURRENT_TIME, time)
        self.questions.finish(CURRENT_TIME)

    def accountSummary(self, reqId: int, account: str, tag: str, value: str, currency: str) -> None:  # noqa: N802, N803
        self.questions.add_row(reqId, (account, tag, value, currency))

    def accountSummaryEnd(self, reqId: int) -> None:  # noqa: N802, N803
        self.questions.finish(reqId)

    def contractDetails(self, reqId: int, contractDetails: ContractDetails) -> None:  # noqa: N802, N803
        self.questions.add_row(reqId, contractDetails)

    def contractDetailsEnd(self, reqId: int) -> None:  # noqa: N802, N803
        self.questions.finish(reqId)

    def marketRule(self, marketRuleId: int, priceIncrements: list[PriceIncrement]) -> None:  # noqa: N802, N803
        self.questions.add_row(market_rule_key(marketRuleId), priceIncrements)
        self.questions.finish(market_rule_key(marketRuleId))

    def historicalData(self, reqId: int, bar: BarData) -> None:  # noqa: N802, N803
        self.questions.add_row(reqId, bar)

    def historicalDataEnd(self, reqId: int, _start: str, _end: str) -> None:  # noqa: N802, N803
        self.questions.finish(reqId)

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:  # noqa: N802, N803
        self.questions.add_row(reqId, (tickType, price))

    def tickSnapshotEnd(self, reqId: int) -> None:  # noqa: N802, N803
        self.questions.finish(reqId)

    def marketDataType(self, reqId: int, marketDataId: int) -> None:  # noqa: N802, N803
        pass

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:  # noqa: N802, N803
        pass

    def tickString(self, reqId: int, tickType: int, value: str) -> None:  # noqa: N802, N803
        pass

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:  # noqa: N802, N803
        pass


class WireIB(IB):
    """The library's facade, of which only `connectAsync` is used, with the wrapper and the client above."""

    RaiseRequestErrors = True

    client: WireClient

    def __init__(
        self,
        *,
        told: SessionTold,
        questions: QuestionBook,
        on_event: Callable[[AnyBrokerEvent], None],
        on_system: OnSystem,
        on_sent: Callable[[], None],
        on_closed: OnClosed,
        on_unreadable: OnUnreadable,
        now: Callable[[], datetime],
        time_zone: str = "",
    ) -> None:
        super().__init__()
        self.wrapper = WireWrapper(
            self,
            told=told,
            questions=questions,
            on_event=on_event,
            on_system=on_system,
            on_unreadable=on_unreadable,
        )
        self.client = WireClient(
            self.wrapper,
            on_sent=on_sent,
            on_closed=on_closed,
            on_unreadable=on_unreadable,
            time_zone=time_zone,
            now=now,
        )

    def __del__(self) -> None:
        """Do nothing: a connection is closed on purpose, not when the garbage collector finds it."""


def market_rule_key(market_rule_id: int) -> str:
    """Return the question's key of a market rule, whose answer carries the rule's id only."""
    return f"market_rule_{market_rule_id}"
