"""The fixed vocabularies of the domain, spelled as the API and the database spell them."""

from enum import StrEnum


class Action(StrEnum):
    """What an order does."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> "Action":
        """The action that undoes this one."""
        return Action.SELL if self is Action.BUY else Action.BUY


class Side(StrEnum):
    """The direction of a setup."""

    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        """+1 where a rising price earns, -1 where it costs."""
        return 1 if self is Side.LONG else -1

    @property
    def entry_action(self) -> Action:
        """The action that opens the position."""
        return Action.BUY if self is Side.LONG else Action.SELL

    @property
    def exit_action(self) -> Action:
        """The action that closes the position."""
        return self.entry_action.opposite


class Leg(StrEnum):
    """The part an order plays in its bracket."""

    ENTRY = "ENTRY"
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"
    CLOSE = "CLOSE"
    PROTECT = "PROTECT"
    SURPLUS = "SURPLUS"  # Buys or sells back what was closed too much.

    @property
    def is_exit(self) -> bool:
        """Whether a fill of this leg reduces the position."""
        return self not in (Leg.ENTRY, Leg.SURPLUS)

    @property
    def is_native(self) -> bool:
        """Whether it is sent as a part of the native bracket, in one breath with the others."""
        return self in NATIVE_LEGS


NATIVE_LEGS = (Leg.ENTRY, Leg.STOP_LOSS, Leg.TAKE_PROFIT)


class EntryType(StrEnum):
    """How a setup enters the market."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"

    @property
    def order_type(self) -> "OrderType":
        """The order type of the entry leg."""
        return OrderType[self.name]


class OrderType(StrEnum):
    """An order's type, in domain words."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(StrEnum):
    """How long an entry stays in force. Protective legs are always GTC."""

    DAY = "DAY"
    GTC = "GTC"


class OnTimeout(StrEnum):
    """What happens to an entry that is not filled by its deadline."""

    CANCEL = "CANCEL"
    KEEP = "KEEP"
