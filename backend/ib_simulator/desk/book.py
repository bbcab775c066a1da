"""All orders, by every key they are known by, and the numbers IB gives out: order ids and permIds."""

from collections.abc import Iterable, Iterator

from ib_simulator.desk.orders import Order, Stage

FIRST_ORDER_ID = 1
# permIds are 32-bit signed in the versions spoken here; the seed moves the start, so two runs are told apart.
PERM_ID_BASE = 1_000_000_000
PERM_ID_SPAN = 1_000_000


class Book:
    """Orders in placing order. `touched` collects what the journal has to write."""

    def __init__(self, *, seed: int) -> None:
        self._orders: dict[int, Order] = {}
        self._by_client: dict[tuple[int, int], Order] = {}
        self._children: dict[int, list[Order]] = {}
        self._groups: dict[str, dict[int, Order]] = {}
        self._active: dict[int, Order] = {}
        # Of these by symbol, for prices that changed; options and combinations under their stocks.
        self._active_of: dict[str, dict[int, Order]] = {}
        self.last_ids: dict[int, int] = {}
        self.last_sequence = 0
        self.last_perm_id = PERM_ID_BASE + (seed % 1000) * PERM_ID_SPAN
        self.last_bound_id = 0
        self.touched: dict[int, Order] = {}
        self.touched_clients: set[int] = set()

    def __iter__(self) -> Iterator[Order]:
        return iter(list(self._orders.values()))

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: Order) -> None:
        """Enter an order; its sequence becomes the last one."""
        self._orders[order.sequence] = order
        self.last_sequence = max(self.last_sequence, order.sequence)
        if order.order_id:
            self._by_client[order.client_id, order.order_id] = order
        if order.parent_sequence is not None:
            self._children.setdefault(order.parent_sequence, []).append(order)
        if order.oca_group:
            self._groups.setdefault(order.oca_group, {})[order.sequence] = order
        if order.perm_id:
            self.last_perm_id = max(self.last_perm_id, order.perm_id)
        self._index_activity(order)

    def replace_draft(self, old: Order, new: Order) -> None:
        """Put `new` where the draft `old` was; children already attached stay attached."""
        siblings = self._children.get(old.parent_sequence, []) if old.parent_sequence is not None else []
        if old in siblings:
            siblings.remove(old)
        self._leave_group(old)
        self.add(new)

    def touch(self, order: Order) -> None:
        """Say that an order changed: it is indexed anew and, if it ever reached IB, will be written to the journal."""
        self._index_activity(order)
        if order.perm_id:
            self.touched[order.sequence] = order

    def _index_activity(self, order: Order) -> None:
        if order.is_active:
            self._active[order.sequence] = order
            for symbol in order.instrument.movers:
                self._active_of.setdefault(symbol, {})[order.sequence] = order
        else:
            self._active.pop(order.sequence, None)
            for symbol in order.instrument.movers:
                self._active_of.get(symbol, {}).pop(order.sequence, None)

    def next_sequence(self) -> int:
        return self.last_sequence + 1

    def assign_perm_id(self, order: Order) -> None:
        """Give the order its permanent number, one above the last: those of a bracket are consecutive."""
        self.last_perm_id += 1
        order.perm_id = self.last_perm_id

    def bind(self, order: Order) -> None:
        """Give a manual order a (negative) id of client 0, as reqAutoOpenOrders does."""
        self.last_bound_id -= 1
        order.order_id = self.last_bound_id
        self._by_client[order.client_id, order.order_id] = order

    def enter_group(self, order: Order, *, name: str, oca_type: int) -> None:
        """Put an order into an OCA group, out of the one that it was in."""
        self._leave_group(order)
        order.oca_group, order.oca_type = name, oca_type
        self._groups.setdefault(name, {})[order.sequence] = order

    def _leave_group(self, order: Order) -> None:
        self._groups.get(order.oca_group, {}).pop(order.sequence, None)

    def group(self, name: str) -> list[Order]:
        """Return all orders that were ever in an OCA group of this name, in placing order."""
        members = self._groups.get(name, {})
        return [members[sequence] for sequence in sorted(members)]

    def find(self, *, client_id: int, order_id: int) -> Order | None:
        return self._by_client.get((client_id, order_id))

    def parent_of(self, order: Order) -> Order | None:
        return None if order.parent_sequence is None else self._orders[order.parent_sequence]

    def children_of(self, order: Order) -> list[Order]:
        return list(self._children.get(order.sequence, []))

    def active(self) -> list[Order]:
        """Return HELD and WORKING orders in placing order."""
        return [self._active[sequence] for sequence in sorted(self._active)]

    def active_of(self, symbols: Iterable[str]) -> list[Order]:
        """Return the HELD and WORKING orders that these symbols' prices concern, in placing order."""
        found = {sequence: order for symbol in symbols for sequence, order in self._active_of.get(symbol, {}).items()}
        return [found[sequence] for sequence in sorted(found)]

    def drafts(self) -> list[Order]:
        return [order for order in self._orders.values() if order.stage is Stage.DRAFT]

    def next_valid_id(self, client_id: int) -> int:
        return self.last_ids.get(client_id, FIRST_ORDER_ID - 1) + 1

    def use_id(self, *, client_id: int, order_id: int) -> None:
        self.last_ids[client_id] = max(self.last_ids.get(client_id, 0), order_id)
        self.touched_clients.add(client_id)

    def roll_back_ids(self, by: int) -> None:
        """Forget the last `by` ids of every client, as a Gateway restart can: they will be given out again.

        A finished order loses its id with it; one that is still working keeps it, so a new order under that id is
        taken for its modification.
        """
        for client_id, last in self.last_ids.items():
            floor = max(last - by, FIRST_ORDER_ID - 1)
            for order_id in range(floor + 1, last + 1):
                order = self._by_client.get((client_id, order_id))
                if order is not None and not order.is_active:
                    del self._by_client[client_id, order_id]
            self.last_ids[client_id] = floor
            self.touched_clients.add(client_id)
