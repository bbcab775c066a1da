"""IBBroker against a peer that speaks the wire protocol: the simulator, or the Gateway that IB_HOST names."""

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from app.brokers.base import ConnectionState
from app.brokers.errors import NotConnected
from app.brokers.ib import IBBroker, IBDataProvider, IBSettings
from app.core.errors import FixRequest, RetryLater
from app.domain.broker_events import FillTold, MessageMeaning, OrderMessageTold, ToldStatus
from app.domain.terms import OrderType
from ib_simulator.process import SimulatorProcess, running_simulator
from tests.integration.broker_desk import BrokerDesk, bracket, eventually, sent_orders, simulator_settings, stop_ticket
from tests.permits import PermitOf

simulator_only = pytest.mark.simulator_only


# What runs against a real paper Gateway as well.


async def test_a_paper_account_is_connected_and_answers_every_question(desk: BrokerDesk) -> None:
    # Given a connected broker, then it is on a paper account
    assert desk.session.is_paper
    assert desk.session.account.startswith("D")
    assert desk.broker.state is ConnectionState.READY
    # When every question is asked
    broker = desk.broker
    told_time = await broker.ping()
    summary = await broker.account_summary()
    answers = [
        await ask() for ask in (broker.open_orders, broker.completed_orders, broker.fills_since, broker.positions)
    ]
    # Then every one is answered
    assert told_time.tzinfo is not None
    assert summary.account == desk.session.account
    assert summary.net_liquidation > 0
    assert all(isinstance(list(answer), list) for answer in answers)


async def test_a_far_limit_bracket_is_placed_linked_and_cancelled(desk: BrokerDesk, data_settings: IBSettings) -> None:
    # Given an entry far below the market, so that it cannot fill
    data = IBDataProvider(data_settings)
    await data.connect()
    last = await data.last_price("AAPL")
    await data.disconnect()
    name = f"test-{uuid.uuid4().hex[:12]}"
    far, further = (str((last * share).quantize(Decimal("0.01"))) for share in (Decimal("0.80"), Decimal("0.75")))
    ticket = bracket(name, entry_type=OrderType.LIMIT, entry_price=far, stop_price=further, quantity="1")
    # When the bracket is placed
    placed = await desk.broker.place_bracket(ticket)
    entry_id, stop_id = placed.order_ids[f"{name}-entry"], placed.order_ids[f"{name}-stop"]
    # Then its reference names both legs, and the stop is linked to the entry
    assert placed.reference == f"IB-{entry_id}:{stop_id}"
    await eventually(lambda: any(told.perm_id for told in desk.heard.orders(f"{name}-entry")))
    stop_told = await eventually(lambda: desk.heard.orders(f"{name}-stop"))
    assert {told.parent_id for told in stop_told} == {entry_id}
    open_refs = {order.told.order_ref for order in await desk.broker.open_orders()}
    assert {f"{name}-entry", f"{name}-stop"} <= open_refs
    # And when the entry is cancelled, both are; outside trading hours a Gateway may confirm that only at the open
    await desk.broker.cancel_order(entry_id)
    asked = {"Cancelled", "ApiCancelled", "PendingCancel"}
    for leg in (f"{name}-entry", f"{name}-stop"):
        await eventually(lambda leg=leg: asked & set(desk.heard.statuses(leg)), seconds_max=30)
    assert desk.heard.fills() == []


# What needs the simulator's controls.


@simulator_only
async def test_a_market_bracket_is_filled_and_its_stop_is_live(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # When a market bracket is placed
    placed = await desk.broker.place_bracket(bracket("setup"))
    # Then state, deal and cost are told, in domain words and decimals
    cost = (await eventually(desk.heard.commissions))[0]
    fill = desk.heard.fills()[0]
    await eventually(lambda: "Filled" in desk.heard.statuses("setup-entry"))
    assert (fill.order_ref, fill.symbol, fill.quantity) == ("setup-entry", "AAPL", Decimal(10))
    assert fill.dedupe_key == f"fill:{fill.exec_id}"
    assert (cost.exec_id, cost.amount, cost.realized_pnl) == (fill.exec_id, Decimal(1), None)
    assert cost.account == fill.account == desk.session.account
    # And the broker's book has one entry and one stop, live, linked by the parent's id
    entry, stop = simulator.control.orders()
    assert (entry["order_id"], stop["parent_id"]) == (placed.order_ids["setup-entry"], entry["order_id"])
    assert (entry["status"], stop["live"], Decimal(stop["stop_price"])) == ("Filled", True, Decimal(180))
    assert desk.heard.orders("setup-stop")[-1].parent_id == entry["order_id"]


@simulator_only
async def test_only_the_last_leg_transmits(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # When a bracket with a target is placed
    placed = await desk.broker.place_bracket(bracket("setup", target_price="200.00", outside_rth=True))
    # Then the legs are on the wire in order, held until the last, each with its name, account, time in force and parent
    entry, target, stop = sent_orders(simulator.control.messages())
    assert [leg["order_ref"] for leg in (entry, target, stop)] == ["setup-entry", "setup-target", "setup-stop"]
    assert [leg["transmit"] for leg in (entry, target, stop)] == ["0", "0", "1"]
    assert [leg["parent_id"] for leg in (entry, target, stop)] == ["0", entry["order_id"], entry["order_id"]]
    assert [leg["tif"] for leg in (entry, target, stop)] == ["DAY", "GTC", "GTC"]
    assert {leg["account"] for leg in (entry, target, stop)} == {desk.session.account}
    assert {leg["outside_rth"] for leg in (entry, target, stop)} == {"1"}
    assert [leg["order_type"] for leg in (entry, target, stop)] == ["MKT", "LMT", "STP"]
    assert list(placed.order_ids.values()) == [int(leg["order_id"]) for leg in (entry, target, stop)]


@simulator_only
async def test_the_ids_are_stored_before_the_first_byte(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a write-ahead that looks at the wire
    seen: list[object] = []

    def write_ahead(order_ids: object) -> None:
        seen.extend([order_ids, sent_orders(simulator.control.messages())])

    # When a bracket is placed
    placed = await desk.broker.place_bracket(bracket("setup"), permit=PermitOf(write_ahead))
    # Then it had the ids while nothing was on the wire yet
    assert seen == [placed.order_ids, []]
    assert len(sent_orders(simulator.control.messages())) == 2


@simulator_only
async def test_a_write_ahead_that_fails_or_hangs_sends_nothing(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a database that is away
    def write_ahead(_ids: object) -> None:
        raise RuntimeError("the database is away")

    # When a bracket is placed, then the error comes through and nothing is sent
    with pytest.raises(RuntimeError, match="the database is away"):
        await desk.broker.place_bracket(bracket("setup"), permit=PermitOf(write_ahead))
    # And one that takes too long is given up
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    desk.broker.settings = replace(desk.broker.settings, write_ahead_timeout_seconds=0.05)
    with pytest.raises(RetryLater) as raised:
        await desk.broker.place_bracket(
            bracket("setup"),
            permit=PermitOf(lambda _ids: asyncio.run_coroutine_threadsafe(_wait(release), loop).result()),
        )
    assert raised.value.code == "write_ahead_timeout"
    release.set()
    assert sent_orders(simulator.control.messages()) == []
    # And the next bracket is placed as if nothing had been
    await desk.broker.place_bracket(bracket("next"))
    assert len(sent_orders(simulator.control.messages())) == 2


async def _wait(release: asyncio.Event) -> None:
    await release.wait()


@simulator_only
async def test_order_ids_are_above_the_floor_and_above_everything_seen(
    desk: BrokerDesk, broker_settings: IBSettings
) -> None:
    # When a floor is given, then ids are above it
    placed = await desk.broker.place_bracket(bracket("floor"), id_floor=500)
    assert list(placed.order_ids.values()) == [501, 502]
    # And another client that has heard of those orders takes higher ones
    async with BrokerDesk(replace(broker_settings, client_id=9)) as other:
        await other.broker.open_orders()
        elsewhere = await other.broker.place_bracket(bracket("elsewhere"))
        assert min(elsewhere.order_ids.values()) > 502


@simulator_only
async def test_questions_and_orders_never_share_an_id(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # When questions and brackets go out together
    await asyncio.gather(
        *(desk.broker.place_bracket(bracket(f"setup-{number}")) for number in range(3)),
        *(desk.broker.fills_since() for _ in range(3)),
    )
    # Then no request has an order's id, and order ids grow in wire order
    messages = simulator.control.messages()
    order_ids = [int(leg["order_id"]) for leg in sent_orders(messages)]
    request_ids = [int(message["fields"][2]) for message in messages if message["name"] == "reqExecutions"]
    assert len(order_ids) == 6
    assert len(request_ids) == 3
    assert not set(order_ids) & set(request_ids)
    assert order_ids == sorted(order_ids)


@simulator_only
async def test_what_is_said_of_an_older_order_is_no_answer_to_a_request(
    desk: BrokerDesk, simulator: SimulatorProcess
) -> None:
    # Given a Gateway that begins its ids anew, below those of orders that were placed before
    desk.broker.ids_begin_above(20)
    for _ in range(12):
        await desk.broker.fills_since()
    # When it refuses to cancel one of those
    await desk.broker.cancel_order(10)
    # Then that is heard as said about that order, whatever was asked meanwhile
    await eventually(lambda: any(isinstance(event, OrderMessageTold) for event in desk.heard.events))
    said = [event for event in desk.heard.events if isinstance(event, OrderMessageTold)]
    assert [(event.order_id, event.code) for event in said] == [(10, 10147)]
    asked = [
        int(message["fields"][2]) for message in simulator.control.messages() if message["name"] == "reqExecutions"
    ]
    assert min(asked) > 20


@simulator_only
async def test_two_legs_of_one_name_are_refused(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    ticket = bracket("setup")
    with pytest.raises(FixRequest) as raised:
        await desk.broker.place_bracket(replace(ticket, stop_loss=stop_ticket("setup-entry")))
    assert raised.value.code == "order_ref_twice"
    assert sent_orders(simulator.control.messages()) == []


@simulator_only
async def test_a_refusal_is_told_with_the_code_and_the_text(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a Gateway that refuses the next entry
    simulator.control.reject_next(code=201, text="Order rejected - reason:No margin", order_type="MKT")
    # When a bracket is placed
    placed = await desk.broker.place_bracket(bracket("setup"))
    # Then the refusal of the order is told as IB says it
    entry_id = placed.order_ids["setup-entry"]
    refusal = (await eventually(lambda: desk.heard.messages(entry_id)))[0]
    assert (refusal.code, refusal.meaning) == (201, MessageMeaning.REFUSAL)
    assert refusal.text == "Order rejected - reason:No margin"
    assert refusal.client_id == desk.session.client_id


@simulator_only
@pytest.mark.parametrize(
    ("ticket", "code"),
    [
        (bracket("setup", symbol="NOSUCH"), 200),
        (bracket("setup", entry_type=OrderType.LIMIT, entry_price="189.123"), 110),
        (bracket("setup", quantity="0"), 434),
    ],
    ids=["unknown symbol", "off tick", "no size"],
)
async def test_what_ib_finds_wrong_is_a_refusal(desk: BrokerDesk, ticket: object, code: int) -> None:
    placed = await desk.broker.place_bracket(ticket)  # type: ignore[arg-type]
    told = await eventually(lambda: desk.heard.messages(placed.order_ids["setup-entry"]))
    assert (told[0].code, told[0].meaning) == (code, MessageMeaning.REFUSAL)


@simulator_only
async def test_a_fact_told_twice_is_handed_on_once(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a Gateway that repeats every callback, as IB's does
    simulator.control.set_switch("duplicate_callbacks", "on")
    # When a bracket is placed and filled
    await desk.broker.place_bracket(bracket("setup"))
    await eventually(desk.heard.commissions)
    await eventually(lambda: "Filled" in desk.heard.statuses("setup-entry"))
    # Then each fact is told, and none twice
    assert set(Counter(event.dedupe_key for event in desk.heard.events).values()) == {1}
    assert (len(desk.heard.fills()), len(desk.heard.commissions())) == (1, 1)
    # And every change of an order has a number of its own, in order
    told = desk.heard.orders("setup-entry")
    numbers = [int(event.dedupe_key.rsplit(":", 1)[1]) for event in told]
    assert numbers == list(range(1, len(numbers) + 1))


@simulator_only
async def test_deals_and_costs_have_the_same_keys_in_every_session(
    desk: BrokerDesk, broker_settings: IBSettings
) -> None:
    # Given a deal and its cost, told live
    await desk.broker.place_bracket(bracket("setup"))
    await eventually(desk.heard.commissions)
    live = [desk.heard.fills()[0].dedupe_key, desk.heard.commissions()[0].dedupe_key]
    await desk.broker.disconnect()
    # When a later session asks for today's deals
    async with BrokerDesk(broker_settings) as later:
        facts = await later.broker.fills_since()
        # Then both are there under the same keys, and were told as events too
        assert [fact.dedupe_key for fact in facts] == live
        assert {event.dedupe_key for event in later.heard.events} >= set(live)
        # And those of one symbol by themselves
        of_symbol = await later.broker.fills_since(symbol=later.heard.fills()[0].symbol)
        assert [fact.dedupe_key for fact in of_symbol] == live
        assert await later.broker.fills_since(symbol="MSFT") == []
        # And none from a later time on
        fill = later.heard.fills()[0]
        assert await later.broker.fills_since(fill.executed_at.replace(year=fill.executed_at.year + 1)) == []


@simulator_only
async def test_completed_orders_and_positions_are_answered(desk: BrokerDesk) -> None:
    # Given a filled bracket
    await desk.broker.place_bracket(bracket("setup"))
    await eventually(desk.heard.commissions)
    # When it is asked what finished and what is held
    completed = await desk.broker.completed_orders()
    positions = await desk.broker.positions()
    # Then the entry has finished, known by its name and permanent id, and its shares are held
    assert [(told.order_ref, told.status, told.filled) for told in completed] == [
        ("setup-entry", ToldStatus.FILLED, Decimal(10))
    ]
    assert completed[0].perm_id == desk.heard.orders("setup-entry")[0].perm_id
    assert [(held.contract.symbol, held.quantity) for held in positions] == [("AAPL", Decimal(10))]


@simulator_only
async def test_orders_of_others_are_seen_but_not_mixed_up(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given an order placed by hand in TWS, and one of ours
    simulator.control.place_external(
        symbol="MSFT", action="BUY", quantity=5, order_type="LMT", limit_price="100.00", account=desk.session.account
    )
    await desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    # When open orders are asked for
    orders = await desk.broker.open_orders()
    # Then all are there, each with its own symbol, type and price
    manual = next(order for order in orders if not order.told.order_ref)
    assert (manual.contract.symbol, manual.order_type, manual.limit_price) == ("MSFT", "LIMIT", Decimal(100))
    assert manual.told.perm_id
    assert {order.told.order_ref for order in orders} == {"", "setup-entry", "setup-stop"}


@simulator_only
async def test_another_account_of_the_login_is_left_out() -> None:
    with running_simulator(seed=7, accounts=["DU1111111", "DU2222222"], tick_seconds=0) as simulator:
        # Given a login with two accounts, and orders, deals and shares in both
        for account in ("DU1111111", "DU2222222"):
            for order_type, price in (("LMT", "100.00"), ("MKT", None)):
                simulator.control.place_external(
                    symbol="MSFT", action="BUY", quantity=5, order_type=order_type, limit_price=price, account=account
                )
        settings = replace(simulator_settings(simulator), account="DU2222222")
        async with BrokerDesk(settings) as desk:
            # When the broker of one of them is asked
            broker = desk.broker
            answers = (
                [order.told for order in await broker.open_orders()],
                await broker.completed_orders(),
                await broker.positions(),
                [fact for fact in await broker.fills_since() if isinstance(fact, FillTold)],
            )
            # Then every answer has one thing, and it is of that account
            assert [len(answer) for answer in answers] == [1, 1, 1, 1]
            assert {fact.account for answer in answers for fact in answer} == {"DU2222222"}
            assert (await broker.account_summary()).account == "DU2222222"


@simulator_only
async def test_sixty_brackets_at_once_keep_the_limit(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # When more brackets are placed than a second may hold
    started = time.monotonic()
    await asyncio.gather(*(desk.broker.place_bracket(bracket(f"setup-{number}")) for number in range(60)))
    # Then all are on the wire, ids in wire order
    messages = [message for message in simulator.control.messages() if message["name"] == "placeOrder"]
    order_ids = [int(leg["order_id"]) for leg in sent_orders(messages)]
    assert len(order_ids) == 120
    assert order_ids == sorted(order_ids)
    # And at no moment had more arrived than so many seconds may hold; one that arrives late cannot hide one too many
    limit = desk.broker.settings.messages_per_second
    for arrived, message in enumerate(messages, start=1):
        assert arrived <= limit * (int(message["received_ms"] / 1000 - started) + 1)


@simulator_only
async def test_without_a_connection_everything_says_so(broker_settings: IBSettings) -> None:
    broker = IBBroker(broker_settings)
    for ask in (broker.open_orders, broker.fills_since, broker.positions, broker.account_summary, broker.ping):
        with pytest.raises(NotConnected):
            await ask()
    with pytest.raises(NotConnected):
        await broker.place_bracket(bracket())
    with pytest.raises(NotConnected):
        await broker.cancel_order(1)
    await broker.disconnect()
