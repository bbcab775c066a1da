"""One order in the book: what was asked, how far it got, and which word IB has for that.

DRAFT ──transmit──> HELD ──parent filled──> WORKING ──> DONE (Filled, Cancelled, Inactive)
  └──────transmit, no parent──────────────────^
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from ib_simulator.market.instruments import Instrument
from ib_simulator.messages.place_order import Groups


class Stage(StrEnum):
    DRAFT = "DRAFT"  # Kept here only: sent with transmit=False. Lost at a restart.
    HELD = "HELD"  # Transmitted, waits for its parent.
    WORKING = "WORKING"  # May fill, or waits for its trigger.
    DONE = "DONE"


class Status(StrEnum):
    """IB's words, as on the wire."""

    API_PENDING = "ApiPending"
    PENDING_CANCEL = "PendingCancel"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"


# Deal like MKT, at once or when triggered.
MARKET_TYPES = frozenset({"MKT", "STP", "TRAIL", "MIT", "MOC"})
# Deal only at their limit or better.
LIMIT_TYPES = frozenset({"LMT", "STP LMT", "TRAIL LIMIT", "LIT", "LOC"})
ORDER_TYPES = MARKET_TYPES | LIMIT_TYPES
# Triggered when the price turns against the position.
STOP_TYPES = frozenset({"STP", "STP LMT", "TRAIL", "TRAIL LIMIT"})
TRAIL_TYPES = frozenset({"TRAIL", "TRAIL LIMIT"})
# Triggered when the price becomes favourable.
TOUCHED_TYPES = frozenset({"MIT", "LIT"})
TRIGGERED_TYPES = STOP_TYPES | TOUCHED_TYPES
CLOSE_TYPES = frozenset({"MOC", "LOC"})
TIMES_IN_FORCE = frozenset({"DAY", "GTC", "IOC", "FOK", "GTD", "OPG"})
AT_ONCE = frozenset({"IOC", "FOK"})
OCA_REDUCE = 3


@dataclass(slots=True)
class Order:
    """Quantities are shares, prices USD. `sequence` is the placing order and the key inside the book.

    `oca_linked`: the group knows of the order. `account_named`: whoever placed it named its account.

    `stop_price` is where the order triggers: of a trailing order where its stop is by now. The moments have a time
    zone: `wakes_at` ends being `parked`, `due_at` is the auction of an order that only takes part in one, `closes_at`
    is when the running session ends for an order that outlives it, `expires_at` when the order ends by itself.
    """

    sequence: int
    client_id: int
    order_id: int
    account: str
    instrument: Instrument
    exchange: str
    action: str
    order_type: str
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    tif: str
    outside_rth: bool = False
    order_ref: str = ""
    parent_id: int = 0
    parent_sequence: int | None = None
    parent_perm_id: int = 0
    oca_group: str = ""
    oca_type: int = 0
    oca_linked: bool = True
    account_named: bool = True
    transmit: bool = True
    tif_defaulted: bool = False
    perm_id: int = 0
    stage: Stage = Stage.DRAFT
    final_status: Status | None = None
    triggered: bool = False
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    last_fill_price: Decimal = Decimal(0)
    completed_at: datetime | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    good_after: datetime | None = None
    good_till: datetime | None = None
    wakes_at: datetime | None = None
    due_at: datetime | None = None
    closes_at: datetime | None = None
    expires_at: datetime | None = None
    locating: bool = False
    cancelling: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.cost / self.filled if self.filled else Decimal(0)

    @property
    def is_buy(self) -> bool:
        return self.action == "BUY"

    @property
    def is_active(self) -> bool:
        """At IB and not done: what reqOpenOrders shows."""
        return self.stage in {Stage.HELD, Stage.WORKING}

    @property
    def is_parked(self) -> bool:
        """Accepted, but not at the exchange before `wakes_at`."""
        return self.wakes_at is not None

    @property
    def waits_for_trigger(self) -> bool:
        return self.order_type in TRIGGERED_TYPES and not self.triggered

    @property
    def may_meet_market(self) -> bool:
        """Live, at the exchange and not waiting for an auction or for shares to lend."""
        return self.stage is Stage.WORKING and not self.is_parked and self.due_at is None and not self.locating

    @property
    def next_moment(self) -> datetime | None:
        """When the clock will next change something about the order."""
        moments = [
            moment for moment in (self.wakes_at, self.due_at, self.closes_at, self.expires_at) if moment is not None
        ]
        return min(moments) if moments and self.is_active else None

    @property
    def status(self) -> Status:
        """IB's word for where the order is."""
        if self.final_status is not None:
            return self.final_status
        if self.stage is Stage.DRAFT:
            return Status.API_PENDING
        if self.cancelling:
            return Status.PENDING_CANCEL
        if self.stage is Stage.HELD or self.waits_for_trigger or self.is_parked or self.locating:
            return Status.PRE_SUBMITTED
        # Recorded traffic shows a new BUY MKT as PreSubmitted and a SELL MKT as Submitted.
        if self.order_type == "MKT" and self.is_buy and not self.filled:
            return Status.PRE_SUBMITTED
        return Status.SUBMITTED

    @property
    def why_held(self) -> str:
        reasons = ["child"] if self.stage is Stage.HELD else []
        if self.is_active and self.waits_for_trigger:
            reasons.append("trigger")
        if self.is_active and self.locating:
            reasons.append("locate")
        return ",".join(reasons)
