"""Whatever clients and the control port do in whatever order, the book stays a book, and a restart changes nothing."""

import tempfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from ib_simulator.desk.brackets import exit_fills
from ib_simulator.desk.orders import Order, Stage, Status
from ib_simulator.faults.scenario import SWITCHES
from ib_simulator.journal import Journal
from tests.simulator.joined import JoinedClient, Table, limit, market, stop

CLIENT_IDS = (1, 2)
PRICES = st.sampled_from(["150", "180", "184.50", "190", "195.25", "210"])
QUANTITIES = st.integers(1, 12)


START = datetime(2026, 1, 7, 15, 0, tzinfo=UTC)
TERMS: list[dict[str, Any]] = [
    {"orderType": "TRAIL", "auxPrice": 5},
    {"orderType": "TRAIL", "trailingPercent": 2, "tif": "GTC"},
    {"orderType": "TRAIL LIMIT", "auxPrice": 5, "lmtPriceOffset": 1},
    {"orderType": "MIT", "auxPrice": 188},
    {"orderType": "LIT", "auxPrice": 188, "lmtPrice": 187},
    {"orderType": "STP LMT", "auxPrice": 186, "lmtPrice": 185},
    {"orderType": "MOC"},
    {"orderType": "LOC", "lmtPrice": 190},
    {"orderType": "LMT", "lmtPrice": 188, "tif": "OPG"},
    {"orderType": "LMT", "lmtPrice": 170, "tif": "GTD", "goodTillDate": "20260109 12:00:00"},
    {"orderType": "LMT", "lmtPrice": 188, "goodAfterTime": "20260109 12:00:00"},
]


class BookMachine(RuleBasedStateMachine):
    """Two clients, brackets, single orders, changes, cancels, fills, prices, refusals, restarts."""

    orders = Bundle("orders")
    hours = "always"

    def __init__(self) -> None:
        super().__init__()
        self._now = START
        self._directory = tempfile.TemporaryDirectory()
        self._open(None)
        self._may_oversell = False
        self._done: dict[int, tuple[Any, ...]] = {}

    def _open(self, old: Journal | None) -> None:
        if old is not None:
            old.close()
            self._now = self.table.clock.now()
        self.journal = Journal(Path(self._directory.name))
        self.table = Table(journal=self.journal, hours=self.hours, start=self._now)
        self.clients = {number: self.table.connect(client_id=number) for number in CLIENT_IDS}
        for number, client in self.clients.items():
            client.next_order_id = self.table.gateway.book.next_valid_id(number) - 1

    def teardown(self) -> None:
        self.journal.close()
        self._directory.cleanup()

    def _client(self, number: int) -> JoinedClient:
        return self.clients[number]

    @rule(
        target=orders,
        number=st.sampled_from(CLIENT_IDS),
        quantity=QUANTITIES,
        entry=st.sampled_from(["MKT", "LMT", "AWAY"]),
        with_target=st.booleans(),
        trailing=st.booleans(),
        finish=st.booleans(),
    )
    def place_bracket(
        self, number: int, quantity: int, entry: str, with_target: bool, trailing: bool, finish: bool
    ) -> Any:
        client = self._client(number)
        first = market("BUY", quantity, transmit=False)
        if entry != "MKT":
            first = limit("BUY", quantity, 195 if entry == "LMT" else 160, transmit=False)
        ids = [client.place(first)]
        if with_target:
            ids.append(client.place(limit("SELL", quantity, 205, parentId=ids[0], transmit=False)))
        exits = stop("SELL", quantity, 185, parentId=ids[0], transmit=finish)
        if trailing and entry != "MKT":
            exits = market("SELL", quantity, orderType="TRAIL", auxPrice=5, parentId=ids[0], transmit=finish)
        ids.append(client.place(exits))
        return multiple(*((number, order_id) for order_id in ids))

    @rule(
        target=orders,
        number=st.sampled_from(CLIENT_IDS),
        quantity=QUANTITIES,
        action=st.sampled_from(["BUY", "SELL"]),
        tif=st.sampled_from(["DAY", "GTC", "IOC", "FOK", ""]),
        group=st.sampled_from(["", "g"]),
        oca_type=st.integers(1, 3),
    )
    def place_single(self, number: int, quantity: int, action: str, tif: str, group: str, oca_type: int) -> Any:
        order = limit(action, quantity, 188, tif=tif, ocaGroup=group, ocaType=oca_type)
        return (number, self._client(number).place(order))

    @rule(
        target=orders,
        number=st.sampled_from(CLIENT_IDS),
        quantity=QUANTITIES,
        action=st.sampled_from(["BUY", "SELL"]),
        terms=st.sampled_from(TERMS),
        outside=st.booleans(),
    )
    def place_waiting(self, number: int, quantity: int, action: str, terms: dict[str, Any], outside: bool) -> Any:
        return (number, self._client(number).place(market(action, quantity, **terms, outsideRth=outside)))

    @rule(order=orders, quantity=QUANTITIES, price=st.sampled_from([170, 185, 200]), keep_parent=st.booleans())
    def change(self, order: tuple[int, int], quantity: int, price: int, keep_parent: bool) -> None:
        number, order_id = order
        known = self.table.gateway.book.find(client_id=number, order_id=order_id)
        if known is not None:
            parent_id = known.parent_id if keep_parent else 0
            # A client may make a child larger than its parent; IB then sells what was asked for.
            self._may_oversell |= bool(known.parent_id)
            changed = limit(known.action, quantity, price, orderId=order_id, parentId=parent_id)
            if known.order_type == "STP":
                changed = stop(known.action, quantity, price, orderId=order_id, parentId=parent_id)
            elif known.order_type == "TRAIL":
                changed.orderType, changed.auxPrice = "TRAIL", 3
            self._client(number).place(changed)

    @rule(order=consumes(orders))
    def cancel(self, order: tuple[int, int]) -> None:
        number, order_id = order
        self._client(number).api.cancelOrder(order_id)

    @rule(order=orders, quantity=QUANTITIES, price=PRICES)
    def fill(self, order: tuple[int, int], quantity: int, price: str) -> None:
        number, order_id = order
        self.table.control("fill", client_id=number, order_id=order_id, quantity=quantity, price=price)

    @rule(price=PRICES)
    def move(self, price: str) -> None:
        self.table.control("set_price", symbol="AAPL", price=price)

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.table.control("pause_fills" if paused else "resume_fills")

    @rule(hours=st.sampled_from([1, 7, 17, 40]))
    def pass_time(self, hours: int) -> None:
        self.table.pass_time(hours=hours)

    @rule(size=st.sampled_from([None, 1, 4]))
    def offer(self, size: int | None) -> None:
        assert self.table.control("set_liquidity", symbol="AAPL", size=size)["ok"]

    @rule(halted=st.booleans())
    def halt(self, halted: bool) -> None:
        assert self.table.control("halt" if halted else "resume", symbol="AAPL")["ok"]

    @rule(held=st.booleans())
    def hold_cancels(self, held: bool) -> None:
        self.table.control("hold_cancels" if held else "release_cancels")

    @rule(required=st.booleans())
    def require_locate(self, required: bool) -> None:
        self.table.control("require_locate", symbol="AAPL", required=required)

    @rule(order=orders)
    def locate(self, order: tuple[int, int]) -> None:
        self.table.control("release_locate", client_id=order[0], order_id=order[1])

    @rule(order_type=st.sampled_from(["MKT", "LMT", "STP", ""]))
    def refuse(self, order_type: str) -> None:
        self.table.control("reject_next", code=201, text="no", order_type=order_type)

    @rule(name=st.sampled_from(sorted(set(SWITCHES) - {"read_only"})), choice=st.integers(0, 3))
    def switch(self, name: str, choice: int) -> None:
        values = SWITCHES[name]
        self._may_oversell |= values[choice % len(values)] == "keep_full"
        self.table.control("set_switch", name=name, value=values[choice % len(values)])

    @rule()
    def restart(self) -> None:
        self.table.gateway.commit()
        before = self.table.control("state")
        self._open(self.journal)
        after = self.table.control("state")
        assert after["orders"] == [order for order in before["orders"] if order["perm_id"]]
        for name in ("executions", "positions", "next_valid_ids"):
            assert after[name] == before[name]

    @invariant()
    def the_book_is_a_book(self) -> None:
        book = self.table.gateway.book
        for order in book:
            assert 0 <= order.filled <= order.quantity
            assert (order.status is Status.FILLED) is (order.filled == order.quantity)
            assert (order.stage is Stage.DONE) is (order.final_status is not None)
            parent = book.parent_of(order)
            if parent is not None and order.stage is Stage.WORKING:
                assert parent.filled > 0
            if parent is not None and parent.stage is Stage.DONE and not parent.filled:
                assert order.stage is Stage.DONE
            if not self._may_oversell:
                assert exit_fills(book, order) <= order.filled or not book.children_of(order)

    @invariant()
    def what_is_done_stays_done(self) -> None:
        for order in self.table.gateway.book:
            now = (order.final_status, order.filled, order.quantity)
            if order.sequence in self._done and order.perm_id:
                assert self._done[order.sequence] == now
            if order.stage is Stage.DONE and order.perm_id:
                self._done[order.sequence] = now

    @invariant()
    def deals_add_up(self) -> None:
        ledger = self.table.gateway.ledger
        by_order: dict[int, Decimal] = {}
        held = Decimal(0)
        for deal in ledger.executions:
            by_order[deal.perm_id] = by_order.get(deal.perm_id, Decimal(0)) + deal.quantity
            held += deal.quantity if deal.side == "BOT" else -deal.quantity
        assert by_order == {order.perm_id: order.filled for order in self._orders() if order.filled}
        assert held == sum((position.quantity for position in ledger.positions()), Decimal(0))

    @invariant()
    def the_wire_can_be_read(self) -> None:
        for client in self.clients.values():
            client.read()

    def _orders(self) -> list[Order]:
        return list(self.table.gateway.book)


class SessionMachine(BookMachine):
    """The same where the exchange opens and closes."""

    hours = "us_equities"

    @invariant()
    def nothing_waits_beyond_its_time(self) -> None:
        now = self.table.clock.now()
        self.table.gateway.time_passed()
        for order in self.table.gateway.book.active():
            assert order.next_moment is None or order.next_moment > now


SessionMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
test_any_order_of_events_with_sessions = SessionMachine.TestCase
BookMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
test_any_order_of_events = BookMachine.TestCase
