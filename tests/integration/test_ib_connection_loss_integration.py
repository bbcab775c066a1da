"""How a connection breaks: nothing hangs, nothing unknown is taken for empty, and nothing lost goes unnoticed."""

import asyncio
import os
import signal
import threading
from dataclasses import replace

import pytest

from app.brokers.base import ConnectionState
from app.brokers.errors import (
    BrokerTimeout,
    IncompleteAnswer,
    NotConnected,
)
from app.brokers.ib import IBBroker, IBSettings
from app.domain.terms import OrderType
from ib_simulator.process import SimulatorProcess
from tests.eventually import eventually as wait_until
from tests.integration.broker_desk import BrokerDesk, bracket, eventually, sent_orders
from tests.integration.scripted_peer import ScriptedPeer, frame
from tests.permits import PermitOf

pytestmark = pytest.mark.simulator_only

# Every field is there, and the side is neither a buy nor a sell: the library reads it, we can't.
EXECUTION_WITHOUT_A_SIDE = (
    *(11, -1, 7, 265598, "AAPL", "STK", "", 0, "", "", "SMART", "USD", "AAPL", "NMS"),
    *("0000e0d5.01.01", "20261120 10:00:00 UTC", "DU1234567", "SMART", "???", 10, 189.5, 12, 1, 0, 10, 189.5),
    *("ref", "", "", "", 2, 0),
)

READY, DEGRADED, DISCONNECTED = ConnectionState.READY, ConnectionState.DEGRADED, ConnectionState.DISCONNECTED


def settings_for(peer: ScriptedPeer) -> IBSettings:
    return IBSettings(
        host=peer.host,
        port=peer.port,
        connect_timeout_seconds=0.5,
        request_timeout_seconds=0.5,
        reconnect_pause_seconds=0.0,
    )


async def test_a_drop_while_a_question_waits_is_no_answer(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a question that is not answered yet
    simulator.control.mute(["openOrderEnd"])
    question = asyncio.create_task(desk.broker.open_orders())
    await eventually(lambda: [m for m in simulator.control.messages() if m["name"] == "reqAllOpenOrders"])
    # When the connection drops
    simulator.control.drop_connections()
    # Then the question has no answer, and the state says so
    with pytest.raises(NotConnected):
        await question
    assert desk.heard.states[-1][0] is DISCONNECTED
    assert "connection lost" in desk.heard.states[-1][1]
    # And it can be connected to again
    simulator.control.unmute(["openOrderEnd"])
    await desk.broker.connect()
    assert await desk.broker.open_orders() == []


async def test_a_drop_before_the_first_byte_sends_nothing(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a connection that drops while the ids are being stored
    def write_ahead(_ids: object) -> None:
        simulator.control.drop_connections()
        wait_until(lambda: desk.broker.state is DISCONNECTED)

    # When a bracket is placed, then nothing was sent, and the error says so
    with pytest.raises(NotConnected):
        await desk.broker.place_bracket(bracket("setup"), permit=PermitOf(write_ahead))
    assert simulator.control.orders() == []


async def test_disconnecting_leaves_nothing_pending(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given an unanswered question and an entry that waits for its turn
    simulator.control.mute(["openOrderEnd"])
    question = asyncio.create_task(desk.broker.open_orders())
    await eventually(lambda: [m for m in simulator.control.messages() if m["name"] == "reqAllOpenOrders"])
    held, release = threading.Event(), threading.Event()

    def write_ahead(_ids: object) -> None:
        held.set()
        release.wait(10)

    holder = asyncio.create_task(desk.broker.place_bracket(bracket("holder"), permit=PermitOf(write_ahead)))
    waiting = asyncio.create_task(desk.broker.place_bracket(bracket("waiting")))
    await eventually(held.is_set)
    # When the broker disconnects, twice
    await desk.broker.disconnect()
    await desk.broker.disconnect()
    release.set()
    # Then all of them end, and nothing was sent
    results = await asyncio.wait_for(asyncio.gather(question, holder, waiting, return_exceptions=True), 5)
    assert [type(result) for result in results] == [NotConnected] * 3
    assert sent_orders(simulator.control.messages()) == []
    assert desk.heard.states[-1][0] is DISCONNECTED


async def test_what_waits_for_its_turn_fails_at_once_when_the_connection_ends(broker_settings: IBSettings) -> None:
    # Given a bracket that waits for the next minute's messages, this one's being used up
    desk = BrokerDesk(replace(broker_settings, messages_per_second=3))
    async with desk:
        desk.broker._connection.pacer.window_seconds = 60
        waiting = asyncio.create_task(desk.broker.place_bracket(bracket("setup")))
        await eventually(lambda: desk.broker._connection.pacer.queue_length)
    # When the connection ends, then the bracket fails at once
    with pytest.raises(NotConnected, match="Nothing was sent"):
        await asyncio.wait_for(waiting, 5)


async def test_a_frozen_gateway_does_not_answer_the_ping(
    impatient_desk: BrokerDesk, simulator: SimulatorProcess
) -> None:
    os.kill(simulator.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BrokerTimeout):
            await impatient_desk.broker.ping()
    finally:
        os.kill(simulator.pid, signal.SIGCONT)
    # And one that wakes up answers again, the late answer doing no harm
    assert await impatient_desk.broker.ping()


# Unknown is not empty.


async def test_an_unanswered_question_is_not_an_empty_answer(
    impatient_desk: BrokerDesk, simulator: SimulatorProcess
) -> None:
    # Given a Gateway that loses the end of its answers
    simulator.control.mute(["openOrderEnd", "completedOrdersEnd", "positionEnd", "execDetailsEnd", "accountSummaryEnd"])
    broker = impatient_desk.broker
    # When it is asked, then every question says that it has no answer
    questions = (broker.open_orders, broker.completed_orders, broker.positions, broker.fills_since)
    results = await asyncio.gather(*(ask() for ask in (*questions, broker.account_summary)), return_exceptions=True)
    assert [type(result) for result in results] == [BrokerTimeout] * 5


async def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        # Given a question that was given up
        with pytest.raises(BrokerTimeout):
            await desk.broker.open_orders()
        # When it is asked again, and the end of the first answer comes before the second answer
        question = asyncio.create_task(desk.broker.open_orders())
        await eventually(lambda: peer.received.count(["16", "1", ""]) == 2)
        peer.say(53, 1)
        peer.say(4, 2, 7, 399, "Whoever hears this has heard what came before", "")
        await eventually(desk.heard.messages)
        # Then that is not the answer, and the next end is
        assert not question.done()
        peer.say(53, 1)
        assert await question == []


async def test_a_late_answer_that_comes_in_between_is_forgotten(
    impatient_desk: BrokerDesk, simulator: SimulatorProcess
) -> None:
    # Given a question that was given up, whose answer comes when nobody asks
    simulator.control.hold_answers(["openOrderEnd"])
    with pytest.raises(BrokerTimeout):
        await impatient_desk.broker.open_orders()
    simulator.control.release_answers(["openOrderEnd"])
    await impatient_desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    # When it is asked again, then the answer has what was placed since
    refs = {order.told.order_ref for order in await impatient_desk.broker.open_orders()}
    assert refs == {"setup-entry", "setup-stop"}


async def test_a_late_refusal_to_answer_is_not_about_an_order() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        # Given a question with an id that was given up
        with pytest.raises(BrokerTimeout):
            await desk.broker.fills_since()
        request_id = int(next(fields[2] for fields in peer.received if fields[0] == "7"))
        # When it is refused after all, and then an order with another id
        peer.say(4, 2, request_id, 321, "Error validating request", "")
        peer.say(4, 2, request_id + 1, 201, "Order rejected", "")
        # Then only the second is told of an order
        told = await eventually(desk.heard.messages)
        assert [message.order_id for message in told] == [request_id + 1]


async def test_an_answer_that_was_lost_is_waited_for_only_so_long(
    broker_settings: IBSettings, simulator: SimulatorProcess
) -> None:
    settings = replace(broker_settings, request_timeout_seconds=0.3, late_answer_seconds=0.5)
    async with BrokerDesk(settings) as desk:
        # Given an answer whose end was lost for good
        simulator.control.mute(["openOrderEnd"])
        with pytest.raises(BrokerTimeout):
            await desk.broker.open_orders()
        simulator.control.unmute(["openOrderEnd"])
        # When it is asked while the lost one could still come, then its end is taken for the lost one's
        with pytest.raises(BrokerTimeout):
            await desk.broker.open_orders()
        # And later it is answered
        assert await answered(desk) == []


async def answered(desk: BrokerDesk) -> object:
    """Ask for open orders until there is an answer, for as long as one that was lost is waited for, and a bit more."""
    for _ in range(5):
        try:
            return await desk.broker.open_orders()
        except BrokerTimeout:
            continue
    return await desk.broker.open_orders()


# Between ready and lost.


async def test_1100_stops_entries_until_1102(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a resting bracket
    placed = await desk.broker.place_bracket(bracket("setup", entry_type=OrderType.LIMIT, entry_price="150.00"))
    await eventually(lambda: desk.heard.orders("setup-entry"))
    # When the Gateway loses IB
    simulator.control.send_error(code=1100, text="Connectivity between IB and Trader Workstation has been lost.")
    await eventually(lambda: desk.broker.state is DEGRADED)
    # Then no entry is sent nor its ids stored, but a cancel is sent
    stored: list[object] = []
    with pytest.raises(NotConnected):
        await desk.broker.place_bracket(bracket("next"), permit=PermitOf(stored.append))
    assert stored == []
    await desk.broker.cancel_order(placed.order_ids["setup-entry"])
    # And with IB back, it is ready, and says that a reconcile is due
    for code in (1101, 1102):
        simulator.control.send_error(code=1100, text="lost")
        simulator.control.send_error(code=code, text="restored")
        await eventually(lambda code=code: desk.heard.states[-1][1].startswith(str(code)))
        assert desk.heard.states[-1][0] is READY
        assert "reconcile" in desk.heard.states[-1][1]
    await desk.broker.place_bracket(bracket("next"))


async def test_1100_while_the_ids_are_stored_stops_the_bracket(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    # Given a Gateway that loses IB between the reservation of the ids and the first byte
    def write_ahead(_ids: object) -> None:
        simulator.control.send_error(code=1100, text="lost")
        wait_until(lambda: desk.broker.state is DEGRADED)

    # When a bracket is placed, then nothing is sent, and the error says so
    with pytest.raises(NotConnected, match="nothing was sent"):
        await desk.broker.place_bracket(bracket("setup"), permit=PermitOf(write_ahead))
    assert sent_orders(simulator.control.messages()) == []


async def test_1300_is_the_end_of_the_connection(desk: BrokerDesk, simulator: SimulatorProcess) -> None:
    simulator.control.send_error(code=1300, text="TWS socket port has been reset")
    await eventually(lambda: desk.broker.state is DISCONNECTED)
    assert desk.heard.states[-1][1].startswith("1300")
    with pytest.raises(NotConnected):
        await desk.broker.open_orders()


async def test_an_event_nobody_takes_degrades_until_everything_was_told_again(
    broker_settings: IBSettings,
) -> None:
    # Given a sink that fails once
    failures = [OSError("the disk is full")]
    states: list[tuple[ConnectionState, str]] = []

    def on_event(_event: object) -> None:
        if failures:
            raise failures.pop()

    broker = IBBroker(broker_settings, on_event=on_event, on_state=lambda *told: states.append(told))
    await broker.connect()
    # When an event comes
    await broker.place_bracket(bracket("setup"))
    await eventually(lambda: broker.state is DEGRADED)
    assert "the disk is full" in states[-1][1]
    # Then open orders, completed orders and executions together recover it
    await broker.open_orders()
    await broker.completed_orders()
    assert broker.state is DEGRADED
    await broker.fills_since()
    assert states[-1][0] is READY
    await broker.disconnect()


@pytest.mark.parametrize(
    "message",
    [
        (3, 7, "Submitted", "many", 0, 0, 12, 0, 0, 1, "", 0),
        (11, -1, 7, 0, "AAPL"),
        (5, 7, 0),
        EXECUTION_WITHOUT_A_SIDE,
    ],
    ids=["orderStatus", "execDetails", "openOrder", "a side nobody knows"],
)
async def test_a_message_that_cannot_be_read_is_loud(message: tuple[object, ...]) -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        # When a message about orders comes that makes no sense
        peer.say(*message)
        # Then the state says so, and no event was made up
        await eventually(lambda: desk.broker.state is DEGRADED)
        assert "could not be read" in desk.heard.states[-1][1]
        assert desk.heard.events == []


async def test_an_answer_with_an_unreadable_part_is_incomplete() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        # Given a question
        question = asyncio.create_task(desk.broker.open_orders())
        await eventually(lambda: ["16", "1", ""] in peer.received)
        # When a part of its answer cannot be read
        peer.say(5, 7, 0)
        peer.say(53, 1)
        # Then it is not an answer
        with pytest.raises(IncompleteAnswer):
            await question


async def test_an_account_summary_that_lacks_a_figure_is_incomplete() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.answer(
            "62",
            lambda fields: [
                frame(63, 1, fields[2], "DU1234567", "NetLiquidation", "100000.00", "USD"),
                frame(63, 1, fields[2], "DU7654321", "BuyingPower", "400000.00", "USD"),
                frame(64, 1, fields[2]),
            ],
        )
        with pytest.raises(IncompleteAnswer, match="lacks AvailableFunds, BuyingPower"):
            await desk.broker.account_summary()


async def test_a_status_word_nobody_knows_is_told_as_unknown() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.say(3, 7, "Teleported", 0, 10, 0, 12, 0, 0, 1, "", 0)
        told = (await eventually(desk.heard.orders))[0]
        assert (told.status.value, told.raw_status) == ("Unknown", "Teleported")


async def test_an_unknown_code_is_unknown_not_a_refusal() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        peer.say(4, 2, 7, 98765, "Something new", "")
        assert (await eventually(desk.heard.messages))[0].meaning.value == "UNKNOWN"


async def test_a_cost_is_told_before_its_deal() -> None:
    async with ScriptedPeer() as peer, BrokerDesk(settings_for(peer)) as desk:
        # When the cost of a deal comes that nobody has heard of
        peer.say(59, 1, "0000e0d5.01.01", "1.25", "USD", "1.7976931348623157E308", "", "")
        # Then it is told all the same
        cost = (await eventually(desk.heard.commissions))[0]
        assert (str(cost.amount), cost.realized_pnl, cost.account) == ("1.25", None, "")
