"""What this run does differently from a calm day: switches where IB's behaviour is not known for sure, and faults.

A switch has a fixed list of values, the first being the default; `docs/simulator.md` says what each means. A fault is
asked for over the control port and either used up (`reject_next`) or in force until taken back (`pause_fills`).
"""

from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal

from ib_simulator.desk.orders import Order
from ib_simulator.errors import CommandError, Refusal
from ib_simulator.faults.faults import Faults

SWITCHES: dict[str, tuple[str, ...]] = {
    "children_activate": ("on_partial", "on_full"),
    "children_after_partial_cancel": ("keep_filled", "cancel", "keep_full"),
    "cancel_child_cancels_sibling": ("off", "on"),
    "modify_child_after_parent_done": ("refuse_135", "accept"),
    "reject_sequence": ("error_then_inactive", "inactive_then_error", "error_then_cancelled", "error_only"),
    "cancel_sequence": ("direct", "pending_first"),
    "second_cancel": ("refuse_161", "refuse_10148"),
    "cancel_while_parked": ("at_once", "at_open"),
    "fill_sequence": ("execution_first", "status_first", "status_missing", "status_twice", "commission_late"),
    "immediate_sequence": ("submitted_first", "as_recorded"),
    "lone_child_group": ("none", "parent"),
    "oca_overfill": ("off", "on"),
    "oca_trigger_race": ("off", "on"),
    "oca_join": ("linked", "not_linked", "refused"),
    "stop_outside_rth": ("fills", "waits_for_open"),
    "empty_tif": ("day_10349", "refuse_10052"),
    "active_orders_limit": ("off", "on"),
    "cross_side_warning": ("off", "on"),
    "modify_during_outage": ("one_order", "two_orders"),
    "duplicate_callbacks": ("on", "off"),
    "open_orders_on_connect": ("on", "off"),
    "executions_client_filter": ("zero_means_all", "zero_means_own"),
    "cross_client_cancel": ("refuse_10147", "allow"),
    "split_orders": ("cancelled", "adjusted", "kept"),
    "outage_news": ("lost", "told_at_end"),
    "outage_orders": ("taken", "lost"),
    "outage_queries": ("answered", "silent"),
    "pacing": ("off", "reject", "slow"),
    "historical_pacing": ("off", "on"),
    "market_data": ("live", "delayed_only"),
    "no_live_data": ("refuse_354", "refuse_10089", "refuse_10168"),
    "read_only": ("off", "on"),
    "corrected_executions": ("both", "latest_only"),
    "commissions": ("fixed", "tiered"),
    "regulatory_fees": ("off", "on"),
    "margin": ("intraday", "reg_t"),
    "margin_check": ("off", "on"),
}


# What a rejection may wait for: a new order, the change of a live one, or either.
NEW, CHANGE, EITHER = "new", "change", "either"

# Numbers that may be set; 0 market data lines: as many as asked for.
LIMITS: dict[str, int] = {"messages_per_second": 50, "market_data_lines": 0}

# A message name (`*` for all) and the client it is kept from; None stands for every client.
MessageFilter = tuple[str, int | None]


def is_caught(filters: set[MessageFilter], *, name: str, client_id: int | None) -> bool:
    """Say whether one of the filters fits a message to a client."""
    return bool(filters) and any(wanted in {name, "*"} and client in {None, client_id} for wanted, client in filters)


@dataclass
class Rejection:
    """A refusal that waits for its order. Empty filters fit every order; `count` is how many orders it still meets."""

    code: int
    text: str
    symbol: str = ""
    order_type: str = ""
    on: str = EITHER
    count: int = 1

    def fits(self, order: Order, *, on: str) -> bool:
        return (
            self.symbol in {"", order.instrument.symbol}
            and self.order_type in {"", order.order_type}
            and self.on in {EITHER, on}
        )


@dataclass
class Scenario:
    """The switches and the faults in force."""

    switches: dict[str, str] = field(default_factory=lambda: {name: values[0] for name, values in SWITCHES.items()})
    fills_paused: bool = False
    cancels_held: bool = False
    hard_to_borrow: set[str] = field(default_factory=set)
    price_cap_percent: Decimal | None = None
    master_client_id: int | None = None
    outage: bool = False  # Between 1100 and 1101 or 1102.
    resetting: bool = False  # The nightly reset: execution reports and simulated stops wait.
    competing: bool = False  # Another session of the user has the market data.
    farms_down: set[str] = field(default_factory=set)
    daily_restart: time | None = None
    restart_checked_at: datetime | None = None
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    faults: Faults = field(default_factory=Faults)
    accepting: bool = True
    muted: set[MessageFilter] = field(default_factory=set)
    held: set[MessageFilter] = field(default_factory=set)
    rejections: list[Rejection] = field(default_factory=list)

    def is_on(self, name: str, value: str) -> bool:
        return self.switches[name] == value

    @property
    def disturbed(self) -> bool:
        """Whether IB's own servers are not as they should be."""
        return self.outage or self.resetting or self.competing or bool(self.farms_down)

    def set_limit(self, name: str, value: int) -> None:
        """Raises CommandError for a limit that does not exist or a value it cannot have."""
        if name not in LIMITS:
            raise CommandError(code="unknown_limit", message=f"there is no limit {name!r}: {', '.join(LIMITS)}")
        least = 0 if LIMITS[name] == 0 else 1
        if value < least:
            raise CommandError(code="bad_value", message=f"{name} is at least {least}")
        self.limits[name] = value

    def set_switch(self, name: str, value: str) -> None:
        """Raises CommandError for a switch or a value that does not exist."""
        if name not in SWITCHES:
            raise CommandError(code="unknown_switch", message=f"there is no switch {name!r}: {', '.join(SWITCHES)}")
        if value not in SWITCHES[name]:
            raise CommandError(code="bad_value", message=f"{name} is one of: {', '.join(SWITCHES[name])}")
        self.switches[name] = value

    def take_rejection(self, order: Order, *, on: str) -> Refusal | None:
        """Return and use up the first rejection that fits the order, which is NEW or a CHANGE."""
        for rejection in self.rejections:
            if rejection.fits(order, on=on):
                rejection.count -= 1
                if rejection.count <= 0:
                    self.rejections.remove(rejection)
                return Refusal(code=rejection.code, text=rejection.text)
        return None
