"""What the account is asked for before a stop is placed does not wait behind a queue of entries."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.brokers.ib import IBBroker
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import BrokerDesk, bracket, eventually

pytestmark = [pytest.mark.simulator_only, pytest.mark.case("T41")]

ENTRIES = 20
QUESTIONS: dict[str, Callable[[IBBroker], Awaitable[Any]]] = {
    "reqPositions": lambda broker: broker.positions(),
    "reqExecutions": lambda broker: broker.fills_since(symbol="AAPL"),
    "reqAllOpenOrders": lambda broker: broker.open_orders(),
    "reqCompletedOrders": lambda broker: broker.completed_orders(),
}


@pytest.mark.parametrize("name", sorted(QUESTIONS))
async def test_a_question_about_the_account_goes_before_entries_that_wait(
    desk: BrokerDesk, simulator: SimulatorProcess, name: str
) -> None:
    # Given a queue of entries, the first of which are on the wire
    broker = desk.broker
    entries = [asyncio.ensure_future(broker.place_bracket(bracket(f"entry{number}"))) for number in range(ENTRIES)]
    await eventually(lambda: any(entry.done() for entry in entries))
    # When the account is asked for
    await QUESTIONS[name](broker)
    # Then it was before the queue had gone
    waiting = sum(not entry.done() for entry in entries)
    await asyncio.gather(*entries)
    assert waiting > 0
    sent = [message["name"] for message in simulator.control.messages()]
    asked_at = max(place for place, sent_name in enumerate(sent) if sent_name == name)
    assert sent[asked_at:].count("placeOrder") >= 2 * (waiting - 1)
