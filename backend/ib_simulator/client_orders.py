"""The commands about what befalls orders at IB, as methods of the control port's client."""

from abc import abstractmethod
from decimal import Decimal
from typing import Any


class OrderStateCommands:
    """Mixed into `SimulatorControl`. An order is named by `order_ref`, `perm_id` or `order_id` (and `client_id`)."""

    @abstractmethod
    def send(self, cmd: str, **arguments: Any) -> dict[str, Any]: ...

    def hold_cancels(self) -> None:
        """Leave orders PendingCancel when clients cancel them."""
        self.send("hold_cancels")

    def release_cancels(self) -> int:
        """Carry out the cancels that were held; returns how many."""
        cancelled: int = self.send("release_cancels")["cancelled"]
        return cancelled

    def require_locate(self, symbol: str, *, required: bool = True) -> None:
        """Hold short sales of the symbol with 404."""
        self.send("require_locate", symbol=symbol, required=required)

    def release_locate(self, **order: int | str) -> dict[str, Any]:
        """Let a held short sale go on; returns the order."""
        released: dict[str, Any] = self.send("release_locate", **order)["order"]
        return released

    def inform(self, *, code: int, text: str | None = None, **order: int | str) -> None:
        """Send an error or a remark about a live order, which stays alive."""
        self.send("inform", code=code, text=text, **order)

    def release_commissions(self) -> int:
        """Send the commissions kept back; returns how many."""
        told: int = self.send("release_commissions")["told"]
        return told

    def set_price_cap(self, percent: str | int | Decimal | None) -> None:
        """Refuse limits further than this through the market with 109; None: no more."""
        self.send("set_price_cap", percent=percent)

    def set_master_client(self, client_id: int | None) -> None:
        """Let this client hear of the orders and executions of all; None: nobody."""
        self.send("set_master_client", client_id=client_id)
