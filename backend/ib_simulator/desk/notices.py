"""What the desk tells the world. The gateway turns these into messages; tests collect them."""

from typing import Protocol

from ib_simulator.desk.orders import Order
from ib_simulator.market.instruments import Instrument
from ib_simulator.money.ledger import Execution


class Notices(Protocol):
    """Each call describes the order as it is at that moment; whoever needs it later must copy."""

    def open_order(self, order: Order) -> None:
        """The order as the server has it."""

    def order_status(self, order: Order, *, status: str = "") -> None:
        """How far the order got; `status` overrides the order's own word."""

    def order_error(self, *, client_id: int, order_id: int, code: int, text: str) -> None:
        """An error or a remark about an order."""

    def execution(self, execution: Execution) -> None:
        """A deal."""

    def commission(self, execution: Execution) -> None:
        """What the deal cost."""

    def position_changed(self, *, account: str, instrument: Instrument) -> None:
        """A position and the account's values are different now."""

    def what_if(self, order: Order) -> None:
        """Margin and commission of an order that is only asked about."""
