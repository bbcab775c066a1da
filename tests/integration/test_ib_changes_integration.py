"""Orders that live are changed and cancelled, and no code is taken for more than it says."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from app.brokers.ib import IBSettings
from app.domain.broker_events import MessageMeaning
from app.domain.terms import OrderType
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import AAPL, BrokerDesk, bracket, eventually, sent_orders, stop_ticket

pytestmark = pytest.mark.simulator_only


async def test_every_message_counts_towards_the_limit(broker_settings: IBSettings, simulator: SimulatorProcess) -> None:
    # Given a limit so small that connecting nearly fills a second
    started = time.monotonic()
    async with BrokerDesk(replace(broker_settings, messages_per_second=3)) as desk:
        # When cancels follow at once, which nothing but the limit holds back
        await asyncio.gather(*(desk.broker.cancel_order(number) for number in range(1, 5)))
    # Then what connecting sent was counted: at no moment had more arrived than so many seconds may hold
    messages = simulator.control.messages()
    assert [message["name"] for message in messages] == ["startApi", "reqPositions"] + ["cancelOrder"] * 4
    for arrived, message in enumerate(messages, start=1):
        assert arrived <= 3 * (int(message["received_ms"] / 1000 - started) + 1)


async def test_a_stop_is_moved_and_a_refused_move_leaves_it_alive(
    desk: BrokerDesk, simulator: SimulatorProcess
) -> None:
    # Given a filled bracket
    placed = await desk.broker.place_bracket(bracket("setup"))
    stop_id = placed.order_ids["setup-stop"]
    await eventually(desk.heard.commissions)
    # When its stop is moved, without a parent, for the parent is gone
    before = len(desk.heard.orders("setup-stop"))
    await desk.broker.modify_order(
        order_id=stop_id, contract=AAPL, ticket=stop_ticket("setup-stop", stop_price="185.50", quantity="4")
    )
    # Then the book has the new price and size
    await eventually(lambda: len(desk.heard.orders("setup-stop")) > before)
    stop = simulator.control.orders()[1]
    assert (Decimal(stop["stop_price"]), stop["quantity"], stop["live"]) == (Decimal("185.50"), "4", True)
    assert sent_orders(simulator.control.messages())[-1]["transmit"] == "1"
    assert sent_orders(simulator.control.messages())[-1]["parent_id"] == "0"
    # And when a move is refused, that is a refusal of the request, and the stop lives on as it was
    await desk.broker.modify_order(
        order_id=stop_id, contract=AAPL, ticket=stop_ticket("setup-stop", stop_price="185.555", quantity="4")
    )
    told = (await eventually(lambda: desk.heard.messages(stop_id)))[-1]
    assert (told.code, told.meaning) == (110, MessageMeaning.REQUEST_REFUSED)
    assert Decimal(simulator.control.orders()[1]["stop_price"]) == Decimal("185.50")
    assert (await desk.broker.open_orders())[0].stop_price == Decimal("185.50")


async def test_a_move_under_a_dead_parent_is_a_refused_request(desk: BrokerDesk) -> None:
    # Given a bracket whose entry is filled
    placed = await desk.broker.place_bracket(bracket("setup"))
    await eventually(desk.heard.commissions)
    # When its stop is moved with the parent's id
    stop_id = placed.order_ids["setup-stop"]
    await desk.broker.modify_order(
        order_id=stop_id,
        contract=AAPL,
        ticket=stop_ticket("setup-stop", stop_price="185.50"),
        parent_id=placed.order_ids["setup-entry"],
    )
    # Then IB doesn't find the parent, and the stop lives on
    told = (await eventually(lambda: desk.heard.messages(stop_id)))[-1]
    assert (told.code, told.meaning) == (135, MessageMeaning.REQUEST_REFUSED)
    assert [order.told.order_id for order in await desk.broker.open_orders()] == [stop_id]


async def test_a_cancel_takes_the_bracket_and_a_second_one_is_refused(desk: BrokerDesk) -> None:
    # Given a resting entry with its stop
    placed = await desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    entry_id = placed.order_ids["setup-entry"]
    await eventually(lambda: desk.heard.orders("setup-entry"))
    # When the entry is cancelled
    await desk.broker.cancel_order(entry_id)
    # Then both are, and 202 is information only
    for leg in ("entry", "stop"):
        await eventually(lambda leg=leg: "Cancelled" in desk.heard.statuses(f"setup-{leg}"))
    confirmed = await eventually(lambda: desk.heard.messages(entry_id))
    assert (confirmed[0].code, confirmed[0].meaning) == (202, MessageMeaning.INFORMATION)
    # And a second cancel is a refused request, not a refused order
    await desk.broker.cancel_order(entry_id)
    refused = (await eventually(lambda: desk.heard.messages(entry_id)[1:]))[0]
    assert refused.meaning is MessageMeaning.REQUEST_REFUSED
    assert await desk.broker.open_orders() == []


async def test_an_order_of_an_earlier_session_is_cancelled(desk: BrokerDesk, broker_settings: IBSettings) -> None:
    # Given a resting bracket whose session has ended
    placed = await desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    await eventually(lambda: desk.heard.orders("setup-stop"))
    await desk.broker.disconnect()
    # When a new session with the same client id cancels the entry
    async with BrokerDesk(broker_settings) as later:
        assert {order.told.order_ref for order in await later.broker.open_orders()} == {"setup-entry", "setup-stop"}
        await later.broker.cancel_order(placed.order_ids["setup-entry"])
        # Then it is cancelled with its stop
        await eventually(lambda: "Cancelled" in later.heard.statuses("setup-stop"))
        assert await later.broker.open_orders() == []


async def test_an_order_that_does_not_exist_is_a_refused_request(desk: BrokerDesk) -> None:
    await desk.broker.cancel_order(4711)
    told = (await eventually(lambda: desk.heard.messages(4711)))[0]
    assert (told.code, told.meaning) == (10147, MessageMeaning.REQUEST_REFUSED)


async def test_10349_is_no_cancel(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a resting bracket
    placed = await desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    entry_id = placed.order_ids["setup-entry"]
    await eventually(lambda: "Submitted" in desk.heard.statuses("setup-entry"))
    # When codes come that the client library takes for a cancel
    text = "Order TIF was set to DAY based on order preset."
    for code in (10349, 104, 161, 10148, 10197):
        simulator.control.send_error(id=entry_id, code=code, text=text)
    # Then they are told as what they are, and no status is invented
    told = await eventually(lambda: desk.heard.messages(entry_id)[4:] and desk.heard.messages(entry_id))
    assert told[0].meaning is MessageMeaning.INFORMATION
    assert {message.meaning for message in told[1:4]} == {MessageMeaning.REQUEST_REFUSED}
    assert told[4].meaning is MessageMeaning.WARNING
    assert not {"Cancelled", "ApiCancelled"} & set(desk.heard.statuses("setup-entry"))
    # And the order can still be changed
    ticket = bracket("setup", entry_type=OrderType.LIMIT, entry_price="151.00").entry
    await desk.broker.modify_order(order_id=entry_id, contract=AAPL, ticket=ticket)
    await eventually(lambda: Decimal(simulator.control.orders()[0]["limit_price"]) == 151)
