"""Nothing is sent before the reconcile that follows a connect is complete: READY alone holds it back."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from app.accounts.models import BrokerConnection
from app.accounts.services import STOPPED_ON_PURPOSE
from app.brokers.base import (
    AccountSummary,
    BracketTicket,
    BrokerSession,
    Confirm,
    ConnectionState,
    EventSink,
    OpenOrder,
    OrderTicket,
    PlacedBracket,
    Position,
    SendPermit,
    StateSink,
)
from app.brokers.errors import IncompleteAnswer, NotConnected
from app.core import clock
from app.domain.broker_events import CommissionTold, FillTold, OrderTold
from app.domain.contract import Contract
from app.domain.terms import Action, OrderType, TimeInForce
from app.executions.models import Execution, Order
from app.worker.broker_thread import BrokerThread
from app.worker.event_recorder import EventRecorder
from tests.eventually import eventually
from tests.permits import PermitOf
from tests.worker.test_broker_thread import analyst, requested  # noqa: F401 - Fixtures, by name.

pytestmark = pytest.mark.django_db(transaction=True)

ACCOUNT = "DU1234567"
QUESTIONS = ["open_orders", "fills_since", "completed_orders"]
APPLE = Contract(symbol="AAPL")


class WillingBroker:
    """A `Broker` that would send whatever it is given, at once; it answers `holds` only when it is let."""

    def __init__(self, *, holds: str, fails: bool) -> None:
        self.holds, self.fails = holds, fails
        self.asked, self.let = threading.Event(), threading.Event()
        self.waits, self.its_turn = threading.Event(), threading.Event()
        self.its_turn.set()
        self.tell_state: StateSink = lambda _state, _reason: None
        self.sent: list[str] = []
        self.questions: list[str] = []
        self.at_the_last_answer: Callable[[], None] = lambda: None
        self.is_connected = self.cancel_fails = False
        self.state = ConnectionState.READY

    async def connect(self) -> BrokerSession:
        self.is_connected = True
        return BrokerSession(account=ACCOUNT, client_id=1, is_paper=True, server_version=178, next_order_id=1)

    async def disconnect(self) -> None:
        self.is_connected = False

    def ids_begin_above(self, id_floor: int) -> None:
        del id_floor

    async def place_bracket(
        self, bracket: BracketTicket, *, id_floor: int = 0, permit: SendPermit | None = None
    ) -> PlacedBracket:
        await self._turn(permit)
        self.sent.append("bracket")
        return PlacedBracket(order_ids={}, reference="IB-1:2")

    async def place_order(
        self,
        ticket: OrderTicket,
        *,
        contract: Contract,
        id_floor: int = 0,
        permit: SendPermit | None = None,
        cancels: Sequence[int] = (),
    ) -> int:
        await self._turn(permit)
        self.sent.append("order")
        return 1

    async def modify_order(self, *, order_id: int, contract: Contract, ticket: OrderTicket, parent_id: int = 0) -> None:
        self.sent.append("modify")

    async def cancel_order(self, order_id: int) -> None:
        if self.cancel_fails:
            self.cancel_fails = False
            raise NotConnected("The connection is another one by now.")
        self.sent.append("cancel")

    async def open_orders(self) -> Sequence[OpenOrder]:
        return await self._answer("open_orders")

    async def completed_orders(self) -> Sequence[OrderTold]:
        return await self._answer("completed_orders")

    async def fills_since(
        self, since: datetime | None = None, *, symbol: str = ""
    ) -> Sequence[FillTold | CommissionTold]:
        return await self._answer("fills_since")

    async def positions(self) -> Sequence[Position]:
        self.at_the_last_answer()
        return []

    def positions_pushed_take(self) -> Mapping[int, Decimal]:
        return {}

    async def recover(self) -> bool:
        return False

    async def account_summary(self) -> AccountSummary:
        worth = Decimal(100_000)
        return AccountSummary(
            account=ACCOUNT, currency="USD", net_liquidation=worth, available_funds=worth, buying_power=worth
        )

    async def ping(self) -> datetime:
        return datetime.now(UTC)

    async def _turn(self, permit: SendPermit | None) -> None:
        self.waits.set()
        await asyncio.to_thread(self.its_turn.wait, 20)
        if permit is not None:
            await asyncio.to_thread(permit.note_ids, {})

    async def _answer(self, question: str) -> Sequence[Any]:
        self.questions.append(question)
        if question != self.holds or self.let.is_set():
            return []
        self.asked.set()
        await asyncio.to_thread(self.let.wait, 20)
        if self.fails:
            self.fails = False
            raise IncompleteAnswer("half an answer")
        return []


def ticket(leg: str) -> OrderTicket:
    return OrderTicket(
        order_ref=f"key-1-{leg}",
        action=Action.BUY if leg == "ENTRY" else Action.SELL,
        order_type=OrderType.MARKET if leg == "ENTRY" else OrderType.STOP,
        quantity=Decimal(10),
        limit_price=None,
        stop_price=None if leg == "ENTRY" else Decimal(185),
        time_in_force=TimeInForce.GTC,
        outside_rth=False,
    )


def attempts(thread: BrokerThread) -> dict[str, Callable[[], object]]:
    """Everything that sends."""

    whole = BracketTicket(contract=APPLE, entry=ticket("ENTRY"), stop_loss=ticket("STOP_LOSS"), take_profit=None)
    single = ticket("PROTECT")
    return {
        "bracket": lambda: thread.place_bracket(whole, id_floor=0, permit=PermitOf()),
        "order": lambda: thread.place_order(single, contract=APPLE, id_floor=0, permit=PermitOf()),
        "modify": lambda: thread.modify_order(order_id=1, contract=APPLE, ticket=single),
        "cancel": lambda: thread.cancel_order(1),
    }


@pytest.fixture
def start() -> Iterator[Callable[[WillingBroker], BrokerThread]]:
    started: list[tuple[BrokerThread, EventRecorder, WillingBroker]] = []

    def run(broker: WillingBroker) -> BrokerThread:
        recorder = EventRecorder(on_changed=lambda _id, _event: None)

        def make_broker(*, on_event: EventSink, on_state: StateSink, confirm: Confirm, **_: object) -> WillingBroker:
            del on_event, confirm
            broker.tell_state = on_state
            return broker

        thread = BrokerThread(make_broker=make_broker, recorder=recorder, account_id=ACCOUNT, client_id=1)
        started.append((thread, recorder, broker))
        recorder.start()
        thread.start()
        return thread

    yield run
    for thread, recorder, broker in started:
        broker.let.set()
        thread.stop(seconds_max=5)
        recorder.stop(seconds_max=5)


@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_is_sent_until_the_last_question_is_answered(
    start: Callable[[WillingBroker], BrokerThread], question: str
) -> None:
    # Given a connected broker that would send anything, with one question still open
    broker = WillingBroker(holds=question, fails=False)
    thread = start(broker)
    assert broker.asked.wait(20)
    assert (broker.is_connected, thread.state) == (True, ConnectionState.SYNCHRONISING)
    assert BrokerConnection.objects.get().state == "SYNCHRONISING"
    # When each thing that sends is tried
    for name, attempt in attempts(thread).items():
        with pytest.raises(NotConnected, match="SYNCHRONISING"):
            attempt()
        assert broker.sent == [], name
    # Then it was the gate that held them: once the question is answered they pass
    broker.let.set()
    eventually(lambda: thread.state is ConnectionState.READY)
    for attempt in attempts(thread).values():
        attempt()
    assert broker.sent == ["bracket", "order", "modify", "cancel"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_incomplete_answer_never_makes_it_ready(
    start: Callable[[WillingBroker], BrokerThread], question: str
) -> None:
    broker = WillingBroker(holds=question, fails=True)
    thread = start(broker)
    assert broker.asked.wait(20)

    broker.let.set()

    eventually(lambda: "incomplete_answer" in BrokerConnection.objects.get().reason)
    assert broker.sent == []
    eventually(lambda: thread.state is ConnectionState.READY)  # The next try is answered.


@pytest.mark.case("T14")
def test_a_gateway_that_has_lost_ib_when_it_is_connected_to_is_never_ready(
    start: Callable[[WillingBroker], BrokerThread],
) -> None:
    broker = WillingBroker(holds="", fails=False)
    broker.state = ConnectionState.DEGRADED
    thread = start(broker)

    eventually(lambda: BrokerConnection.objects.filter(state="DEGRADED").exists())
    for name, attempt in attempts(thread).items():
        with pytest.raises(NotConnected, match="DEGRADED"):
            attempt()
        assert broker.sent == [], name

    # And for a reconcile that is told of it in its middle, the row says so again
    BrokerConnection.objects.update(state="SYNCHRONISING")
    broker.tell_state(ConnectionState.READY, "1102")
    eventually(lambda: BrokerConnection.objects.get().state == "DEGRADED")
    broker.state = ConnectionState.READY
    broker.tell_state(ConnectionState.READY, "1102")
    eventually(lambda: thread.state is ConnectionState.READY)


def test_a_gap_that_begins_and_ends_while_the_questions_are_asked_has_them_asked_again(
    start: Callable[[WillingBroker], BrokerThread],
) -> None:
    # Given a Gateway that loses IB and has it back between two answers
    broker = WillingBroker(holds=QUESTIONS[-1], fails=False)
    thread = start(broker)
    assert broker.asked.wait(20)
    broker.tell_state(ConnectionState.DEGRADED, "1100")
    broker.tell_state(ConnectionState.READY, "1102")
    # When the last question is answered
    broker.let.set()
    # Then the first ones, whose answers are from before the gap, are asked again before anything is sent
    eventually(lambda: thread.state is ConnectionState.READY)
    assert broker.questions == [*QUESTIONS, *QUESTIONS]


def test_a_connection_that_is_lost_with_the_last_answer_is_not_ready(
    start: Callable[[WillingBroker], BrokerThread],
) -> None:
    broker = WillingBroker(holds="", fails=False)
    lost: list[bool] = []

    def lose_it_once() -> None:
        if not lost:
            lost.append(True)
            broker.tell_state(ConnectionState.DISCONNECTED, "the socket was closed")

    broker.at_the_last_answer = lose_it_once
    thread = start(broker)

    eventually(lambda: thread.state is ConnectionState.READY)
    assert broker.questions == [*QUESTIONS, *QUESTIONS]


class CutWhileConnecting(WillingBroker):
    """A broker whose connect fails when its connection is closed, as one whose socket is closed does."""

    def __init__(self) -> None:
        super().__init__(holds="", fails=False)
        self.connecting, self.closed = threading.Event(), asyncio.Event()

    async def connect(self) -> BrokerSession:
        self.connecting.set()
        await self.closed.wait()
        raise NotConnected("The socket was closed.", code="connection_refused")

    async def disconnect(self) -> None:
        self.closed.set()


def test_a_stop_in_the_middle_of_a_connect_is_what_is_read_afterwards(
    start: Callable[[WillingBroker], BrokerThread],
) -> None:
    broker = CutWhileConnecting()
    thread = start(broker)
    assert broker.connecting.wait(20)
    thread.stop(seconds_max=10)
    row = BrokerConnection.objects.get()
    assert (row.state, row.reason) == ("DISCONNECTED", STOPPED_ON_PURPOSE)


@pytest.mark.parametrize("name", ["bracket", "order"])
@pytest.mark.parametrize("gap", [ConnectionState.DEGRADED, ConnectionState.READY])
def test_what_waits_for_its_turn_through_a_gap_is_not_sent_before_the_reconcile_that_follows(
    start: Callable[[WillingBroker], BrokerThread], name: str, gap: ConnectionState
) -> None:
    # Given an order that waits for its turn to be sent
    broker = WillingBroker(holds="", fails=False)
    thread = start(broker)
    eventually(lambda: thread.state is ConnectionState.READY)
    broker.its_turn.clear()
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(attempts(thread)[name])
        assert broker.waits.wait(10)
        # When the Gateway loses IB (1100), and perhaps has it back (1102), and only then its turn comes
        broker.holds = QUESTIONS[0]
        broker.tell_state(ConnectionState.DEGRADED, "1100")
        broker.tell_state(gap, "1102")
        broker.its_turn.set()
        # Then it is not sent: what happened in the gap is asked for first
        with pytest.raises(NotConnected):
            sending.result(timeout=10)
    assert broker.sent == []


def test_the_cancel_of_what_rests_in_the_gateway_untransmitted_is_tried_until_it_has_left(
    start: Callable[[WillingBroker], BrokerThread],
    analyst: User,  # noqa: F811
) -> None:
    # Given an entry that was written ahead, and that the broker does not know
    execution = requested(analyst)
    now = clock.now()
    Execution.objects.update(status="SUBMITTING", claimed_at=now)
    for order_id, order in enumerate(Order.objects.order_by("id"), start=5):
        Order.objects.filter(pk=order.pk).update(status="SENT", order_id=order_id, client_id=1, sent_at=now)
    broker = WillingBroker(holds="", fails=False)
    broker.cancel_fails = True
    # When the connection breaks at the cancel of what may have stayed in the Gateway
    start(broker)
    eventually(lambda: not broker.cancel_fails)
    # Then it leaves over the next one, though the reconcile has nothing to say of it any more
    eventually(lambda: broker.sent == ["cancel"])
    execution.refresh_from_db()
    assert execution.status == "NOT_PLACED"
