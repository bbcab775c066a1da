"""What is sent is confirmed a moment before: a process that was stopped since may have been deposed."""

from functools import partial

import pytest

from app.brokers.errors import NotConnected
from app.brokers.ib import IBBroker, IBSettings
from app.brokers.ib import broker as ib_broker
from ib_simulator.process import SimulatorProcess
from tests.integration.broker_desk import AAPL, BrokerDesk, bracket, sent_orders

pytestmark = pytest.mark.simulator_only


class LongAgo:
    """A database that confirms, and whose first confirmation is old when the order could leave: deposed meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, deposed: bool) -> None:
        self.calls: list[object] = []
        self._deposed, self._set = deposed, partial(monkeypatch.setattr, ib_broker, "_CONFIRMED_SECONDS_MAX")
        self._set(0.0)

    def __call__(self, *order_ids: object) -> None:
        self.calls.append(order_ids)
        if len(self.calls) == 2:
            self._set(60.0)
            if self._deposed:
                raise NotConnected("Another worker has taken the connection over.")


async def test_what_was_written_ahead_too_long_ago_is_asked_about_again(
    desk: BrokerDesk, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ahead = LongAgo(monkeypatch, deposed=False)
    await desk.broker.place_bracket(bracket("setup"), write_ahead=write_ahead)
    first, second = write_ahead.calls
    assert first == second
    assert len(sent_orders(simulator.control.messages())) == 2


@pytest.mark.parametrize("sends", ["bracket", "order", "change", "cancel"])
async def test_who_was_deposed_since_the_write_ahead_sends_nothing(
    broker_settings: IBSettings, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch, sends: str
) -> None:
    deposed = LongAgo(monkeypatch, deposed=True)
    broker = IBBroker(broker_settings, confirm=deposed)
    await broker.connect()
    ticket = bracket("setup").stop_loss
    attempts = {
        "bracket": lambda: broker.place_bracket(bracket("setup"), write_ahead=deposed),
        "order": lambda: broker.place_order(ticket, contract=AAPL, write_ahead=deposed),
        "change": lambda: broker.modify_order(order_id=1, contract=AAPL, ticket=ticket),
        "cancel": lambda: broker.cancel_order(1),
    }
    with pytest.raises(NotConnected):
        await attempts[sends]()
    await broker.disconnect()
    assert len(deposed.calls) == 2
    assert not {message["name"] for message in simulator.control.messages()} & {"placeOrder", "cancelOrder"}
