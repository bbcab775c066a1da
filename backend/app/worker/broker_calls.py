"""What services use of the connection, from their threads: each call is handed to the loop, with a time limit.

Orders, changes and cancels pass only in READY; questions also while everything is asked for.
"""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

from app.brokers.base import (
    BracketTicket,
    Broker,
    ConnectionState,
    OpenOrder,
    OrderTicket,
    PlacedBracket,
    Position,
    SendPermit,
)
from app.brokers.errors import NotConnected
from app.domain.broker_events import CommissionTold, FillTold, OrderTold
from app.domain.contract import Contract
from app.worker.event_recorder import EventRecorder
from app.worker.holder import Holder
from app.worker.loop_thread import LoopThread
from app.worker.permit import PermitWhenReady

T = TypeVar("T")

SEND_SECONDS_MAX = 60.0
ANSWER_SECONDS_MAX = 30.0
# How long an entry lets what was told be recorded first.
KEEP_UP_SECONDS_MAX = 5.0


class BrokerCalls:
    """A `BlockingBroker`; whoever inherits it keeps the connection and says where it stands."""

    _broker: Broker
    _recorder: EventRecorder
    _holder: Holder
    _loop_thread: LoopThread
    _account_id: str
    _connection_id: int
    _state: ConnectionState

    @property
    def connection_id(self) -> int:
        """The row of this connection; 0 before the account is known."""
        return self._connection_id

    @property
    def fence(self) -> int:
        """The number by which we hold the connection; 0 while we don't."""
        return self._holder.fence

    @property
    def standing_by(self) -> bool:
        """Whether another worker holds the connection."""
        return self._holder.standing_by

    @property
    def account_id(self) -> str:
        """The broker's id of the account."""
        return self._account_id

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._state

    def place_bracket(self, bracket: BracketTicket, *, id_floor: int, permit: SendPermit) -> PlacedBracket:
        """Send a bracket once a turn is free and our rows keep up with the news; see Broker.place_bracket."""
        self._recorder.wait_until_it_keeps_up(seconds_max=KEEP_UP_SECONDS_MAX)
        self._require_ready()
        return self._loop_thread.call(
            self._broker.place_bracket(
                bracket, id_floor=id_floor, permit=PermitWhenReady(permit=permit, require_ready=self._require_ready)
            ),
            seconds_max=SEND_SECONDS_MAX,
        )

    def place_order(
        self,
        ticket: OrderTicket,
        *,
        contract: Contract,
        id_floor: int,
        permit: SendPermit,
        cancels: Sequence[int] = (),
    ) -> int:
        """Send a single order ahead of waiting entries; see Broker.place_order."""
        self._require_ready()
        return self._loop_thread.call(
            self._broker.place_order(
                ticket,
                contract=contract,
                id_floor=id_floor,
                permit=PermitWhenReady(permit=permit, require_ready=self._require_ready),
                cancels=cancels,
            ),
            seconds_max=ANSWER_SECONDS_MAX,
        )

    def modify_order(self, *, order_id: int, contract: Contract, ticket: OrderTicket, parent_id: int = 0) -> None:
        """Send a change of an order."""
        self._require_ready()
        changed = self._broker.modify_order(order_id=order_id, contract=contract, ticket=ticket, parent_id=parent_id)
        self._loop_thread.call(changed, seconds_max=ANSWER_SECONDS_MAX)

    def cancel_order(self, order_id: int) -> None:
        """Send a cancel."""
        self._require_ready()
        self._loop_thread.call(self._broker.cancel_order(order_id), seconds_max=ANSWER_SECONDS_MAX)

    def open_orders(self, *, seconds_max: float | None = None) -> Sequence[OpenOrder]:
        """Ask for all open orders of the account."""
        return self._ask(self._broker.open_orders, seconds_max=seconds_max)

    def completed_orders(self, *, seconds_max: float | None = None) -> Sequence[OrderTold]:
        """Ask for the orders that finished today."""
        return self._ask(self._broker.completed_orders, seconds_max=seconds_max)

    def fills_since(
        self, since: datetime | None = None, *, symbol: str = "", seconds_max: float | None = None
    ) -> Sequence[FillTold | CommissionTold]:
        """Ask for today's deals, of one symbol where it is given."""
        return self._ask(lambda: self._broker.fills_since(since, symbol=symbol), seconds_max=seconds_max)

    def positions(self, *, seconds_max: float | None = None) -> Sequence[Position]:
        """Ask for what the account holds."""
        return self._ask(self._broker.positions, seconds_max=seconds_max)

    def _ask(self, question: Callable[[], Coroutine[Any, Any, T]], *, seconds_max: float | None = None) -> T:
        if self._state in (ConnectionState.DISCONNECTED, ConnectionState.CONNECTING):
            raise NotConnected("There is no connection to the broker now.")
        return self._loop_thread.call(question(), seconds_max=seconds_max or ANSWER_SECONDS_MAX)

    def _require_ready(self) -> None:
        if self._state is not ConnectionState.READY:
            raise NotConnected(f"The broker connection is {self._state}, not READY.", details={"state": self._state})
