"""What others did to the account in a run, read from the simulator's book: whose shares their deals closed.

Independent of our rows, and told in the order of the book:

    a deal of the other program                      theirs
    a deal that others held enough for               theirs
    any other deal, as far as we hold such shares    it closed ours
    a split, a transfer                              nobody's deal: `unexplained`
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.simulation.book import is_exit, leg_of, side_of
from tests.simulation.setting import Setting

_NONE = Decimal(0)


@dataclass
class Outsiders:
    """The account as the book tells it. Quantities of sides are positive; `theirs` and `unexplained` are signed."""

    setting: Setting
    theirs: Decimal = _NONE
    unexplained: list[Decimal] = field(default_factory=list)
    # What somebody else closed of ours, by side, and when last.
    closed: dict[str, Decimal] = field(default_factory=lambda: {"LONG": _NONE, "SHORT": _NONE})
    closed_at: dict[str, datetime] = field(default_factory=dict)
    # All that reduced a side from outside, whosever it was: no more of ours can have been closed elsewhere.
    against: dict[str, Decimal] = field(default_factory=lambda: {"LONG": _NONE, "SHORT": _NONE})
    _open: dict[str, Decimal] = field(default_factory=lambda: {"LONG": _NONE, "SHORT": _NONE})
    _seen: set[str] = field(default_factory=set)

    def read(self, state: dict[str, Any]) -> None:
        """Take in the deals that are new in the book."""
        for deal in state["executions"]:
            name = deal["exec_id"].rpartition(".")[0]  # A correction is the same deal.
            if name in self._seen:
                continue
            self._seen.add(name)
            buys = deal["side"] in ("BUY", "BOT")
            quantity = Decimal(deal["quantity"]) * (1 if buys else -1)
            if deal["order_ref"]:
                order = {"order_ref": deal["order_ref"], "action": "BUY" if buys else "SELL"}
                self._open[side_of(order)] += -abs(quantity) if is_exit(order) else abs(quantity)
            else:
                self._take(quantity, client_id=deal["client_id"], at=datetime.fromisoformat(deal["time"]))

    def changed_without_deal(self, quantity: Decimal) -> None:
        """Take in that the position changed by itself."""
        self.unexplained.append(quantity)
        self.against["LONG" if quantity < 0 else "SHORT"] += abs(quantity)

    def lacking(self, quantity: Decimal) -> bool:
        """Say whether somebody who deals so much would close something of ours."""
        if self.setting.use == "EXCLUSIVE":
            return True
        return self.theirs < -quantity if quantity < 0 else self.theirs > -quantity

    def _take(self, quantity: Decimal, *, client_id: int, at: datetime) -> None:
        side = "LONG" if quantity < 0 else "SHORT"
        self.against[side] += abs(quantity)
        taken = _NONE
        if client_id not in self.setting.others_client_ids and self.lacking(quantity):
            taken = min(abs(quantity), max(self._open[side], _NONE))
        if taken:
            self._open[side] -= taken
            self.closed[side] += taken
            self.closed_at[side] = at
        self.theirs += quantity + (taken if quantity < 0 else -taken)
        if self.setting.use == "EXCLUSIVE":
            self._give_back()

    def _give_back(self) -> None:
        """Give ours back what is held beyond it, where only one side is ours: what is held is ours there."""
        for side, other, sign in (("LONG", "SHORT", 1), ("SHORT", "LONG", -1)):
            back = min(self.theirs * sign, self.closed[side]) if self._open[other] <= 0 else _NONE
            if back > 0:
                self._open[side] += back
                self.closed[side] -= back
                self.theirs -= back * sign


def sent_as_closing(order: Mapping[str, Any]) -> bool:
    """Whether it is an order that we send to close or to protect what is held by then."""
    return leg_of(order) in ("CLOSE", "PROTECT") or (leg_of(order) == "TAKE_PROFIT" and order["order_type"] == "MKT")
