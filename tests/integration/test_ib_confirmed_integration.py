"""What is sent is confirmed a moment before: a process that was stopped since may have been deposed."""

import itertools
from types import SimpleNamespace

import pytest

from app.brokers.errors import NotConnected
from app.brokers.ib import IBBroker, IBSettings
from app.brokers.ib import broker as ib_broker
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import AAPL, BrokerDesk, bracket, sent_orders
from tests.permits import PermitOf

pytestmark = pytest.mark.simulator_only


@pytest.fixture(autouse=True)
def _clock_of_a_stopped_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every look at the clock be 0.6 s after the last: longer than a confirmation holds, but not a second one."""
    moment = itertools.count(step=0.6)
    monkeypatch.setattr(ib_broker, "time", SimpleNamespace(monotonic=lambda: next(moment)))


async def test_what_was_written_ahead_too_long_ago_is_asked_about_again_and_then_sent(
    desk: BrokerDesk, simulator: SimulatorProcess
) -> None:
    calls: list[object] = []
    permit = PermitOf(calls.append, lambda: calls.append("still ours"))
    placed = await desk.broker.place_bracket(bracket("setup"), permit=permit)
    assert calls == [placed.order_ids, "still ours"]
    assert len(sent_orders(simulator.control.messages())) == 2


@pytest.mark.parametrize("sends", ["bracket", "order", "change", "cancel"])
async def test_who_was_deposed_since_the_write_ahead_sends_nothing(
    broker_settings: IBSettings, simulator: SimulatorProcess, sends: str
) -> None:
    calls: list[object] = []

    def deposed(*order_ids: object) -> None:
        calls.append(order_ids)
        if len(calls) == 2:
            raise NotConnected("Another worker has taken the connection over.")

    broker = IBBroker(broker_settings, confirm=deposed)
    await broker.connect()
    ticket = bracket("setup").stop_loss
    attempts = {
        "bracket": lambda: broker.place_bracket(bracket("setup"), permit=PermitOf(deposed, deposed)),
        "order": lambda: broker.place_order(ticket, contract=AAPL, permit=PermitOf(deposed, deposed)),
        "change": lambda: broker.modify_order(order_id=1, contract=AAPL, ticket=ticket),
        "cancel": lambda: broker.cancel_order(1),
    }
    with pytest.raises(NotConnected):
        await attempts[sends]()
    await broker.disconnect()
    assert len(calls) == 2
    assert not {message["name"] for message in simulator.control.messages()} & {"placeOrder", "cancelOrder"}
