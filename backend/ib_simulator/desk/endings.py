"""How orders end without a fill: cancels of clients and of the system, expiry, and what falls with a parent.

A client's cancel of one member of its OCA group cancels the others; a cancel by the system does not [B2 DOC].
"""

from collections.abc import Callable

from ib_simulator.desk.brackets import left_to_exit
from ib_simulator.desk.floor import Floor
from ib_simulator.desk.groups import falls_with
from ib_simulator.desk.orders import Order, Stage, Status
from ib_simulator.errors import Refusal

CANCELLED = "Order Canceled - reason:"
DISCARDED = "Order Canceled - reason:Order was discarded."


class Endings:
    """Ends orders and tells it. `wake` makes a held child live, `arrive` lets it meet the market."""

    def __init__(self, floor: Floor, *, wake: Callable[[Order], None], arrive: Callable[[Order], None]) -> None:
        self._floor = floor
        self._wake = wake
        self._arrive = arrive

    def cancel(self, client_id: int, order_id: int) -> None:
        """Carry out cancelOrder. Raises Refusal 10147, 10148 or 161 for an order that cannot be cancelled."""
        book, scenario = self._floor.book, self._floor.scenario
        order = book.find(client_id=client_id, order_id=order_id)
        if order is None and scenario.is_on("cross_client_cancel", "allow"):
            order = next((other for other in book.active() if other.order_id == order_id), None)
        named = f"OrderId {order_id} that needs to be cancelled"
        if order is None:
            raise Refusal(code=10147, text=f"{named} is not found.")
        if order.stage is Stage.DONE:
            raise Refusal(code=10148, text=f"{named} can not be cancelled, state: {order.status}.")
        if order.cancelling and scenario.is_on("second_cancel", "refuse_161"):
            # Two blanks before "Order", as recorded.
            state = "Cancel attempted when order is not in a cancellable state.  Order permId ="
            raise Refusal(code=161, text=f"{state}{order.perm_id}")
        if order.cancelling:
            raise Refusal(code=10148, text=f"{named} can not be cancelled, state: {order.status}.")
        self._ask_to_cancel(order, by_client=True)

    def cancel_all(self) -> None:
        """Carry out reqGlobalCancel: everything of everyone, drafts too."""
        for order in self._floor.book.drafts() + self._floor.book.active():
            if order.stage is not Stage.DONE and not order.cancelling:
                self._ask_to_cancel(order, by_client=False)

    def _ask_to_cancel(self, order: Order, *, by_client: bool) -> None:
        scenario = self._floor.scenario
        later = scenario.cancels_held or (order.is_parked and scenario.is_on("cancel_while_parked", "at_open"))
        if order.stage is Stage.DRAFT or not later:
            self.cancel_order(order, by_client=by_client)
            return
        order.cancelling = True
        self._floor.book.touch(order)
        self._floor.notices.order_status(order)
        if scenario.is_on("cancel_sequence", "pending_first"):
            self._floor.notices.order_status(order)

    def release_cancels(self) -> int:
        """Carry out the cancels that were held; returns how many orders were still there to be cancelled."""
        waiting = [order for order in self._floor.book.active() if order.cancelling]
        for order in waiting:
            self.complete_cancel(order)
        return len(waiting)

    def complete_cancel(self, order: Order) -> None:
        """End an order whose cancel was waiting."""
        if order.is_active:
            self._end_with_group(order, by_client=True, text=CANCELLED)

    def cancel_order(self, order: Order, *, by_client: bool, reason: str = "") -> None:
        """Cancel a live order or a draft now. Only a client's cancel takes the rest of its OCA group with it."""
        if order.stage is Stage.DRAFT:
            self._discard(order)
            return
        if self._floor.scenario.is_on("cancel_sequence", "pending_first"):
            for _ in range(2):
                self._floor.notices.order_status(order, status=Status.PENDING_CANCEL)
        self._end_with_group(order, by_client=by_client, text=f"{CANCELLED}{reason}")

    def _end_with_group(self, order: Order, *, by_client: bool, text: str) -> None:
        book = self._floor.book
        others = falls_with(book, order) if by_client else []
        if by_client and self._floor.scenario.is_on("cancel_child_cancels_sibling", "on"):
            parent = book.parent_of(order)
            others += [child for child in book.children_of(parent) if child is not order] if parent else []
        self.finish(order, Status.CANCELLED, text=text)
        for other in others:
            if other.is_active:
                self.finish(other, Status.CANCELLED, text=CANCELLED)

    def discard_children(self, parent: Order) -> None:
        """End what hangs on a parent that was refused: it must never live on its own."""
        for child in self._floor.book.children_of(parent):
            if child.stage is not Stage.DONE:
                self.finish(child, Status.CANCELLED, text=DISCARDED)

    def _discard(self, order: Order) -> None:
        for member in [order, *self._floor.book.children_of(order)]:
            if member.stage is not Stage.DONE:
                self.finish(member, Status.CANCELLED, text=DISCARDED)

    def finish(self, order: Order, status: Status, *, text: str = "") -> None:
        """End an order without a fill, tell it, and deal with its children. An empty text sends no error 202."""
        order.stage, order.final_status, order.completed_at = Stage.DONE, status, self._floor.clock()
        order.cancelling = False
        self._floor.book.touch(order)
        self._floor.notices.order_status(order)
        if text:
            self._floor.tell(order, code=202, text=text)
        self._after_parent_ended(order)

    def _after_parent_ended(self, parent: Order) -> None:
        book = self._floor.book
        policy = self._floor.scenario.switches["children_after_partial_cancel"]
        for child in book.children_of(parent):
            if child.stage is Stage.DONE:
                continue
            left = left_to_exit(book, parent)
            if not parent.filled or policy == "cancel" or not left:
                self.finish(child, Status.CANCELLED, text=CANCELLED)
                continue
            if policy == "keep_filled" and child.remaining > left:
                child.quantity = child.filled + left
            self._wake(child)
            self._arrive(child)
