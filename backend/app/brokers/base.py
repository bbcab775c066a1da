"""A broker and a data provider in domain words: the seam between our rules and somebody's protocol.

    place_bracket:  wait for a turn to send -> reserve order ids above the floor -> `permit.note_ids` -> first byte

A `SendPermit` stores the ids between the reservation and the first byte, durably; when it raises, nothing is sent.
Turns are granted one at a time, so ids grow in the order they are sent, as IB demands (103).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Protocol

from app.domain.broker_events import AnyBrokerEvent, CommissionTold, FillTold, OrderTold
from app.domain.contract import Contract, SymbolInfo
from app.domain.terms import Action, OrderType, TimeInForce


class ConnectionState(StrEnum):
    """Where a connection stands. Only READY sends new entries."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    SYNCHRONISING = "SYNCHRONISING"  # connected; our rows are being reconciled
    READY = "READY"
    DEGRADED = "DEGRADED"  # the socket is up, the Gateway has lost IB (1100)


class SendPriority(IntEnum):
    """Which message goes first when several wait. Lower goes first."""

    PROTECT = 0  # cancels and protective orders
    ACCOUNT = 1  # what the account holds and has dealt: orders that protect wait for these answers
    ENTRY = 2
    QUERY = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderTicket:
    """One order as it is to be sent. `limit_price` and `stop_price` are set as `order_type` needs them."""

    order_ref: str
    action: Action
    order_type: OrderType
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    outside_rth: bool = False
    oca_group: str = ""  # of a new order; a change never restates it (10326, 10327)
    oca_type: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class BracketTicket:
    """A native bracket to be sent as one: the entry, then the target if there is one, then the stop."""

    contract: Contract
    entry: OrderTicket
    stop_loss: OrderTicket
    take_profit: OrderTicket | None = None

    @property
    def orders(self) -> tuple[OrderTicket, ...]:
        """The legs in the order they are sent: only the last one transmits."""
        middle = (self.take_profit,) if self.take_profit else ()
        return (self.entry, *middle, self.stop_loss)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedBracket:
    """What was put on the wire. `order_ids` by `order_ref`; `reference` is `IB-<entry>:<stop>`."""

    order_ids: Mapping[str, int]
    reference: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenOrder:
    """An order the broker holds now, ours or not."""

    told: OrderTold
    contract: Contract
    action: Action
    order_type: str
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Shares held in an account; negative when short."""

    account: str
    contract: Contract
    quantity: Decimal
    average_cost: Decimal | None  # None where the broker does not say: nobody needs it to trade


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountSummary:
    """What the account is worth, in `currency`."""

    account: str
    currency: str
    net_liquidation: Decimal
    available_funds: Decimal
    buying_power: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerSession:
    """Whom we are connected to."""

    account: str
    client_id: int
    is_paper: bool
    server_version: int
    next_order_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar: `start` aware in UTC; prices in the contract's currency; `volume` in shares."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class SendPermit(Protocol):
    """The right to send what was written down. It is asked in a thread, before the first byte.

    Where it raises, nothing is sent. `note_ids` is called once; where that was a while ago when the turn came,
    `require_still_ours` is called too.
    """

    def note_ids(self, order_ids: Mapping[str, int]) -> None:
        """Store the reserved order ids, by `order_ref`, durably. Raises where it must not be sent."""
        ...

    def require_still_ours(self) -> None:
        """Raise where what was noted may not be sent any more, because another worker has taken over."""
        ...


# The same for a change or a cancel, whose order has its id already: raises where it must not be sent.
Confirm = Callable[[], None]
# Whether entries let everything else go first for the moment.
EntriesWait = Callable[[], bool]
EventSink = Callable[[AnyBrokerEvent], None]
StateSink = Callable[[ConnectionState, str], None]


class Broker(Protocol):
    """Places, changes and cancels orders, and answers what the broker holds.

    Every question either returns a complete answer or raises (BrokerTimeout, NotConnected, IncompleteAnswer).
    """

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        ...

    async def connect(self) -> BrokerSession:
        """Connect and synchronise. Raises ConnectionRefused, ClientIdInUse, LiveAccountRefused, BrokerTimeout."""
        ...

    async def disconnect(self) -> None:
        """Close the connection; safe to call twice."""
        ...

    def ids_begin_above(self, id_floor: int) -> None:
        """Give no order and no request an id up to `id_floor`: those are names of older orders. Raises NotConnected.

        A Gateway may issue old ids anew; what it says about an order's id would be taken for an answer to a request.
        """
        ...

    async def place_bracket(
        self, bracket: BracketTicket, *, id_floor: int = 0, permit: SendPermit | None = None
    ) -> PlacedBracket:
        """Send all legs as one native bracket, with order ids above `id_floor`; return once they are on the wire.

        What the broker answers arrives as events. Raises NotConnected or QueueFull before anything was sent, whatever
        `permit` raises, and BrokerTimeout when the connection broke while sending (the outcome is unknown).
        """
        ...

    async def place_order(
        self,
        ticket: OrderTicket,
        *,
        contract: Contract,
        id_floor: int = 0,
        permit: SendPermit | None = None,
        cancels: Sequence[int] = (),
    ) -> int:
        """Send one order that belongs to no native bracket, ahead of waiting entries; return its order id.

        For the legs PROTECT and CLOSE. Same road and same errors as `place_bracket`. `cancels` are order ids that it
        takes the place of: their cancels leave right behind it, with nothing between.
        """
        ...

    async def modify_order(self, *, order_id: int, contract: Contract, ticket: OrderTicket, parent_id: int = 0) -> None:
        """Send the order again under its id, changed. Give `parent_id` only while the parent lives (else 135)."""
        ...

    async def cancel_order(self, order_id: int) -> None:
        """Ask for a cancel. The outcome arrives as events; a fill may overtake it."""
        ...

    async def recover(self) -> bool:
        """Try to leave DEGRADED: have told again what a lost message may have said; say whether that was enough.

        False where no answer would prove anything yet. Raises as questions do, and nothing is changed then.
        """
        ...

    async def open_orders(self) -> Sequence[OpenOrder]:
        """Return every order that is open in the account now, of any client."""
        ...

    async def completed_orders(self) -> Sequence[OrderTold]:
        """Return the orders that finished today."""
        ...

    async def fills_since(
        self, since: datetime | None = None, *, symbol: str = ""
    ) -> Sequence[FillTold | CommissionTold]:
        """Return today's deals and their known costs, oldest first; from `since` on, of `symbol` only, where given."""
        ...

    async def positions(self) -> Sequence[Position]:
        """Return what the account holds."""
        ...

    def positions_pushed_take(self) -> Mapping[int, Decimal]:
        """Return what the account holds by contract id, of what the broker pushed since this was called last."""
        ...

    async def account_summary(self) -> AccountSummary:
        """Return what the account is worth."""
        ...

    async def ping(self) -> datetime:
        """Ask for a sign of life and return the broker's time. Raises BrokerTimeout when none comes, NotConnected."""
        ...


class DataProvider(Protocol):
    """Answers what a symbol is and what it trades at."""

    @property
    def is_connected(self) -> bool:
        """Whether questions can be asked now."""
        ...

    async def connect(self) -> BrokerSession:
        """Connect. Raises what Broker.connect raises."""
        ...

    async def disconnect(self) -> None:
        """Close the connection; safe to call twice."""
        ...

    async def get_symbol_info(self, symbol: str) -> SymbolInfo:
        """Return the contract's description. Raises UnknownSymbol, BrokerTimeout, NotConnected."""
        ...

    async def last_price(self, symbol: str) -> Decimal:
        """Return the last traded price. Raises UnknownSymbol, BrokerTimeout, NotConnected."""
        ...

    async def fetch_bars(self, symbol: str, bar_size: str, *, duration: str = "1 D") -> Sequence[Bar]:
        """Return bars, oldest first. `bar_size` as IB spells it: "15 mins", "1 hour", "1 day"."""
        ...


class BlockingBroker(Protocol):
    """A connected broker as services use it from threads: the same questions, each with a time limit of its own.

    Every method raises NotConnected where there is no synchronised connection, and BrokerTimeout where the answer did
    not come in time.
    """

    @property
    def connection_id(self) -> int:
        """The row of the connection this broker holds (accounts.BrokerConnection)."""
        ...

    @property
    def fence(self) -> int:
        """The number by which we hold it; a higher one in the row means that another worker has taken over."""
        ...

    @property
    def account_id(self) -> str:
        """The broker's id of the account."""
        ...

    def place_bracket(self, bracket: BracketTicket, *, id_floor: int, permit: SendPermit) -> PlacedBracket:
        """See Broker.place_bracket."""
        ...

    def place_order(
        self,
        ticket: OrderTicket,
        *,
        contract: Contract,
        id_floor: int,
        permit: SendPermit,
        cancels: Sequence[int] = (),
    ) -> int:
        """See Broker.place_order."""
        ...

    def modify_order(self, *, order_id: int, contract: Contract, ticket: OrderTicket, parent_id: int = 0) -> None:
        """See Broker.modify_order."""
        ...

    def cancel_order(self, order_id: int) -> None:
        """See Broker.cancel_order."""
        ...

    def open_orders(self, *, seconds_max: float | None = None) -> Sequence[OpenOrder]:
        """See Broker.open_orders. `seconds_max`: do not wait for the answer for longer than that."""
        ...

    def completed_orders(self, *, seconds_max: float | None = None) -> Sequence[OrderTold]:
        """See Broker.completed_orders. `seconds_max`: do not wait for the answer for longer than that."""
        ...

    def fills_since(
        self, since: datetime | None = None, *, symbol: str = "", seconds_max: float | None = None
    ) -> Sequence[FillTold | CommissionTold]:
        """See Broker.fills_since. `seconds_max`: do not wait for the answer for longer than that."""
        ...

    def positions(self, *, seconds_max: float | None = None) -> Sequence[Position]:
        """See Broker.positions. `seconds_max`: do not wait for the answer for longer than that."""
        ...


class MakeBroker(Protocol):
    """Makes a broker that tells its news to these."""

    def __call__(
        self, *, on_event: EventSink, on_state: StateSink, confirm: Confirm, entries_wait: EntriesWait
    ) -> Broker:
        """Return one that is not connected yet."""
        ...
